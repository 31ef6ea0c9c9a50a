"""Removal inside the network: layer masking."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Need
from heatproof.evaluators.removal.operator import REMOVALS, Render


class Mode(StrEnum):
    """Variants of the masking rules."""

    REFERENCE = "reference"
    STRICT = "strict"


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Layer:
    """Hides regions inside the network by propagating a visibility mask through its layers."""

    name: ClassVar[str] = "layer"
    reference: ClassVar[str] = "Balasubramanian and Feizi 2022, arXiv 2211.14646"
    needs: ClassVar[tuple[Need, ...]] = (Need.LAYER_MASKING,)
    content_free: ClassVar[bool] = True

    mode: Mode = parameter(Mode.REFERENCE, "Variant of the rules.")

    @property
    def masking_mode(self) -> str:
        """The variant of the rewritten model."""
        return self.mode.value

    def bind(self, image: Image) -> Render:
        """Leaves the pixels alone: the mask reaches the network beside them."""

        def render(mask: Mask) -> Image:  # noqa: ARG001  # the network reads the mask itself
            return image

        return render
