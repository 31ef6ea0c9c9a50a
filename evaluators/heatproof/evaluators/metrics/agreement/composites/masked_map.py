"""What the composites share: the image as the map keeps it, explained again."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.masked_confidence.masked_confidence import visibility
from heatproof.evaluators.metrics.functions.correlations import pearson
from heatproof.evaluators.metrics.metric import OCCLUSION_CONFOUND, Cost, Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.procedure import Procedure, predict
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@dataclass(frozen=True, slots=True, eq=False)
class MaskedMap:
    """What the map keeps of an image, and what is made of it.

    Attributes:
        heat: the positive part of the map, scaled to [0, 1].
        confidence: probability of the target on `x' = H x + (1 - H) x0`.
        coherency: `(Pearson(A(x'), A(x)) + 1) / 2`; 0 where the map of x' is constant.
    """

    heat: Map
    confidence: float
    coherency: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedMapMetric(Metric):
    """Explains again what the map keeps of the image, `x' = H x + (1 - H) x0`."""

    @property
    def reduction(self) -> Reduction:
        """The mean of composites, which are 0 where one of their terms is."""
        return Mean(UNIT, (0.0,))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The terms."""
        return dict.fromkeys(self.terms, Mean(UNIT))

    @property
    @abstractmethod
    def terms(self) -> Sequence[str]:
        """Names of the parts that a score is made of."""

    @property
    def comparison_caution(self) -> str:
        """As whatever is read off masked images."""
        return OCCLUSION_CONFOUND

    def check(self, case: Case) -> None:
        """Refuses operators that paint nothing by themselves, so that there is no x'."""
        if not case.removal.blends:
            raise InvalidArgumentError(
                f"{self.name} mixes the image with what the removal operator paints where nothing "
                f"is visible, and {case.removal.name} has no such picture: choose an operator that "
                "paints by itself, such as grey or blur"
            )

    def cost(self, case: Case) -> Cost:
        """The answer to x' and its explanation."""
        return Cost(views=1, explanations=1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        if reason := self.unfit(case):
            return Outcome(reason)
        found = yield from _masked_map(case)
        if isinstance(found, Undefined):
            return Outcome(found)
        return (yield from self.combine(case, found))

    def unfit(self, case: Case) -> Undefined | None:  # most score any image
        """Why an image is not scored, whatever its map."""
        return None

    @abstractmethod
    def combine(self, case: Case, found: MaskedMap) -> Procedure[Outcome]:
        """Makes the score."""


def _masked_map(case: Case) -> Procedure[MaskedMap | Undefined]:
    heat = visibility(case.map)
    if isinstance(heat, Undefined):
        return heat
    view = case.sample.blend(heat, case.removal)
    answer = yield from predict(view)
    confidence = case.sample.probability(answer)
    if not isfinite(confidence):
        return Undefined(Reason.NOT_FINITE, "the answer to what the map keeps is not finite")
    made = yield from case.explain(case.sample.moved(view.image, answer))
    if isinstance(made, Undefined):
        return made
    if not np.isfinite(made).all():
        return Undefined(Reason.NOT_FINITE, "the map of what the map keeps is not finite")
    likeness = pearson(made.reshape(-1), case.map.reshape(-1))
    return MaskedMap(heat, confidence, 0.0 if likeness is None else (likeness + 1) / 2)


def harmonic(terms: Mapping[str, float], turned: Mapping[str, float]) -> Outcome:
    """The harmonic mean of terms of which more is better, 0 where one of them is.

    Args:
        terms: as parts name them.
        turned: the same, or `1 - term` where less is better.
    """
    values = list(turned.values())
    mean = len(values) / sum(1 / value for value in values) if min(values) > 0 else 0.0
    parts: dict[str, Score] = dict(terms)
    return Outcome(UNIT.clip(mean), parts)
