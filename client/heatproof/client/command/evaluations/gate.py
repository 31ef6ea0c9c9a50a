"""`heatproof gate`: may this model ship?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from heatproof.client.clients.flows.gates import GateQuestion, StoredGateQuestion
from heatproof.client.clients.progress import OnProgress
from heatproof.client.command.evaluations.baseline_updates import (
    require_named_server,
    update_baseline,
)
from heatproof.client.command.options import shared
from heatproof.client.command.options.ci import CiOptions
from heatproof.client.command.options.computing import ComputingOptions
from heatproof.client.command.options.files import STANDARD_OUTPUT, GateReportOptions, class_names
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.options.sampling import SamplingOptions
from heatproof.client.command.output.console import progress_shown
from heatproof.client.command.output.dry_runs import print_dry_run, show_dry_run
from heatproof.client.command.output.tables import show_report, show_results, show_verdict
from heatproof.client.documents.policies import POLICY_FILE, PRESETS, read_policy
from heatproof.client.documents.results import GateReport, UnjudgedError
from heatproof.client.documents.results.estimates import GateEstimate
from heatproof.client.errors import UsageError
from heatproof.client.report.checks import Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.failures import Failure
from heatproof.client.report.rows import ClassNames

REFUSED: Final = 1
"""Exit code of a verdict against the model; of nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What is judged, and by what."""

    model: Annotated[
        str | None,
        typer.Option(
            help="Path of an .onnx file, or a name models/...; with --evaluation one of its models."
        ),
    ] = None
    images: Annotated[
        str | None, typer.Option(help="Folder of images, one image, or a name datasets/sha256-...")
    ] = None
    evaluation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="In place of --model and --images: judge the stored results of evaluations/NAME "
            "on the server again, and run no model.",
        ),
    ] = None
    policy: Annotated[
        str | None,
        typer.Option(
            help="TOML file with the rules, the message heatproof.v1.Policy, or a preset: "
            f"{', '.join(PRESETS)}. By default {POLICY_FILE} in the current folder."
        ),
    ] = None
    preprocessing: shared.Preprocessing = None
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME",
            help="What regressions are measured against: the JSON report of an earlier gate, an "
            ".onnx file, evaluated in the same run, or the name of a baseline of the server.",
        ),
    ] = None
    target: shared.TargetOption = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Check everything, say what would be scored, checked and written, and what each "
            "costs: 0 if the gate could run, 2 and why if not. Nothing is judged or written; a few "
            "images are tried where the server does not know yet what one costs. With --json - the "
            "same as JSON.",
        ),
    ] = False

    def rules(self) -> str:
        """The policy that was named, or that of the folder.

        Raises:
            UsageError: none was named, and the folder has none.
        """
        if self.policy is not None:
            return self.policy
        if not Path(POLICY_FILE).is_file():
            raise UsageError(
                f"no policy: there is no {POLICY_FILE} in {Path.cwd()}; name a TOML file by "
                f"--policy, or one of the presets {', '.join(PRESETS)}"
            )
        return POLICY_FILE


@grouped
def gate(
    candidate: Candidate,
    computing: ComputingOptions,
    sample: SamplingOptions,
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    *,
    reports: GateReportOptions,
    ci: CiOptions,
    server: shared.ServerOptions,
) -> None:
    """Evaluate a model by a policy and say whether it may ship.

    Exit codes: 0 it may (warnings allowed), 1 it may not, 2 anything else, 130 interrupted.
    """
    question = _Question(candidate, computing, sample, stated, known, reports)
    classes = reports.prepare(prints=candidate.dry_run)
    if candidate.dry_run:
        question.rehearse(server)
        return
    report = _judged(question, classes, ci, server)
    content = Content.of(report, classes)
    judged = Judgement.of(report, content)
    with ci.muted():
        show_report(content)
    reports.write_gate(content, judged)
    ci.tell_verdict(content, judged, candidate.rules())
    with ci.muted():
        show_verdict(content, judged)
    try:
        update_baseline(reports.baseline_name, judged, server)
    except Exception as error:
        ci.tell_error(error)
        raise
    if not report.passed:
        raise typer.Exit(REFUSED)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, by groups of options."""

    candidate: Candidate
    computing: ComputingOptions
    sample: SamplingOptions
    stated: shared.StatedOptions
    known: shared.KnownOptions
    reports: GateReportOptions

    def check(self, server: shared.ServerOptions) -> None:
        """Refuses options that do not go together.

        Raises:
            UsageError: says which, and the way out.
        """
        candidate = self.candidate
        require_named_server(candidate.baseline, self.reports.update_baseline, server)
        if candidate.evaluation is None:
            self._evaluated()
            self._require_all_images()
            return
        server.require_server()
        self._require_all_images()
        if candidate.dry_run:
            raise UsageError("--evaluation runs nothing, so leave --dry-run out")
        others = {
            "images": candidate.images,
            **self.computing.computed(),
            **self.sample.sampled(),
            **self.known.annotations(),
        }
        given = [
            f"--{name.replace('_', '-')}"
            for name, value in others.items()
            if value is not None and not name.endswith("_frame")  # these have defaults
        ]
        if given:
            raise UsageError(
                f"--evaluation judges what is stored: leave out {', '.join(given)}, which say what "
                "is evaluated"
            )

    def _require_all_images(self) -> None:
        """Refuses to keep as a baseline what is stopped early.

        Raises:
            UsageError: the policy is sequential.
        """
        if (
            self.reports.update_baseline is not None
            and read_policy(self.candidate.rules()).sequential
        ):
            raise UsageError(
                "--update-baseline keeps the scores of all images, and a sequential gate stops "
                "once it is decided: leave one of them out"
            )

    def rehearse(self, server: shared.ServerOptions) -> None:
        """Shows what a verdict would take, and runs nothing."""
        self.check(server)
        reports = self.reports
        show = print_dry_run if reports.json == STANDARD_OUTPUT else show_dry_run
        has_baseline = self.candidate.baseline is not None
        show(self.estimated(server), reports.described(), has_baseline=has_baseline)

    def judged(self, server: shared.ServerOptions) -> GateReport:
        """The verdict."""
        candidate = self.candidate
        with server.connected() as client, progress_shown() as on_progress:
            policy = candidate.rules()
            if candidate.evaluation is not None:
                name, question = candidate.evaluation, self._asked_of_stored()
                return client.gate_evaluation(name, policy=policy, **question)
            model, images = self._evaluated()
            return client.gate(model, images, policy=policy, **self._asked(on_progress))

    def estimated(self, server: shared.ServerOptions) -> GateEstimate:
        """What a verdict would take; nothing is run."""
        with server.connected() as client, progress_shown() as on_progress:
            question, policy = self._asked(on_progress), self.candidate.rules()
            model, images = self._evaluated()
            return client.estimate_gate(model, images, policy=policy, **question)

    def _evaluated(self) -> tuple[str, str]:
        """The model and the images.

        Raises:
            UsageError: one was not given.
        """
        model, images = self.candidate.model, self.candidate.images
        if model is None or images is None:
            missing = "--model" if model is None else "--images"
            raise UsageError(
                f"no {missing}: give --model and --images, or --evaluation for stored results"
            )
        return model, images

    def _asked_of_stored(self) -> StoredGateQuestion:
        candidate = self.candidate
        return StoredGateQuestion(
            model=candidate.model or "",
            preprocessing=candidate.preprocessing,
            baseline=candidate.baseline,
            timeout=None,
            **shared.targeted(candidate.target, class_names(self.reports.classes).names),
            **self.stated.statement(),
        )

    def _asked(self, on_progress: OnProgress) -> GateQuestion:
        candidate = self.candidate
        return GateQuestion(
            preprocessing=candidate.preprocessing,
            baseline=candidate.baseline,
            on_progress=on_progress,
            keep_overlays=self.reports.wants_overlays,
            example=None,
            timeout=None,
            **shared.targeted(candidate.target, class_names(self.reports.classes).names),
            **self.computing.computed(),
            **self.sample.sampled(),
            **self.stated.statement(),
            **self.known.annotations(),
        )


def _judged(
    question: _Question,
    classes: ClassNames,
    ci: CiOptions,
    server: shared.ServerOptions,
) -> GateReport:
    """The verdict; what a run without one came to is shown, told and written before it fails."""
    try:
        with ci.muted():
            question.check(server)
            return question.judged(server)
    except UnjudgedError as error:
        content = Content.of(error.report, classes)
        with ci.muted():
            show_report(content)
            show_results(content)
        _tell_failure(error, content, question, ci)
        raise
    except Exception as error:
        _tell_failure(error, None, question, ci)
        raise


def _tell_failure(
    error: Exception,
    content: Content | None,
    question: _Question,
    ci: CiOptions,
) -> None:
    failure = Failure.of(error)
    ci.tell_failure(failure, content, question.candidate.policy or POLICY_FILE)
    question.reports.write_failure(failure, content)
