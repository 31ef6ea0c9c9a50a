"""Input invariance: whether a map changes when the input is shifted and the model takes it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.axioms.shifted_inputs import shifted_map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Proportion, Reduction

_SAME: Final = 1e-4
"""Maps that differ by no more, relative to their largest value, are the same."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class InputInvariance(Metric):
    """Takes how far the map changes when the input is shifted and the model takes the shift back.

    `max|A' - A| / max|A|` with A' the map of `x + shift` for the model `f(. - shift)`, which says
    of it what f says of x. A property of an explainer's formula, above all of its baseline.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="input_invariance",
        reference="Kindermans et al. 2017, arXiv 1711.00867",
        category=MetricCategory.AXIOMS,
        direction=Direction.CLOSER_TO_ZERO,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )

    shift: float = parameter(
        -1.0, "What is added to every value of the image; not 0.", within=Range(-10, 10)
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the changes."""
        return Mean(NOT_NEGATIVE)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The share of images whose map stays."""
        return {"invariant": Proportion()}

    def check(self, case: Case) -> None:
        """Refuses a shift of nothing."""
        if self.shift == 0:
            raise InvalidArgumentError(
                "shift is 0, which changes no input: choose another, such as -1", field="shift"
            )

    def cost(self, case: Case) -> Cost:
        """A map of the shifted image."""
        return Cost(explanations=1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`max|A' - A| / max|A|`."""
        if case.map.min() == case.map.max():
            return Outcome(Undefined(Reason.DEGENERATE, "the map is constant"))
        made = yield from shifted_map(case.explainer, case.sample, self.shift)
        if isinstance(made, Undefined):
            return Outcome(made)
        change = float(np.abs(made - case.map).max() / np.abs(case.map).max())
        return Outcome(
            change, {"invariant": change if np.isnan(change) else float(change <= _SAME)}
        )
