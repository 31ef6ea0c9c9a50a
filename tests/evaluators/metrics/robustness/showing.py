"""Explainers with closed forms, and scores of them on toys."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.explainer import (
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.outcomes import Outcome, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from tests.evaluators.toys import ToyPredictor, ask, case_of, sample_of


@dataclass(frozen=True)
class Red(Explainer):
    """Shows the red channel, perhaps on a slope."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="red", reference="test", category=ExplainerCategory.CONTROLS
    )
    scale: float = 1.0
    slope: float = 0.0
    lost: str = ""
    """Of perturbed images: `zero` or `nan` in place of the map."""

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        red = sample.image.draw()[0].astype(np.float64)
        made: Map = self.scale * (red + self.slope * np.arange(red.size).reshape(red.shape))
        if sample.is_perturbed and self.lost:
            made = made * {"zero": 0.0, "nan": np.nan}[self.lost]
        return made


def scored(
    metric: Metric, explainer: Explainer, image: np.ndarray, predictor: ToyPredictor
) -> Outcome:
    """What a metric says of an explainer's map on a toy."""
    made = ask(explainer.explain(sample_of(predictor, image)), predictor)
    assert not isinstance(made, Undefined)
    return ask(metric.score(case_of(predictor, image, made, explainer=explainer)), predictor)
