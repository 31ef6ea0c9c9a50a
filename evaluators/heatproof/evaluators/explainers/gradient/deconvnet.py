"""Lets rectifiers pass back whatever is positive there."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts
from heatproof.evaluators.explainers.gradient.rectified_gradient import RectifiedGradient
from heatproof.evaluators.queries.passes import BackwardRules


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Deconvnet(RectifiedGradient):
    """Takes the gradient of the class logit with rectifiers that look at the gradient alone.

    Nearly the same for all classes (Nie et al. 2018, arXiv 1805.07039).
    """

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="deconvnet",
        reference="Zeiler and Fergus 2014, arXiv 1311.2901",
        category=ExplainerCategory.GRADIENT,
    )
    rules: ClassVar[BackwardRules] = BackwardRules.DECONVNET
