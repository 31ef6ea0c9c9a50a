"""Takes the maps that were uploaded with the images."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Reads


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Supplied(Explainer):
    """Takes the maps that were uploaded with the images."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="supplied",
        reference="Heatproof",
        category=ExplainerCategory.CONTROLS,
        reads=(Reads.MAPS,),
    )

    map_name: str = parameter("", "Which of an image's maps; empty: the one without a name.")

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """Takes the map as it is."""
        yield from ()
        found = sample.maps.get(self.map_name)
        if found is None:
            return Undefined(Reason.NO_MAP, f"the image came without a map named {self.map_name!r}")
        return found
