"""The LIME protocol: whether LIME finds the object when an operator hides its segments."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.explainers.perturbation.surrogate import (
    Fit,
    SurrogateParameters,
    check_regions,
    unfit_regions,
)
from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.masking.predicted_class import label_hit, unlabelled
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.procedure import Procedure, predict
from heatproof.evaluators.regions import Quickshift, Regions, Segmentation
from heatproof.evaluators.regions.grid import Order, descending
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Proportion, Reduction

_SAME: Final = 1e-7
"""Probabilities that differ by no more than this do not depend on what is hidden."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class LimeProtocol(SurrogateParameters, Metric):
    """Asks how well LIME's segments agree with the object, hiding them by an operator.

    `cos(w, g)` of LIME's coefficients w of the segments and the object g, which is the sum over
    each segment of the mean-centred object mask. A property of model and operator: LIME is the
    instrument, with the same samples for all models and operators.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="lime_protocol",
        reference="Balasubramanian and Feizi 2022, arXiv 2211.14646",
        category=MetricCategory.MASKING,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.REMOVAL, Reads.OBJECTS),
    )

    regions: Segmentation = parameter(Quickshift(), "The segments.")
    samples: int = parameter(
        512, "Samples, the first of which shows all segments.", within=Range(8, 100_000)
    )
    top: int = parameter(
        20, "Segments of the highest coefficients; at most half of them.", within=Range(1, 4096)
    )

    @property
    def reduction(self) -> Reduction:
        """The mean alignment."""
        return Mean(Range(-1, 1))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Overlap of the top segments with the object, hits without them, and counts."""
        return {
            "jaccard": Mean(UNIT),
            "ablation_hit": Proportion(),
            "n_zero_coverage": Mean(NOT_NEGATIVE),
        }

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit the input, or that are too many for a linear model."""
        check_regions(self.regions, case.model.height, case.model.width)

    def cost(self, case: Case) -> Cost:
        """Every sample, and the image without the top segments."""
        return Cost(views=self.samples + 1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`cos(w, g)`, `g_k = sum over segment k of (object - mean of the object)`."""
        sample, objects = case.sample, case.objects
        if objects is None or not objects.any():
            return Outcome(Undefined(Reason.NO_OBJECT, "no pixel of the input is marked as object"))
        if objects.all():
            return Outcome(Undefined(Reason.FULL_OBJECT, "every pixel is marked as object"))
        regions = sample.regions(self.regions)
        if (reason := _unfit(regions)) is not None:
            return Outcome(reason)
        fit = yield from self.surrogate(self.samples).fit(sample, regions, case.removal)
        chosen = self._chosen(fit, regions, sample.rng("ties"))
        ablated = yield from predict(sample.view(regions.hiding(chosen), case.removal))
        parts: dict[str, Score] = {
            "jaccard": _jaccard(~regions.hiding(chosen), objects),
            "n_zero_coverage": float(fit.zero_coverage + (ablated.coverage == 0)),
        }
        parts["ablation_hit"] = unlabelled(sample.label) or label_hit(ablated, sample.label)
        return Outcome(_alignment(fit, regions, objects), parts)

    def _chosen(self, fit: Fit, regions: Regions, rng: np.random.Generator) -> Order:
        """The top segments; of fewer than `top` half, of at least one."""
        fits = self.top if regions.cells >= self.top else ceil(regions.cells / 2)
        return descending(fit.coefficients, rng)[:fits]


def _unfit(regions: Regions) -> Undefined | None:
    """Why no alignment is asked of these segments."""
    if regions.cells < 2:
        return Undefined(Reason.DEGENERATE, "the image is one segment, so there is nothing to rank")
    return unfit_regions(regions)


def _alignment(fit: Fit, regions: Regions, objects: Mask) -> Score:
    marked = objects.astype(np.float64)
    wanted = regions.sums(marked - marked.mean())
    if not np.isfinite(fit.probabilities).all():
        return Undefined(Reason.NOT_FINITE, "the model's answers hold NaN or infinity")
    if np.ptp(fit.probabilities) <= _SAME:
        return Undefined(Reason.NO_PLACE_EFFECT, "no segment changes what the model says")
    lengths = float(np.linalg.norm(fit.coefficients) * np.linalg.norm(wanted))
    if not lengths > 0:
        return Undefined(Reason.DEGENERATE, "every segment holds the same share of the object")
    return float(np.clip(fit.coefficients @ wanted / lengths, -1, 1))


def _jaccard(shown: Mask, objects: Mask) -> float:
    """Pixels in both over pixels in one of them."""
    return float((shown & objects).sum() / (shown | objects).sum())
