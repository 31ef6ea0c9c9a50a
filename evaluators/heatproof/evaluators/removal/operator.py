"""The seam for removal operators."""

from collections.abc import Callable
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.registry import Need, Registry

Render: TypeAlias = Callable[[Mask], Image]
"""Draws one image with the hidden pixels of a mask removed; visible pixels keep their bits."""


@runtime_checkable
class RemovalOperator(Protocol):
    """Hides regions of an image, in pixel space or inside the network.

    Attributes:
        name: key in the registry.
        reference: paper it comes from, or `Heatproof`.
        needs: `layer_masking` for operators inside the network.
        content_free: whether what it paints is independent of what it removes.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    content_free: ClassVar[bool]

    @property
    def masking_mode(self) -> str:
        """`reference` or `strict` if the network itself hides regions, "" for pixel operators."""
        ...

    def bind(self, image: Image) -> Render:
        """Does once what all masks of an image share, such as its blur."""
        ...


REMOVALS: Registry[RemovalOperator] = Registry("removal operator")
