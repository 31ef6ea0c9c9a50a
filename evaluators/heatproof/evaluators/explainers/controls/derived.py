"""Controls that are made of the map of another explainer."""

from dataclasses import dataclass

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.explainers.explainer import Explainer
from heatproof.evaluators.explainers.perturbation.occlusion import Occlusion
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Reads


@dataclass(frozen=True, slots=True)
class Derived(Explainer):
    """Makes its map of another explainer's, whose needs and cost it has.

    A map that the evaluation makes anyway is not asked for twice.
    """

    of: Explainer = parameter(Occlusion(), "Whose map it is made of.")

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What the other one reads."""
        return self.of.reads

    @property
    def reads_answer(self) -> bool:
        """As the other one."""
        return self.of.reads_answer

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """Those of the other one."""
        return self.of.passes(model)

    def check(self, model: PredictorFacts) -> None:
        """Refuses what the other one refuses, and a control made of a control of its kind."""
        if isinstance(self.of, type(self)):
            raise InvalidArgumentError(
                f"{self.name} of {self.name} is no other control: name the explainer itself",
                field="of",
            )
        with placed(f"of.{self.of.name}"):
            self.of.check(model)

    def cost(self, model: PredictorFacts) -> int:
        """As the other one."""
        return self.of.cost(model)
