"""What an evaluation found, a gate's verdict on it, comparisons, and weights for training."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from heatproof.client.documents.captions import Captions
from heatproof.client.documents.messages import short_name
from heatproof.client.errors import HeatproofError
from heatproof.client.extras import required
from heatproof.v1.comparison_pb2 import ModelComparison, ModelDifference
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.gate_pb2 import Policy, Verdict
from heatproof.v1.model_pb2 import Model
from heatproof.v1.reliability_pb2 import MetricReliability
from heatproof.v1.results_pb2 import (
    ConsistencyWeight,
    ImageResult,
    ImageScore,
    MetricResult,
    Score,
    Summary,
)

if TYPE_CHECKING:
    import pandas as pd

WEIGHT_COLUMNS: Final = ("file", "weight", "flipped", "undefined", "image")
"""Columns of a table of weights."""


@dataclass(frozen=True, slots=True)
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

    def to_pandas(self) -> "pd.DataFrame":
        """One row a result: the score, its interval and how many images were scored."""
        pandas = required("pandas", extra="report")
        frame: pd.DataFrame = pandas.DataFrame(list(self._rows()))
        return frame

    def images_to_pandas(self) -> "pd.DataFrame":
        """One row an image and result: the score or the reason for its absence, and its parts."""
        pandas = required("pandas", extra="report")
        frame: pd.DataFrame = pandas.DataFrame(list(self._image_rows()))
        return frame

    def _rows(self) -> Iterator[dict[str, Any]]:
        captions = self.captions
        for result in self.results:
            parts = {name: _value(part) for name, part in sorted(result.parts.items())}
            yield {**captions.row(result), **_summary_row(result.summary), **parts}

    def _image_rows(self) -> Iterator[dict[str, Any]]:
        names = self.captions
        captions = [names.row(result) for result in self.results]
        for image in self.images:
            named = {"image": image.image, "display_name": image.display_name}
            label = label_of(image)
            for score in image.scores:
                yield {**named, "label": label, **captions[score.result], **_score_row(score)}


def label_of(image: ImageResult) -> int | tuple[int, ...] | None:
    """The true class of an image, all classes that it shows, or None where neither is known."""
    if image.HasField("labels"):
        return tuple(image.labels.classes)
    return image.label if image.HasField("label") else None


def joined(parts: Iterable[ImageResult]) -> list[ImageResult]:
    """Puts the results of images together that came in several messages."""
    whole: list[ImageResult] = []
    for part in parts:
        if part.continuation and whole:
            whole[-1].scores.extend(part.scores)
            whole[-1].overlays.extend(part.overlays)
        else:
            whole.append(part)
    return whole


def _score_row(score: ImageScore) -> dict[str, Any]:
    parts = {name: _score(part) for name, part in sorted(score.parts.items())}
    return {"value": _score(score.score), "undefined": score.score.undefined.reason, **parts}


def _summary_row(summary: Summary) -> dict[str, Any]:
    has_error, has_ends = summary.HasField("standard_error"), summary.HasField("interval")
    return {
        "value": _value(summary),
        "standard_error": summary.standard_error if has_error else None,
        "lower": summary.interval.lower if has_ends else None,
        "upper": summary.interval.upper if has_ends else None,
        "scored": summary.scored,
        "undefined": dict(summary.undefined),
    }


def _score(score: Score) -> float | None:
    return score.value if score.WhichOneof("outcome") == "value" else None


def _value(summary: Summary) -> float | None:
    return summary.value if summary.HasField("value") else None


@dataclass(frozen=True, slots=True)
class GateReport(Report):
    """Results of an evaluation with the verdict on one of its models.

    Attributes:
        model: the candidate, `models/...`.
        policy: the rules, with the preprocessing that was used.
        verdict: whether the model may ship, and why.
    """

    model: str
    policy: Policy
    verdict: Verdict

    @property
    def passed(self) -> bool:
        """Whether the model may ship; warnings allowed."""
        return self.verdict.outcome in {Verdict.OUTCOME_PASS, Verdict.OUTCOME_WARN}


@dataclass(frozen=True, slots=True)
class ModelComparisons:
    """The models of an evaluation, compared quantity by quantity.

    Attributes:
        comparisons: one a quantity, as messages of the contract.
        captions: short names of models, metrics, removal operators and explainers.
    """

    comparisons: tuple[ModelComparison, ...]
    captions: Captions

    def to_pandas(self) -> "pd.DataFrame":
        """One row a quantity and pair of models: the difference, its interval and its p-values."""
        pandas = required("pandas", extra="report")
        frame: pd.DataFrame = pandas.DataFrame(
            [
                {**self._columns(one), **self._difference(each), "images": one.images}
                for one in self.comparisons
                for each in one.differences
            ]
        )
        return frame

    def models_to_pandas(self) -> "pd.DataFrame":
        """One row a quantity and model, or control map (`control`): its value and interval."""
        pandas = required("pandas", extra="report")
        frame: pd.DataFrame = pandas.DataFrame(
            [
                {**self._columns(one), **named, **_summary_row(summary)}
                for one in self.comparisons
                for named, summary in self._summaries(one)
            ]
        )
        return frame

    def _columns(self, one: ModelComparison) -> dict[str, Any]:
        return {**self.captions.setting(one), "part": one.part, "control": one.control}

    def _summaries(self, one: ModelComparison) -> Iterator[tuple[dict[str, Any], Summary]]:
        for held in one.models:
            yield {"model": self.captions.model(held.model)}, held.summary
        for name, summary in sorted(one.controls.items()):
            yield {"model": name, "control": True}, summary

    def _difference(self, found: ModelDifference) -> dict[str, Any]:
        has_ends = found.HasField("interval")
        return {
            "first": self.captions.model(found.first),
            "second": self.captions.model(found.second),
            "difference": found.difference if found.HasField("difference") else None,
            "lower": found.interval.lower if has_ends else None,
            "upper": found.interval.upper if has_ends else None,
            "p_value": found.p_value if found.HasField("p_value") else None,
            "adjusted_p_value": (
                found.adjusted_p_value if found.HasField("adjusted_p_value") else None
            ),
            "undefined": found.undefined.reason,
        }


@dataclass(frozen=True, slots=True)
class MetricReliabilities:
    """Which metrics of an evaluation deserve trust.

    Attributes:
        reliabilities: one a model, metric and removal operator, as messages of the contract.
        captions: short names of models, metrics, removal operators and explainers.
    """

    reliabilities: tuple[MetricReliability, ...]
    captions: Captions

    def to_pandas(self) -> "pd.DataFrame":
        """One row a metric: whether its scores deserve trust, and the numbers behind that."""
        pandas = required("pandas", extra="report")
        frame: pd.DataFrame = pandas.DataFrame([self._row(one) for one in self.reliabilities])
        return frame

    def _row(self, one: MetricReliability) -> dict[str, Any]:
        kind = MetricReliability.Trust.DESCRIPTOR
        return {
            "model": self.captions.model(one.model),
            "metric": self.captions.short(one.metric),
            "removal": self.captions.short(one.removal),
            "trust_of_mean": short_name(kind, one.trust_of_mean),
            "trust_of_image": short_name(kind, one.trust_of_image),
            "image_agreement": _value(one.image_agreement),
            "explainer_agreement": _value(one.explainer_agreement),
            "resilience": _value(one.resilience),
            "images": one.images,
        }


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


@dataclass(frozen=True, slots=True)
class ConsistencyWeights:
    """How much each image of a data set should count in training.

    Attributes:
        report: the evaluation that the weights come from.
        weights: one an image, as messages of the contract, in the order of the data set.
    """

    report: Report
    weights: tuple[ConsistencyWeight, ...]

    def to_numpy(self, absent: float = 1.0) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """The weights in the order of the data set, [images], in [0, 1].

        Args:
            absent: weight of images without one of their own, such as those without background.
        """
        return np.array(
            [one.weight if one.HasField("weight") else absent for one in self.weights], np.float64
        )

    def to_pandas(self) -> "pd.DataFrame":
        """One row an image; a missing weight is NaN, with its reason beside it."""
        pandas = required("pandas", extra="report")
        frame: pd.DataFrame = pandas.DataFrame(list(self.rows()), columns=list(WEIGHT_COLUMNS))
        return frame

    def rows(self) -> Iterator[tuple[str, float | None, bool | None, str, str]]:
        """Rows of a table with `WEIGHT_COLUMNS`; None and "" stand for what there is not."""
        for one in self.weights:
            weight = one.weight if one.HasField("weight") else None
            flipped = one.flipped if one.HasField("flipped") else None
            yield one.display_name, weight, flipped, one.undefined.reason, one.image

    def write_csv(self, path: Path) -> None:
        """Writes a CSV file with a header; what there is not is an empty field.

        Raises:
            OSError: the file cannot be written.
        """
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(WEIGHT_COLUMNS)
            writer.writerows(self.rows())
