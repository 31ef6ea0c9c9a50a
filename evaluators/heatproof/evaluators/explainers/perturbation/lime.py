"""Fits a linear model to the class probability with regions shown or hidden at random."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.explainers.perturbation.spread import Spread, spread_over
from heatproof.evaluators.explainers.perturbation.surrogate import (
    SurrogateParameters,
    check_regions,
    unfit_regions,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions import Segmentation, Slic
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.removal import Grey, RemovalOperator


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Lime(SurrogateParameters, Explainer):
    """Fits a linear model to the class probability with regions shown or hidden at random."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="lime",
        reference="Ribeiro et al. 2016, arXiv 1602.04938",
        category=ExplainerCategory.PERTURBATION,
    )

    regions: Segmentation = parameter(Slic(), "What is shown or hidden together.")
    samples: int = parameter(
        1000, "Samples, the first of which shows all regions.", within=Range(8, 100_000)
    )
    removal: RemovalOperator = parameter(Grey(), "How regions are hidden.")
    spread: Spread = parameter(
        Spread.DENSITY, "Whether a region's pixels share its coefficient or each have it."
    )

    def check(self, model: PredictorFacts) -> None:
        """Refuses regions that do not fit the input, or that are too many for a linear model."""
        check_regions(self.regions, model.height, model.width)

    def cost(self, model: PredictorFacts) -> int:
        """Asks once for each sample."""
        return self.samples

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """Coefficients of the regions, by default over their areas, so that sums add up."""
        regions = sample.regions(self.regions)
        if (reason := unfit_regions(regions)) is not None:
            return reason
        surrogate = self.surrogate(self.samples)
        fit = yield from surrogate.fit(sample, regions, self.removal)
        return spread_over(regions, fit.coefficients, self.spread)
