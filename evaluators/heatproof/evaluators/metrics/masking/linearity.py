"""Linearity: whether features of the patches of an image add up to those of the image."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.masking.features import (
    Features,
    FeaturesMetric,
    check_features,
    feature_cosine,
    features_tensor,
    look,
    pooled,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.procedure import MaskedView, Procedure
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, at_most, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

_COSINE: Final = Range(-1, 1)
_LEAST_SIDE: Final = 8
_NOTHING: Final = Undefined(Reason.ZERO_COVERAGE, "no patch alone leaves a feature")


@METRICS.register
@dataclass(frozen=True, slots=True)
class Linearity(FeaturesMetric):
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

    patch: int = parameter(32, "Side of a patch in pixels, about.", within=Range(_LEAST_SIDE, 1024))

    @property
    def reduction(self) -> Reduction:
        """The mean of the cosines."""
        return Mean(_COSINE)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The published distance, the cosine of weighted features, lengths and vanished patches."""
        return {
            "distance": Mean(NOT_NEGATIVE),
            "weighted_cosine": Mean(_COSINE),
            "patch_magnitude": Mean(NOT_NEGATIVE),
            "image_magnitude": Mean(NOT_NEGATIVE),
            "n_zero_coverage": Mean(NOT_NEGATIVE),
        }

    def check(self, case: Case) -> None:
        """Refuses patches larger than half of the input, and tensors that the model lacks."""
        model = case.model
        most = min(model.height, model.width) // 2
        if self.patch > most:
            raise InvalidArgumentError(
                f"patch is {self.patch}, but the input has {model.width} x {model.height} pixels, "
                "of which several patches are cut: "
                f"{at_most(most, least=_LEAST_SIDE, otherwise='leave linearity out')}",
                field="patch",
            )
        check_features(self.tensor, model)

    def cost(self, case: Case) -> Cost:
        """Every patch, and the whole image with a look at its features."""
        return Cost(views=self._grid(case).cells + 1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`cos(sum of f_i, f)`."""
        tensor = features_tensor(self.tensor, case.model)
        answers = yield from look(self._views(case), tensor)
        union, *parts = (pooled(answer, tensor) for answer in answers)
        if not np.isfinite([union, *parts]).all():
            return Outcome(Undefined(Reason.NOT_FINITE, "features hold NaN or infinity"))
        if not union.any():
            return Outcome(Undefined(Reason.DEGENERATE, "all features of the image are 0"))
        coverage = np.array([answer.coverage for answer in answers[1:]])
        score = feature_cosine(np.sum(parts, axis=0), union, _NOTHING)
        return Outcome(score, _parts(union, parts, coverage))

    def _views(self, case: Case) -> Iterator[MaskedView]:
        """The whole image, then each patch alone."""
        sample, grid = case.sample, self._grid(case)
        yield sample.view()
        for index in range(grid.cells):
            visible: Mask = grid.spread(np.arange(grid.cells) == index)
            yield sample.view(visible, case.removal)

    def _grid(self, case: Case) -> GridCells:
        return case.grid(max(1, round(min(case.model.height, case.model.width) / self.patch)))


def _parts(union: Features, parts: Sequence[Features], coverage: np.ndarray) -> dict[str, Score]:
    length = float(np.linalg.norm(union))
    distance = float(np.linalg.norm(np.sum(parts, axis=0) - union) / (length + 1e-8))
    return {
        "distance": distance,
        "weighted_cosine": feature_cosine(coverage @ np.array(parts), union, _NOTHING),
        "patch_magnitude": float(np.linalg.norm(parts, axis=1).mean()),
        "image_magnitude": length,
        "n_zero_coverage": float((coverage == 0).sum()),
    }
