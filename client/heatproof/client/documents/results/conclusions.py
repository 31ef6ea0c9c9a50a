"""Comparisons of models, which metrics deserve trust, and weights for training."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from heatproof.client.documents.captions import Captions
from heatproof.client.documents.messages import short_name
from heatproof.client.documents.results.frames import frame_of
from heatproof.client.documents.results.reports import Report
from heatproof.client.documents.results.rows import summary_row, value_of
from heatproof.v1.comparison_pb2 import ModelComparison, ModelDifference
from heatproof.v1.reliability_pb2 import MetricReliability
from heatproof.v1.results_pb2 import ConsistencyWeight, Summary

if TYPE_CHECKING:
    import pandas as pd

WEIGHT_COLUMNS: Final = ("file", "weight", "flipped", "undefined", "image")
"""Columns of a table of weights."""


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
        return frame_of(
            {**self._columns(one), **self._difference(each), "images": one.images}
            for one in self.comparisons
            for each in one.differences
        )

    def models_to_pandas(self) -> "pd.DataFrame":
        """One row a quantity and model, or control map (`control`): its value and interval."""
        return frame_of(
            {**self._columns(one), **named, **summary_row(summary)}
            for one in self.comparisons
            for named, summary in self._summaries(one)
        )

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
        return frame_of(self._row(one) for one in self.reliabilities)

    def _row(self, one: MetricReliability) -> dict[str, Any]:
        kind = MetricReliability.Trust.DESCRIPTOR
        return {
            "model": self.captions.model(one.model),
            "metric": self.captions.short(one.metric),
            "removal": self.captions.short(one.removal),
            "trust_of_mean": short_name(kind, one.trust_of_mean),
            "trust_of_image": short_name(kind, one.trust_of_image),
            "image_agreement": value_of(one.image_agreement),
            "explainer_agreement": value_of(one.explainer_agreement),
            "resilience": value_of(one.resilience),
            "images": one.images,
        }


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
        return frame_of(self.rows(), WEIGHT_COLUMNS)

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
