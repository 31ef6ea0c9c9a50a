"""What an evaluation found, and a gate's verdict on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from heatproof.client.documents.captions import Captions
from heatproof.client.documents.model_files import names_in
from heatproof.client.documents.presenting import PathText, Plots, presenter
from heatproof.client.documents.results.frames import frame_of
from heatproof.client.documents.results.ranking import badness
from heatproof.client.documents.results.rows import (
    answer_row,
    label_of,
    score_row,
    summary_row,
    value_of,
)
from heatproof.client.errors import HeatproofError, UsageError
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.gate_pb2 import Policy, Verdict
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import (
    ImageResult,
    MetricResult,
)

if TYPE_CHECKING:
    import pandas as pd

SCORE_COLUMNS: Final = (
    "model", "metric", "removal", "explainer", "value", "lower", "upper", "scored"
)  # fmt: skip
"""Columns of a table of scores."""

WORST_COLUMNS: Final = ("metric", "removal", "explainer", "display_name", "value", "top_class")
"""Columns of a table of the worst images."""


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """Results of an evaluation, as messages of the contract.

    Attributes:
        evaluation: what was asked, with every default filled in, and the results.
        images: results of the images, in the order of the data set.
        models: the models, in the order of the spec.
        dataset: the data set.
    """

    evaluation: Evaluation
    images: tuple[ImageResult, ...]
    models: tuple[Model, ...]
    dataset: Dataset

    @property
    def results(self) -> tuple[MetricResult, ...]:
        """Scores over the data set: models, then metrics, removal operators and explainers."""
        return tuple(self.evaluation.results)

    @property
    def captions(self) -> Captions:
        """Short names of models, metrics, removal operators and explainers."""
        return Captions.of(self.models, self.results)

    @property
    def plot(self) -> Plots:
        """Drawings by matplotlib: `plot.curves()`, `.maps()`, `.scores()` and `.compare()`."""
        return presenter().plots(self)

    def to_pandas(self, *, details: bool = False) -> "pd.DataFrame":
        """One row a result: the score, its interval and how many images were scored.

        Args:
            details: whether to add the standard error, why images have no score, and the parts of
                the score.
        """
        if details:
            return frame_of(self._rows())
        left_out = {"model"} if len(self.models) == 1 else set()
        rows = map(_without_details, self._rows())
        return frame_of(
            {name: value for name, value in row.items() if name not in left_out} for row in rows
        )

    def images_to_pandas(self) -> "pd.DataFrame":
        """One row an image and result.

        The score or the reason for its absence, its parts, the model's top class for the clean
        image with its probability, and the label where it is known.
        """
        return frame_of(self._image_rows())

    def worst(self, n: int = 10) -> "pd.DataFrame":
        """The images whose explanations score worst: `n` rows a result, the worst first.

        Args:
            n: how many images of each result; those without a score are not among them.
        """
        indices = [score.result for image in self.images for score in image.scores]
        rows = list(zip(indices, self._image_rows(), strict=True))
        worst: list[dict[str, Any]] = []
        for at, result in enumerate(self.results):
            own = [row for index, row in rows if index == at and row["value"] is not None]
            keyed = [(badness(row["value"], result.direction), row) for row in own]
            ranked = sorted(keyed, key=itemgetter(0), reverse=True)
            worst.extend(row for _, row in ranked[:n])
        several = ["model"] if len(self.models) > 1 else []
        return frame_of(worst, [*several, *WORST_COLUMNS])

    def save(self, path: PathText) -> None:
        """Writes everything: `.json`, or `.parquet` with a row an image and result.

        Raises:
            UsageError: another suffix, or the file cannot be written.
            MissingExtraError: `.parquet` needs the extra `parquet`.
        """
        presenter().save(self, Path(path))

    @classmethod
    def load(cls, path: PathText) -> Self:
        """Reads what `save` has written, or the JSON report of the command.

        A gate's file gives a `GateReport`, also by `Report.load`. Overlays are in what `save` has
        written alone.

        Raises:
            UsageError: the file cannot be read, is no report, or none of a gate where
                `GateReport.load` is asked.
        """
        found = presenter().load(Path(path))
        if not isinstance(found, cls):
            raise UsageError(f"{path} has no verdict: it is no report of a gate; use Report.load")
        return found

    def write_html(self, path: PathText, *, class_names: Sequence[str] = ()) -> None:
        """Writes one HTML page (extra `report`), with the maps that the evaluation has kept.

        Args:
            path: file to write.
            class_names: names of the classes by index; those of the models' files by default.

        Raises:
            UsageError: the file cannot be written.
        """
        _write(path, presenter().html(self, class_names))

    def write_markdown(self, path: PathText, *, class_names: Sequence[str] = ()) -> None:
        """Writes Markdown, as for a pull request; arguments as of `write_html`."""
        _write(path, presenter().markdown(self, class_names))

    def __repr__(self) -> str:
        models = ", ".join(self.captions.model(model.name) for model in self.models)
        held = f"{len(self.results)} results of {len(self.images)} images"
        return f"<{type(self).__name__} of {models}: {held}>"

    def _repr_html_(self) -> str:
        return presenter().summary(self)

    def _rows(self) -> Iterator[dict[str, Any]]:
        captions = self.captions
        for result in self.results:
            parts = {name: value_of(part) for name, part in sorted(result.parts.items())}
            yield {**captions.row(result), **summary_row(result.summary), **parts}

    def _image_rows(self) -> Iterator[dict[str, Any]]:
        captions = [self.captions.row(result) for result in self.results]
        names = names_in(self.models)
        for image in self.images:
            named = {"image": image.image, "display_name": image.display_name}
            label = label_of(image)
            for score in image.scores:
                models = self.results[score.result].models
                answer = answer_row(image, models[0] if models else "", names)
                row = captions[score.result]
                yield {**named, "label": label, **answer, **row, **score_row(score)}


def _write(path: PathText, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _without_details(row: dict[str, Any]) -> dict[str, Any]:
    """The columns of a result that fit a terminal."""
    return {name: row[name] for name in SCORE_COLUMNS}


@dataclass(frozen=True, slots=True, repr=False)
class GateReport(Report):
    """Results of an evaluation with the verdict on one of its models.

    Attributes:
        model: the candidate, `models/sha256-...`.
        policy: the rules, with the preprocessing that was used.
        verdict: whether the model may ship, and why.
    """

    model: str
    policy: Policy
    verdict: Verdict

    @classmethod
    def of(cls, report: Report, model: str, policy: Policy, verdict: Verdict) -> Self:
        """The results with a verdict on one of their models."""
        held = (report.evaluation, report.images, report.models, report.dataset)
        return cls(*held, model=model, policy=policy, verdict=verdict)

    @property
    def passed(self) -> bool:
        """Whether the model may ship; warnings allowed."""
        return self.verdict.outcome in {Verdict.OUTCOME_PASS, Verdict.OUTCOME_WARN}

    def write_junit(self, path: PathText, *, class_names: Sequence[str] = ()) -> None:
        """Writes JUnit XML, a case a check; arguments as of `write_html`."""
        _write(path, presenter().junit(self, class_names))


class UnjudgedError(HeatproofError):
    """An evaluation has succeeded, but no verdict could be made on it.

    Attributes:
        report: the results.
    """

    def __init__(self, report: Report, cause: HeatproofError) -> None:
        super().__init__(
            f"{report.evaluation.name} is evaluated and kept, but there is no verdict: {cause}"
        )
        self.report = report
