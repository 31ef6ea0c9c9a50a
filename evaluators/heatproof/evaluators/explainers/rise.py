"""Averages random smooth masks weighted by the class probability under them."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.arrays import Map
from heatproof.evaluators.catalogue import Need, Range, parameter
from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.predictor import PredictorFacts
from heatproof.evaluators.procedure import Procedure
from heatproof.evaluators.scene import Scene


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Rise:
    """Averages random smooth masks weighted by the class probability under them."""

    name: ClassVar[str] = "rise"
    reference: ClassVar[str] = "Petsiuk et al. 2018, arXiv 1806.07421"
    needs: ClassVar[tuple[Need, ...]] = ()

    masks: int = parameter(1000, "Number of masks.", within=Range(1, 100_000))
    grid: int = parameter(7, "Cells along each side of the coarse mask.", within=Range(2, 64))
    visible_probability: float = parameter(
        0.5,
        "Probability that a cell is visible.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )

    def check(self, facts: PredictorFacts) -> None:
        """Every combination is sound."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Makes the map."""
        raise NotImplementedError
