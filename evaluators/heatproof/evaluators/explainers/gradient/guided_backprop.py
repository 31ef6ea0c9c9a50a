"""Lets rectifiers pass back only what is positive both ways."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts
from heatproof.evaluators.explainers.gradient.rectified_gradient import RectifiedGradient
from heatproof.evaluators.queries.passes import BackwardRules


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class GuidedBackprop(RectifiedGradient):
    """Takes the gradient of the class logit with rectifiers that pass what is positive both ways.

    Nearly the same for all classes (Nie et al. 2018, arXiv 1805.07039).
    """

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="guided_backprop",
        reference="Springenberg et al. 2015, arXiv 1412.6806",
        category=ExplainerCategory.GRADIENT,
    )
    rules: ClassVar[BackwardRules] = BackwardRules.GUIDED
