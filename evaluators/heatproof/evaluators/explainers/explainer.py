"""The seam for explainers."""

from typing import ClassVar, Protocol, runtime_checkable

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.registry.registry import Need, Registry


@runtime_checkable
class Explainer(Protocol):
    """Makes an attribution map of one image for one class of one model.

    Attributes:
        name: key in the registry.
        reference: paper it comes from, or `Heatproof`.
        needs: `gradients`, `activation_gradients`, `layer_masking` or `maps`.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]

    def check(self, facts: PredictorFacts) -> None:
        """Refuses parameters that do not fit together or do not fit the model.

        Raises:
            InvalidArgumentError: its field is the parameter at fault.
        """
        ...

    def predictions(self, facts: PredictorFacts) -> int:
        """Upper bound of the rows that one image costs."""
        ...

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Makes the map in the model's input frame, or says why there is none."""
        ...


EXPLAINERS: Registry[Explainer] = Registry("explainer")
