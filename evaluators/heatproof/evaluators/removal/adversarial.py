"""Removal by the image after an attack on the model."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

_EPSILON: Final = 8 / 255


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Adversarial(RemovalOperator):
    """Shows the same place of the clean image after an attack on the model's answer to it.

    One step is FGSM (Goodfellow et al. 2015, arXiv 1412.6572), several are PGD (Madry et al. 2018,
    arXiv 1706.06083). That it serves as a removal operator is ours.
    """

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="adversarial", reference="Heatproof", reads=(Reads.COUNTERPART,), content_free=False
    )

    epsilon: float = parameter(_EPSILON, "Largest change of a pixel.", within=UNIT)
    steps: int = parameter(1, "Gradient steps.", within=Range(1, 100))

    @property
    def counterpart_cost(self) -> int:
        """A gradient a step, and a prediction for each but the first."""
        return 2 * self.steps - 1

    def bind(self, view: RemovalView) -> Render:
        """Takes the image after the attack."""
        if not view.substitutes:
            raise InternalError("the operator adversarial is asked without an attacked image")
        attacked = view.substitutes[0]()

        def render(mask: Mask) -> Image:
            return np.where(mask, view.image, attacked)

        return render
