"""`heatproof init`: the first policy of a model, calibrated on its images."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from heatproof.client.calibration.findings import Design
from heatproof.client.calibration.policies import Accuracy, Calibration, policy_text
from heatproof.client.calibration.trials import BLIND_MAPS, TRIALS, Chosen, Need, Trial
from heatproof.client.clients.flows.datasets import upload_sample
from heatproof.client.clients.flows.evaluations import EvaluationQuestion
from heatproof.client.clients.flows.gates import judged
from heatproof.client.clients.progress import OnProgress
from heatproof.client.clients.synchronous import Client
from heatproof.client.command.options import shared
from heatproof.client.command.options.command_lines import repeating
from heatproof.client.command.options.files import require_writable, written
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.options.panels import EXPLAINERS, Panel
from heatproof.client.command.options.prompts import Prompts
from heatproof.client.command.output.calibration import show_findings, show_next_steps
from heatproof.client.command.output.console import note, progress_shown
from heatproof.client.command.output.gate_plans import MIN_UNITS, USUAL_MIN_IMAGES
from heatproof.client.documents.captions import short_digest
from heatproof.client.documents.model_files import ModelSource
from heatproof.client.documents.policies import POLICY_FILE, preprocessing_table
from heatproof.client.documents.reading.choices import choice
from heatproof.client.documents.results import Report
from heatproof.client.documents.results.estimates import EvaluationEstimate
from heatproof.client.errors import HeatproofError, UsageError
from heatproof.client.report.facts import sampling_words
from heatproof.client.version import __version__
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.results_pb2 import Summary

COARSEST_CELLS: Final = 5
"""Cells a side of the coarsest grid of the trials, which layer masking must be able to hide."""

ASK_PREPROCESSING: Final = (
    "How does the model read images: imagenet, tf, unit, or a TOML file? A wrong answer still "
    "gives plausible classes, so that it cannot be guessed."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """What is calibrated, and how; on a terminal, what is missing is asked."""

    model: Annotated[
        str | None, typer.Option(help="Path of an .onnx file, or a name models/sha256-...")
    ] = None
    images: Annotated[str | None, typer.Option(help="Folder of images, or one image.")] = None
    preprocessing: shared.Preprocessing = None
    baseline: Annotated[
        str | None,
        typer.Option(
            help="The model that this one was made of, such as by quantization: their maps are to "
            "agree. An .onnx file or a name models/sha256-..."
        ),
    ] = None
    explainer: Annotated[
        list[str],
        typer.Option(
            help="Explainer whose maps are judged: name or name:key=value,...; may be repeated. By "
            f"default the first of {', '.join(EXPLAINERS)} that the model allows; supplied with "
            "--maps."
        ),
    ] = field(default_factory=list)
    removal: Annotated[
        str | None,
        typer.Option(
            help="Removal operator, likewise; by default layer where models allow it, else blur."
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(help="Calibrate on so many of the images, drawn by the seed.", min=MIN_UNITS),
    ] = None
    seed: shared.Seed = 1
    policy: Annotated[Path, typer.Option(help="File to write.")] = Path(POLICY_FILE)
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there already.")
    ] = False
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: what is missing is an error.")
    ] = False

    def require_new_file(self) -> None:
        """Makes sure that the policy can be written, over nothing that is to be kept.

        Raises:
            UsageError: there is a file, or none can be written.
        """
        if self.policy.exists() and not self.force:
            raise UsageError(
                f"{self.policy} is there already: give --force to write over it, or name another"
            )
        require_writable(self.policy)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is calibrated, with every choice made.

    Attributes:
        panel: the model, and its parent if there is one.
        dataset: the images.
        preprocessing: how models read them.
        design: what is evaluated.
        removal: how regions are hidden.
    """

    panel: Panel
    dataset: Dataset
    preprocessing: str
    design: Design
    removal: Chosen

    def question(self, seed: int, on_progress: OnProgress) -> EvaluationQuestion:
        """What is asked of the server."""
        return EvaluationQuestion(
            preprocessing=self.preprocessing,
            metrics=[read_choice(one) for one in self.design.metrics],
            explainers=[read_choice(one) for one in self.design.maps],
            removals=[read_choice(self.removal)],
            seed=seed,
            on_progress=on_progress,
        )


def read_choice(held: Chosen) -> dict[str, object]:
    """A choice as the client takes it."""
    return {name: dict(parameters) for name, parameters in held.items()}


@grouped
def init(
    options: InitOptions,
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    server: shared.ServerOptions,
) -> None:
    """Write the first policy of a model, with bounds calibrated on its images.

    Scores the maps of the model and control maps that know nothing of it, and puts each bound
    between the two.
    """
    options.require_new_file()
    prompts = Prompts.of_terminal(silent=options.yes)
    with _file_hinted(stated.class_output):
        subject, known = _completed(options, known, prompts)
        options = replace(options, **asdict(subject))
        with server.connected() as client, progress_shown() as on_progress:
            setting = _setting(client, subject, options, stated, known, on_progress=on_progress)
            models: list[ModelSource] = [*setting.panel.names]
            question = setting.question(options.seed, on_progress)
            question.update(stated.statement())  # type: ignore[typeddict-item]  # some of its keys
            planned = client.estimate(models, setting.dataset.name, **question)
            _require_units(planned)
            if not prompts.agreed(f"{planned}. Run it?"):
                raise typer.Abort
            report = client.evaluate(models, setting.dataset.name, **question)
            report = replace(report, models=setting.panel.models)
            command = repeating(options, stated, known, server)
            calibration = _calibration(report, setting, options, stated, command)
            show_findings(calibration)
            _require_checks(calibration)
            text = policy_text(calibration)
            written(options.policy, partial(_write, text))
            verdict = client.perform(judged(report, options.policy))
    show_next_steps(verdict, options.policy, repeating(options, stated, known, server, gate=True))


@contextmanager
def _file_hinted(output: str | None) -> Iterator[None]:
    """Says with an error how the file is named, where it stands in the place of an output."""
    try:
        yield
    except HeatproofError as error:
        if output is not None and Path(output).suffix == Path(POLICY_FILE).suffix:
            error.add_note(
                "--output names the output of the model that holds the class scores: name the "
                f"file to write by --policy {output}"
            )
        raise


@dataclass(frozen=True, slots=True)
class Subject:
    """What is calibrated, with nothing left to ask; fields as in `InitOptions`."""

    model: str
    images: str
    preprocessing: str
    baseline: str | None

    @property
    def models(self) -> list[str]:
        """The model, and its parent if there is one."""
        return [self.model, *filter(None, [self.baseline])]


def _completed(
    options: InitOptions, known: shared.KnownOptions, prompts: Prompts
) -> tuple[Subject, shared.KnownOptions]:
    """The options with what somebody has answered.

    Raises:
        UsageError: something is missing, and nobody can be asked.
    """
    ask = prompts.required
    subject = Subject(
        ask(options.model, "Which model: an .onnx file?", "--model"),
        ask(options.images, "Which images: a folder?", "--images"),
        ask(options.preprocessing, ASK_PREPROCESSING, "--preprocessing"),
        prompts.optional(options.baseline, "The model that it was made of, as by quantization?"),
    )
    preprocessing_table(subject.preprocessing)
    labels = prompts.optional(_text(known.labels), "Labels of the images, a CSV file?")
    masks = prompts.optional(_text(known.masks), "Masks of the objects, a folder?")
    return subject, replace(known, labels=_path(labels), masks=_path(masks))


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _setting(
    client: Client,
    subject: Subject,
    options: InitOptions,
    stated: shared.StatedOptions,
    known: shared.KnownOptions,
    *,
    on_progress: OnProgress,
) -> Setting:
    panel = Panel.of(client, subject.models, stated.statement(), on_progress)
    design = Design(
        trials=tuple(_trials(panel, known, has_parent=subject.baseline is not None)),
        explainers=_explainers(panel, options, known),
    )
    removal = choice(options.removal or panel.usual_removal(COARSEST_CELLS))
    note(f"explainers: {', '.join(name for one in design.maps for name in one)}")
    note(f"removal operator: {next(iter(removal))}")
    dataset = _uploaded(client, subject, options, known, on_progress)
    return Setting(panel, dataset, subject.preprocessing, design, removal)


def _uploaded(
    client: Client,
    subject: Subject,
    options: InitOptions,
    known: shared.KnownOptions,
    on_progress: OnProgress,
) -> Dataset:
    """The images, or some of them, with what is known about them."""
    images, annotations = subject.images, known.annotations()
    if options.limit is None:
        return client.upload_dataset(images, on_progress=on_progress, **annotations)
    count, seed = options.limit, options.seed
    return client.perform(upload_sample(images, count, seed, on_progress, annotations))


def _trials(panel: Panel, known: shared.KnownOptions, *, has_parent: bool) -> list[Trial]:
    """The metrics that models and annotations allow; what models do not is said."""
    known_needs = {Need.MASKS: known.masks is not None, Need.PARENT: has_parent}
    held = {Need.NOTHING, *(need for need, given in known_needs.items() if given)}
    found = []
    for trial in TRIALS:
        obstacle = panel.obstacle("metrics", trial.name) if trial.need in held else None
        if obstacle is not None:
            note(f"{trial.name} is left out: {obstacle}")
        elif trial.need in held:
            found.append(trial)
    return found


def _explainers(
    panel: Panel, options: InitOptions, known: shared.KnownOptions
) -> tuple[Chosen, ...]:
    """The explainers under test.

    Raises:
        UsageError: one of them is a control.
    """
    asked = [choice(text) for text in options.explainer]
    if not asked:
        own = "supplied" if known.maps else panel.usual_explainer()
        asked = [{own: {}}]
    for name in (name for one in asked for name in one):
        if name in BLIND_MAPS:
            raise UsageError(
                f"{name} is one of the control maps ({', '.join(BLIND_MAPS)}), which maps of the "
                "model are held against: name another --explainer"
            )
    return tuple(one for place, one in enumerate(asked) if one not in asked[:place])


def _require_units(planned: EvaluationEstimate) -> None:
    """Refuses before the work what gives no interval, and says what gives wide ones.

    Raises:
        UsageError: there are too few units of sampling.
    """
    units = planned.sampling.units
    if units < MIN_UNITS:
        raise UsageError(
            f"{units} units of sampling give no intervals, for which {MIN_UNITS} are needed: give "
            f"more images, {USUAL_MIN_IMAGES} or more if you can"
        )
    if units < USUAL_MIN_IMAGES:
        note(f"warning: {units} units of sampling give wide intervals, and every gate will say so")


def _require_checks(calibration: Calibration) -> None:
    """Refuses to write a policy that checks nothing.

    Raises:
        UsageError: no metric tells the maps of the model from blind ones.
    """
    if not calibration.checked:
        raise UsageError(
            "no score tells the maps of this model from maps that know nothing of it, so that "
            "there is nothing to check, and no policy is written: give more images, check the "
            "preprocessing, or try another --explainer"
        )


def _calibration(
    report: Report,
    setting: Setting,
    options: InitOptions,
    stated: shared.StatedOptions,
    command: str,
) -> Calibration:
    model = setting.panel.models[0]
    evaluation = report.evaluation
    drawn = "" if options.limit is None else f", drawn by seed {options.seed} from those"
    images = sampling_words(str(len(report.images)), evaluation.sampling)
    name = f"{model.display_name} (sha256 {short_digest(model.name)})"
    told = [
        f"The first policy of {name}, written by heatproof init {__version__}.",
        f"Calibrated on {images} images{drawn} of {options.images}, seed {options.seed}.",
    ]
    if options.baseline is not None:
        parent = f"--baseline {options.baseline}"
        told.append(f"Its maps are held against those of its parent; a gate needs {parent}.")
    return Calibration(
        told=tuple(told),
        command=command,
        preprocessing=preprocessing_table(setting.preprocessing),
        stated={name: str(value) for name, value in stated.statement().items()},
        removal=setting.removal,
        seed=options.seed,
        findings=tuple(setting.design.findings(report)),
        accuracy=_accuracy(report),
    )


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _accuracy(report: Report) -> Accuracy | None:
    """The clean accuracy, and why it is not bounded where that is so; None without labels."""
    held = report.evaluation.clean_accuracy
    model = report.models[0].name
    if model not in held:
        return None
    summary: Summary = held[model]
    missing = len(report.images) - sum(
        image.HasField("label") or image.HasField("labels") for image in report.images
    )
    obstacle = ""
    if missing:
        obstacle = f"A bound needs a label for every image, and {missing} have none"
    elif not summary.HasField("interval"):
        obstacle = "It has no interval here"
    return Accuracy(summary, obstacle)
