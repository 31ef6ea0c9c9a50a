"""`heatproof gate`: may this model ship?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from heatproof.client.command.options import shared
from heatproof.client.command.options.ci import CiOptions
from heatproof.client.command.options.files import GateReportOptions, class_names
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import progress_shown
from heatproof.client.command.output.tables import show_report, show_results, show_verdict
from heatproof.client.documents.policies import PRESETS
from heatproof.client.documents.results import GateReport, UnjudgedError
from heatproof.client.errors import UsageError
from heatproof.client.report.checks import Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.failures import Failure

POLICY_FILE: Final = "heatproof.toml"
"""The policy of a folder."""

REFUSED: Final = 1
"""Exit code of a verdict against the model; of nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What is judged, and by what."""

    model: shared.ModelOption
    images: shared.Images
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
            help="What regressions are measured against: the JSON report of an earlier gate, or "
            "an .onnx file, evaluated in the same run."
        ),
    ] = None
    target: shared.TargetOption = None

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
    classes = reports.prepare()
    try:
        report = _judged(candidate, stated, known, reports, server)
    except UnjudgedError as error:
        content = Content.of(error.report, classes)
        show_report(content)
        show_results(content)
        _tell_failure(error, content, candidate, reports, ci)
        raise
    except Exception as error:
        _tell_failure(error, None, candidate, reports, ci)
        raise
    content = Content.of(report, classes)
    judged = Judgement.of(report, content)
    show_report(content)
    reports.write_gate(content, judged)
    ci.tell_verdict(content, judged, candidate.rules())
    show_verdict(content, judged)
    if not report.passed:
        raise typer.Exit(REFUSED)


def _tell_failure(
    error: Exception,
    content: Content | None,
    candidate: Candidate,
    reports: GateReportOptions,
    ci: CiOptions,
) -> None:
    failure = Failure.of(error)
    ci.tell_failure(failure, content, candidate.policy or POLICY_FILE)
    reports.write_failure(failure, content)


def _judged(
    candidate: Candidate,
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    reports: GateReportOptions,
    server: shared.ServerOptions,
) -> GateReport:
    with server.connected() as client, progress_shown() as on_progress:
        return client.gate(
            candidate.model,
            candidate.images,
            policy=candidate.rules(),
            preprocessing=candidate.preprocessing,
            baseline=candidate.baseline,
            on_progress=on_progress,
            keep_overlays=reports.wants_overlays,
            **shared.targeted(candidate.target, class_names(reports.classes).names),
            **stated.statement(),
            **known.annotations(),
        )
