"""The engine of what the class keeps of its probability when only what a map keeps is shown."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import OCCLUSION_CONFOUND, Cost, Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.procedure import MaskedView, Procedure, predict
from heatproof.evaluators.regions import Grid, Segmentation
from heatproof.evaluators.regions.grid import ranks, saliency_order
from heatproof.evaluators.regions.segmentation import check_segmentation
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.statistics.reductions import Mean, Reduction

_DECIMALS: Final = 9
"""Shares are given in decimals: 0.29 of 100 regions are 29, although 0.29 * 100 < 29 in binary."""

_PARTS: Final[Mapping[str, Reduction]] = {
    "masked_confidence": Mean(UNIT),
    "confidence_change": Mean(Range(-1, 1)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedConfidence(Metric):
    """Compares `s' = s(x')` with `s(x)`, where `x'` shows what the map keeps of the image.

    `x' = H x + (1 - H) x0` with H the positive part of the map scaled to [0, 1], and `x0` the image
    with everything removed; or the most salient regions alone. All metrics of one `keep` and
    removal operator ask for one and the same prediction.
    """

    keep: float = parameter(
        0.0,
        "Share of the regions that is shown, most salient first; 0: each pixel as far as the map "
        "says, mixed with what the removal operator paints.",
        within=Range(0, 1, upper_included=False),
    )
    regions: Segmentation = parameter(Grid(), "What `keep` is a share of.")

    @abstractmethod
    def compare(self, confidence: float, masked: float) -> Outcome:
        """Scores `s(x)` and `s'`."""

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Both are means; presets add to them."""
        return {**_PARTS, **self.own_parts}

    @property
    def own_parts(self) -> Mapping[str, Reduction]:  # most have none
        """Parts of the preset."""
        return {}

    @property
    def comparison_caution(self) -> str:
        """As whatever is read off masked images."""
        return OCCLUSION_CONFOUND

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit, and operators that paint nothing to mix with."""
        if self.keep:
            check_segmentation(self.regions, case.model.height, case.model.width)
        elif not case.removal.blends:
            raise InvalidArgumentError(
                f"keep is 0, which mixes the image with what the removal operator paints where "
                f"nothing is visible, and {case.removal.name} has no such picture: set keep to a "
                "share of the regions, such as 0.2, or choose an operator that paints by itself, "
                "such as grey or blur",
                field="keep",
            )

    def cost(self, case: Case) -> Cost:
        """What the map keeps."""
        return Cost(views=1)

    def unfit(self, confidence: float) -> Undefined | None:  # differences have no denominator
        """Why an image of this probability is not scored."""
        return None

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        confidence = case.sample.confidence
        if reason := self.unfit(confidence):
            return Outcome(reason)
        view = self._shown(case)
        if isinstance(view, Undefined):
            return Outcome(view)
        answer = yield from predict(view)
        if answer.coverage == 0:
            detail = "nothing of what the map keeps reaches the end of the network"
            return Outcome(Undefined(Reason.ZERO_COVERAGE, detail))
        masked = case.sample.probability(answer)
        if not isfinite(masked):
            detail = "the model's answer to a perturbed image holds NaN or infinity"
            return Outcome(Undefined(Reason.NOT_FINITE, detail))
        outcome = self.compare(confidence, masked)
        parts: dict[str, Score] = {
            "masked_confidence": masked,
            "confidence_change": masked - confidence,
        }
        return Outcome(outcome.score, {**parts, **outcome.parts})

    def _shown(self, case: Case) -> MaskedView | Undefined:
        if not self.keep:
            shares = visibility(case.map)
            return (
                shares if isinstance(shares, Undefined) else case.sample.blend(shares, case.removal)
            )
        regions = case.sample.regions(self.regions)
        order = saliency_order(regions, case.map, case.sample.rng("ties"))
        if isinstance(order, Undefined):
            return order
        kept = max(1, int(np.floor(np.round(self.keep * regions.cells, _DECIMALS))))
        return case.sample.view(regions.spread(ranks(order) < kept), case.removal)


def visibility(attribution: Map) -> Map | Undefined:
    """The positive part of a map, scaled to [0, 1] by its least and its largest value."""
    positive = np.maximum(attribution, 0)
    low, high = positive.min(), positive.max()
    if not high > low:
        detail = "the positive part of the map is constant, so that it keeps nothing or everything"
        return Undefined(Reason.DEGENERATE, detail)
    return np.asarray((positive - low) / (high - low))
