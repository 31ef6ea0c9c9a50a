"""Removal by another image of the data set."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Donor(RemovalOperator):
    """Shows the same place of another image of the data set, with the evidence that it brings."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="donor", reference="Heatproof", reads=(Reads.DONORS,), content_free=True
    )

    @property
    def is_random(self) -> bool:
        """Always: by the donor."""
        return True

    def bind(self, view: RemovalView) -> Render:
        """Draws the donor."""
        if not view.substitutes:
            raise InternalError("the operator donor is asked without another image")
        foreign = view.substitutes[0]()

        def render(mask: Mask) -> Image:
            return np.where(mask, view.image, foreign)

        return render
