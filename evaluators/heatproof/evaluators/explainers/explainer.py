"""The seam for explainers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.registry import Facts, Reads, Registered, Registry


class ExplainerCategory(StrEnum):
    """Groups of the catalog."""

    GRADIENT = "gradient"
    CAM = "cam"
    PERTURBATION = "perturbation"
    CONTROLS = "controls"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainerFacts(Facts):
    """What an explainer says of itself.

    Attributes:
        category: its group in the catalog.
    """

    category: ExplainerCategory


class Explainer(Registered, ABC):
    """Makes an attribution map of one image for one class of one model."""

    __slots__ = ()

    # Narrower than in the base, and never assigned anew.
    facts: ClassVar[ExplainerFacts]  # pyright: ignore[reportIncompatibleVariableOverride]

    parameter_type: ClassVar[str] = "explainer"

    @property
    def is_control(self) -> bool:
        """Whether its maps are known to explain nothing; uploaded maps may be anything."""
        is_own = Reads.MAPS not in self.facts.reads
        return self.facts.category is ExplainerCategory.CONTROLS and is_own

    @property
    def reads_answer(self) -> bool:
        """Whether it reads `sample.clean`; others are not handed that of a perturbed image."""
        return False

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:  # forms may differ by model
        """Ways to run the model beyond the plain one, which the model must support."""
        return ()

    def check(self, model: PredictorFacts) -> None:  # most parameters fit any model
        """Refuses parameters that do not fit together or do not fit the model.

        Raises:
            InvalidArgumentError: its field is the parameter at fault.
        """

    def cost(self, model: PredictorFacts) -> int:  # patches depend on the extent
        """Upper bound of the rows that one image costs."""
        return 0

    @abstractmethod
    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """Makes the map in the model's input frame, or says why there is none."""


EXPLAINERS: Registry[Explainer] = Registry("explainer")
