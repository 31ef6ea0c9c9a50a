"""Takes the maps that were uploaded with the images."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Need


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Supplied:
    """Takes the maps that were uploaded with the images."""

    name: ClassVar[str] = "supplied"
    reference: ClassVar[str] = "Heatproof"
    needs: ClassVar[tuple[Need, ...]] = (Need.MAPS,)

    map_name: str = parameter("", "Which of an image's maps; empty: the one without a name.")

    def check(self, facts: PredictorFacts) -> None:
        """Every name is sound."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Takes the map as it is."""
        yield from ()
        found = scene.maps.get(self.map_name)
        if found is None:
            return Undefined(Reason.NO_MAP, f"the image came without a map named {self.map_name!r}")
        return found
