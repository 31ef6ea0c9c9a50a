"""Generalized explanation faithfulness: whether a map moves as much as the model it explains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import is_constant, spearman
from heatproof.evaluators.metrics.masking.predicted_class import hit, predicted_class
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.randomization.model_randomization import (
    RandomizedModels,
    rms_scaled,
    sound_map,
)
from heatproof.evaluators.outcomes import (
    Curve,
    CurveFacts,
    CurveRole,
    Direction,
    Outcome,
    Reason,
    Undefined,
)
from heatproof.evaluators.queries.passes import WeightNoise, Weights
from heatproof.evaluators.queries.procedure import Procedure, in_turn, together
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

SMALLEST: Final = 1e-3
"""Deviation of the noise at the first level."""

RUNGS: Final = tuple(0.0125 * 2.0**step for step in range(8))
"""Deviations out of which the largest one is found, 0.0125 to 1.6."""

_PROBES: Final = 3
"""Deviations of the ladder that halving asks about."""

Distortions: TypeAlias = Float64[np.ndarray, "model_and_map levels"]
"""How far the target's logit, and the map, moved at each level of one draw."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class Gef(RandomizedModels):
    """Asks whether the map moves as far as the model does when noise is laid on all weights.

    The mean over draws of Spearman's correlation, over levels of noise, of how far the target's
    logit and the map moved; the fast form, in which the map's way is the Euclidean distance. A map
    that moves equally far at all levels, as one that is blind to the weights, correlates with
    nothing: 0. How the largest level is found is Heatproof's choice.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="gef",
        reference="Hedström et al. 2025, TMLR, openreview ukLxqA8zXj",
        category=MetricCategory.RANDOMIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER, Reads.RANDOMIZED_MODELS),
    )

    levels: int = parameter(5, "Levels of the noise.", within=Range(3, 100))
    draws: int = parameter(5, "Draws of the noise at each level.", within=Range(1, 100))
    largest_deviation: float = parameter(
        0.0,
        "Standard deviation of the noise at the last level; 0: found for each image.",
        within=Range(0, 10),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the correlations."""
        return Mean(Range(-1, 1))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The noise at the last level, and the draws in which the map moved equally far."""
        return {
            "largest_deviation": Mean(Range(0, 10)),
            "n_constant": Mean(Range(0, self.draws)),
        }

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """Both ways, each in units of its own root mean square over the levels."""
        unit, x_unit = "share of the root mean square", "level, from the least to the largest noise"
        return {
            "model": CurveFacts("the logit's way", CurveRole.REFERENCE, unit, x_unit),
            "map": CurveFacts("the map's way", CurveRole.SCORED, unit, x_unit),
        }

    def check(self, case: Case) -> None:
        """Refuses what has no levels: no weights, no way to find the largest, or none above 0.001.

        Raises:
            InvalidArgumentError: the largest deviation is at fault.
            UnsupportedOperatorError: the model has no weights.
        """
        RandomizedModels.check(self, case)
        if 0 < self.largest_deviation <= SMALLEST:
            raise InvalidArgumentError(
                f"largest_deviation must be above {SMALLEST}, where the levels begin, or 0 to have "
                f"it found, not {self.largest_deviation}",
                field="largest_deviation",
            )
        if case.model.classes == 1 and not self.largest_deviation:
            raise InvalidArgumentError(
                f"largest_deviation is found where the model loses its class, and "
                f"{case.model.model} has one alone: state it",
                field="largest_deviation",
            )

    def cost(self, case: Case) -> Cost:
        """A prediction and a map at each level of each draw, and the predictions of the search."""
        noised = self.levels * self.draws
        search = 0 if self.largest_deviation else _PROBES * self.draws
        return Cost(views=noised + search, explanations=noised)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`mean over m of spearman_j(|z - z_jm|, ||A / rms(A) - A_jm / rms(A_jm)||)`."""
        if is_constant(case.map.reshape(-1)):
            return Outcome(Undefined(Reason.DEGENERATE, "the map of the trained model is constant"))
        largest = self.largest_deviation or (yield from self._found(case))
        deviations = np.linspace(SMALLEST, largest, self.levels).tolist()
        draws = range(self.draws)
        found = yield from in_turn(self._distorted(case, deviations, draw) for draw in draws)
        reason = next((one for one in found if isinstance(one, Undefined)), None)
        if reason is not None:
            return Outcome(reason)
        return self._outcome(largest, [one for one in found if not isinstance(one, Undefined)])

    def _found(self, case: Case) -> Procedure[float]:
        """By halving, where on the ladder the image's class is kept no more often than by chance.

        The last rung where it is kept on all others.
        """
        low, high = 0, len(RUNGS) - 1
        while low < high:
            middle = (low + high) // 2
            is_lost = yield from self._is_lost(case, RUNGS[middle])
            low, high = (low, middle) if is_lost else (middle + 1, high)
        return RUNGS[low]

    def _is_lost(self, case: Case, deviation: float) -> Procedure[bool]:
        weights = (_weights(case, deviation, draw) for draw in range(self.draws))
        samples = yield from together(case.randomized(one).answered() for one in weights)
        expected = predicted_class(case.sample.clean)
        kept = sum(hit(sample.clean, expected) == 1 for sample in samples)
        return kept * case.model.classes <= self.draws

    def _distorted(
        self, case: Case, deviations: Sequence[float], draw: int
    ) -> Procedure[Distortions | Undefined]:
        """How far logit and map moved at each level, or why that is not known."""
        levels = (self._moved(case, _weights(case, one, draw)) for one in deviations)
        found = yield from together(levels)
        reason = next((one for one in found if isinstance(one, Undefined)), None)
        if reason is not None:
            return reason
        distortions = np.array(found, np.float64).T
        if is_constant(distortions[0]):
            detail = "the target's logit does not follow the noise on the weights"
            return Undefined(Reason.DEGENERATE, detail)
        return distortions

    def _moved(self, case: Case, weights: Weights) -> Procedure[tuple[float, float] | Undefined]:
        sample = yield from case.randomized(weights).answered()
        if not np.isfinite(sample.clean.logits).all():
            return Undefined(Reason.NOT_FINITE, "the answer of a model with noise is not finite")
        made = yield from sound_map(case, sample, "a model with noise")
        if isinstance(made, Undefined):
            return made
        logit = sample.logit(sample.clean) - case.sample.logit(case.sample.clean)
        return abs(logit), _distance(case.map, made)

    def _outcome(self, largest: float, found: Sequence[Distortions]) -> Outcome:
        correlations = [spearman(model, moved) for model, moved in found]
        constant = sum(one is None for one in correlations)
        parts = {"largest_deviation": largest, "n_constant": float(constant)}
        ways = np.mean([_over_rms(one) for one in found], axis=0)
        levels = tuple(np.linspace(0, 1, self.levels).tolist())
        curves = {
            name: Curve(levels, tuple(way.tolist()))
            for name, way in zip(("model", "map"), ways, strict=True)
        }
        return Outcome(float(np.mean([one or 0.0 for one in correlations])), parts, curves)


def _weights(case: Case, deviation: float, draw: int) -> Weights:
    """All weights with noise, the same for all images."""
    return Weights(case.model.layers, case.sample.seed, WeightNoise(deviation, draw))


def _distance(trained: Map, noised: Map) -> float:
    return float(np.linalg.norm(rms_scaled(trained) - rms_scaled(noised)))


def _over_rms(distortions: Distortions) -> Distortions:
    """Each way over its root mean square; a way of zeros stays one."""
    scales = np.sqrt(np.mean(distortions**2, axis=1, keepdims=True))
    scaled: Distortions = distortions / np.where(scales > 0, scales, 1)
    return scaled
