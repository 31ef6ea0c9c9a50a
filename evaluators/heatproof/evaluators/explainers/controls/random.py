"""Draws one uniform random number for each cell of a grid: the control to beat."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.regions.grid import Grid
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Need


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Random:
    """Draws one uniform random number for each cell of a grid: the control to beat."""

    name: ClassVar[str] = "random"
    reference: ClassVar[str] = "Heatproof"
    needs: ClassVar[tuple[Need, ...]] = ()

    grid: int = parameter(14, "Cells along each side.", within=Range(1, 512))

    def check(self, facts: PredictorFacts) -> None:
        """Refuses a grid finer than the pixels."""
        self._cells(facts).check()

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Draws anew for a perturbed image, as the control must not look consistent."""
        yield from ()
        grid = self._cells(scene.facts)
        rng = scene.rng(f"random/{scene.variant}")
        return grid.spread(rng.random(grid.cells))

    def _cells(self, facts: PredictorFacts) -> Grid:
        return Grid(facts.height, facts.width, self.grid)
