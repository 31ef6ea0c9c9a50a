"""Draws one uniform random number for each cell of a grid: the control to beat."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import LazyImage, Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.registry.parameters import Range, parameter


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Random(Explainer):
    """Draws one uniform random number for each cell of a grid: the control to beat."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="random",
        reference="Heatproof",
        category=ExplainerCategory.CONTROLS,
    )

    grid: int = parameter(14, "Cells along each side.", within=Range(1, 512))

    def check(self, model: PredictorFacts) -> None:
        """Refuses a grid finer than the pixels."""
        self._cells(model).check()

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """Draws anew for a perturbed image, as the control must not look consistent."""
        yield from ()
        grid = self._cells(sample.facts)
        # By the pixels, so that equal images get equal maps however they were made.
        variant = LazyImage.of(sample.image.draw()).key if sample.is_perturbed else ""
        rng = sample.rng(f"random/{variant}")
        return grid.spread(rng.random(grid.cells))

    def _cells(self, model: PredictorFacts) -> GridCells:
        return GridCells(model.height, model.width, self.grid)
