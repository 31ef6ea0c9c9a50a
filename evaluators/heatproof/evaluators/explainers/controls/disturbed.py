"""Adds a little noise to the map of another explainer: the control that must do as well."""

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
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.registry.parameters import Range, parameter


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Disturbed(Derived):
    """Adds a little noise to the map of another explainer: the control that must do as well.

    A metric that tells the two apart reacts to what no reader would see (after the minor
    perturbations of MetaQuantus; the noise is ours).
    """

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="disturbed",
        reference="Heatproof, after Hedström et al. 2023, arXiv 2302.07265",
        category=ExplainerCategory.CONTROLS,
    )

    grid: int = parameter(
        14, "Cells along each side, in each of which one number is added.", within=Range(1, 512)
    )
    noise: float = parameter(
        0.05,
        "Deviation of the noise, as a share of the map's own.",
        within=Range(0, 10, lower_included=False),
    )

    def check(self, model: PredictorFacts) -> None:
        """Refuses also a grid finer than the pixels."""
        Derived.check(self, model)
        self._cells(model).check()

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`A + noise * sd(A) * n`, n normal for each cell and the same for all maps of an image."""
        made = yield from self.of.explain(sample)
        if isinstance(made, Undefined):
            return made
        cells = self._cells(sample.facts)
        drawn = cells.spread(sample.rng("disturbed").standard_normal(cells.cells))
        disturbed: Map = made + self.noise * made.std() * drawn
        return disturbed

    def _cells(self, model: PredictorFacts) -> GridCells:
        return GridCells(model.height, model.width, self.grid)
