"""Estimates Shapley values of regions for the class probability."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.explainers.perturbation.coalitions import Coalitions
from heatproof.evaluators.explainers.perturbation.spread import Spread, spread_over
from heatproof.evaluators.explainers.perturbation.surrogate import (
    MOST_REGIONS,
    check_regions,
    unfit_regions,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions import Grid, Segmentation
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.removal import Grey, RemovalOperator


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class KernelShap(Explainer):
    """Estimates Shapley values of regions for the class probability."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="kernel_shap",
        reference="Lundberg and Lee 2017, arXiv 1705.07874",
        category=ExplainerCategory.PERTURBATION,
    )

    regions: Segmentation = parameter(Grid(7), "What is shown or hidden together.")
    samples: int = parameter(
        512,
        "Coalitions, each with its complement; all of them if they are not more.",
        within=Range(8, 100_000),
    )
    removal: RemovalOperator = parameter(Grey(), "How regions are hidden.")
    spread: Spread = parameter(
        Spread.DENSITY, "Whether a region's pixels share its value or each have it."
    )

    @property
    def reads_answer(self) -> bool:
        """The probability, which the attributions sum up to."""
        return True

    @property
    def _most_regions(self) -> int:
        """As many as pairs of coalitions can tell apart."""
        return min(MOST_REGIONS, self.samples // 2 + 1)

    def check(self, model: PredictorFacts) -> None:
        """Refuses regions that do not fit the input, or that are too many for the samples."""
        check_regions(self.regions, model.height, model.width, most=self._most_regions)

    def cost(self, model: PredictorFacts) -> int:
        """Asks for each coalition, and for nothing at all."""
        return self.samples + 1

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """Shapley values of the regions, by default over their areas, so that sums add up."""
        regions = sample.regions(self.regions)
        if (reason := unfit_regions(regions, most=self._most_regions)) is not None:
            return reason
        coalitions = Coalitions.of(sample, regions.cells, self.samples)
        none = np.zeros((1, regions.cells), np.bool_)
        rows = np.concatenate([none, coalitions.shown])
        views = (sample.view(regions.spread(row), self.removal) for row in rows)
        found = yield from respond(views, sample.probability)
        gains = found.values - found.values[0]
        values = coalitions.shapley_values(gains[1:], sample.confidence - found.values[0])
        return spread_over(regions, values, self.spread)
