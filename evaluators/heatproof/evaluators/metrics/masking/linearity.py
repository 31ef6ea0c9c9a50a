"""Linearity: whether features of the patches of an image add up to those of the image."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError
from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import MaskedView, Prediction, Procedure, ask, chunks
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

_SPATIAL_RANK: Final = 3
_COSINE: Final = Range(-1, 1)

Features = Float64[np.ndarray, "features"]


@METRICS.register
@dataclass(frozen=True, slots=True)
class Linearity(Metric):
    """Compares the summed features of single patches with the features of the whole image.

    `cos(sum of f_i, f)`, `f_i` with patch i alone visible. Features are those before the
    classifier: of a tensor with rows and columns, the mean over its visible cells. A property of
    model and operator.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="linearity",
        reference="Balasubramanian and Feizi 2022, arXiv 2211.14646",
        category=MetricCategory.MASKING,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.REMOVAL,),
    )

    patch: int = parameter(32, "Side of a patch in pixels, about.", within=Range(8, 1024))
    tensor: str = parameter(
        "", "Features; empty: the last spatial tensor before the global pool, averaged."
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the cosines."""
        return Mean(_COSINE)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The published distance, the cosine of weighted features, and vanished patches."""
        return {
            "distance": Mean(NOT_NEGATIVE),
            "weighted_cosine": Mean(_COSINE),
            "n_zero_coverage": Mean(NOT_NEGATIVE),
        }

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A look at the features."""
        tensor = self._tensor(model)
        return (ModelPass(model.model, taps=(tensor,)),) if tensor else ()

    def check(self, case: Case) -> None:
        """Refuses patches larger than half of the input, and tensors that the model lacks."""
        model = case.model
        most = min(model.height, model.width) // 2
        if self.patch > most:
            raise InvalidArgumentError(
                f"patch is {self.patch}, but the input has {model.width} x {model.height} pixels: "
                f"at most {most}, so that there are several",
                field="patch",
            )
        if self.tensor and model.tensors and self.tensor not in model.tensors:
            raise UnknownNameError.among("tensor", self.tensor, model.tensors, field="tensor")
        if not self._tensor(model):
            raise InvalidArgumentError(
                f"{model.model} has no spatial tensor before its global pool: set tensor",
                field="tensor",
            )

    def cost(self, case: Case) -> Cost:
        """Every patch, and the whole image with a look at its features."""
        return Cost(views=self._grid(case).cells + 1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`cos(sum of f_i, f)`."""
        answers: list[Prediction] = []
        for chunk in chunks(self._views(case)):
            answers += yield from ask(chunk)
        tensor = self._tensor(case.model)
        union, *parts = (_pooled(answer, tensor) for answer in answers)
        if not np.isfinite([union, *parts]).all():
            return Outcome(Undefined(Reason.NOT_FINITE, "features hold NaN or infinity"))
        if not union.any():
            return Outcome(Undefined(Reason.DEGENERATE, "all features of the image are 0"))
        coverage = np.array([answer.coverage for answer in answers[1:]])
        summed = np.sum(parts, axis=0)
        weighted = coverage @ np.array(parts)
        distance = float(np.linalg.norm(summed - union) / (np.linalg.norm(union) + 1e-8))
        scores: dict[str, Score] = {
            "distance": distance,
            "weighted_cosine": _cosine(weighted, union),
            "n_zero_coverage": float((coverage == 0).sum()),
        }
        return Outcome(_cosine(summed, union), scores)

    def _views(self, case: Case) -> Iterator[MaskedView]:
        """The whole image, then each patch alone."""
        sample, grid = case.sample, self._grid(case)
        run = ModelPass(sample.facts.model, sample.weights, taps=(self._tensor(case.model),))
        yield replace(sample.view(), run=run)
        for index in range(grid.cells):
            visible: Mask = grid.spread(np.arange(grid.cells) == index)
            view = sample.view(visible, case.removal)
            yield replace(view, run=replace(view.run, taps=run.taps))

    def _grid(self, case: Case) -> GridCells:
        return case.grid(max(1, round(min(case.model.height, case.model.width) / self.patch)))

    def _tensor(self, model: PredictorFacts) -> str:
        """The tensor that is named, or the model's own; "" if it has none."""
        return self.tensor or model.cam_tensor


def _pooled(answer: Prediction, tensor: str) -> Features:
    """Features of an answer; of a spatial tensor the mean over its visible cells, 0 if none is."""
    found = answer.features[tensor].astype(np.float64)
    if answer.coverage == 0:
        found = np.zeros_like(found)
    if found.ndim != _SPATIAL_RANK:
        return found.reshape(-1)
    return np.asarray(found.mean(axis=(1, 2)) / (answer.coverage or 1.0))


def _cosine(first: Features, second: Features) -> Score:
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    if not lengths > 0:
        return Undefined(Reason.ZERO_COVERAGE, "no patch alone leaves a feature")
    return float(np.clip(first @ second / lengths, -1, 1))
