"""Turns the map of another explainer over: the control that must do badly."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.controls.derived import Derived
from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Inverse(Derived):
    """Turns the map of another explainer over: the control that must do badly."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="inverse",
        reference="Heatproof",
        category=ExplainerCategory.CONTROLS,
    )

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`-A`."""
        made = yield from self.of.explain(sample)
        return made if isinstance(made, Undefined) else -made
