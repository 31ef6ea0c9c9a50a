"""Removal operators that show another image in place of this one."""

from dataclasses import dataclass
from typing import ClassVar, Final

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    Backdrop,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

_EPSILON: Final = 8 / 255


@dataclass(frozen=True, slots=True)
class _Substitution(RemovalOperator):
    """Shows the same place of the first substitute."""

    def bind(self, view: RemovalView) -> Render:
        """Draws the substitute."""
        if not view.substitutes:
            raise InternalError(f"{self.name} is asked without the image that it shows")
        return Backdrop(view.image, view.substitutes[0]())


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Donor(_Substitution):
    """Shows the same place of another image of the data set, with the evidence that it brings."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="donor", reference="Heatproof", reads=(Reads.DONORS,), content_free=True
    )

    @property
    def is_random(self) -> bool:
        """Always: by the donor."""
        return True


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Replacement(_Substitution):
    """Shows the same place of the image that was uploaded to replace this one.

    Generative models as removal operators: Chang et al. 2019, arXiv 1807.08024, and Agarwal and
    Nguyen 2020, arXiv 1910.04256, which paint anew for each mask. One image for all masks is ours.
    """

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="replacement", reference="Heatproof", reads=(Reads.REPLACEMENT,), content_free=False
    )


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Adversarial(_Substitution):
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
