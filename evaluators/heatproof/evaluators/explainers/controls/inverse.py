"""Turns the map of another explainer over: the control that must do badly."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.explainers.perturbation.occlusion import Occlusion
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Reads


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Inverse(Explainer):
    """Turns the map of another explainer over: the control that must do badly."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="inverse",
        reference="Heatproof",
        category=ExplainerCategory.CONTROLS,
    )

    of: Explainer = parameter(Occlusion(), "Whose map is turned over.")

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What the other one reads."""
        return self.of.reads

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """Those of the other one."""
        return self.of.passes(model)

    def check(self, model: PredictorFacts) -> None:
        """Refuses what the other one refuses, and the inverse of an inverse."""
        if isinstance(self.of, Inverse):
            raise InvalidArgumentError(
                "the inverse of an inverse is the map itself: name that explainer", field="of"
            )
        with placed(f"of.{self.of.name}"):
            self.of.check(model)

    def cost(self, model: PredictorFacts) -> int:
        """As the other one; a map that the evaluation makes anyway is not asked for twice."""
        return self.of.cost(model)

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`-A`."""
        made = yield from self.of.explain(sample)
        return made if isinstance(made, Undefined) else -made
