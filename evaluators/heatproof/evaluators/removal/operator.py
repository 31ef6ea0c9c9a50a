"""The seam for removal operators."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Image, ImageOrColour, Mask
from heatproof.evaluators.registry.registry import Facts, Registered, Registry

Drawing: TypeAlias = Callable[[], Image]
"""Gives the pixels of an image of the model's input size when they are wanted."""

Render: TypeAlias = Callable[[Mask], Image]
"""Draws one image with the hidden pixels of a mask removed; visible pixels keep their bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """A `Render` that shows the same pixels behind all masks.

    What it draws can be told by image, mask and backdrop, so that a GPU draws it itself.

    Attributes:
        image: the clean pixels.
        behind: shown where they are hidden; None leaves them as they are.
    """

    image: Image
    behind: ImageOrColour | None

    def __call__(self, mask: Mask) -> Image:
        """Draws the image under a mask; not a copy where the pixels are left."""
        return self.image if self.behind is None else np.where(mask, self.image, self.behind)


class Mode(StrEnum):
    """How far layer masking fills hidden cells, and how pools treat them.

    REFERENCE is the paper's own code. STRICT fills every hidden cell that a kernel can read and
    takes the statistics of a pool over its visible cells only.
    """

    REFERENCE = "reference"
    STRICT = "strict"


class Fill(StrEnum):
    """What convolutions read in hidden cells.

    NEIGHBOUR: means of visible neighbours, round by round. NONE: zeros. PARTIAL: zeros, and what a
    convolution sums up is scaled by all cells of its window over the visible ones.
    """

    NEIGHBOUR = "neighbour"
    NONE = "none"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Masking:
    """The rules of one layer-masked pass.

    Raises:
        InvalidArgumentError: STRICT, which fills without limit, without its fill.
    """

    mode: Mode = Mode.REFERENCE
    fill: Fill = Fill.NEIGHBOUR

    def __post_init__(self) -> None:
        if self.mode is Mode.STRICT and self.fill is not Fill.NEIGHBOUR:
            raise InvalidArgumentError(
                f"mode strict fills every hidden cell and excludes fill {self.fill}; "
                "use mode reference or fill neighbour",
                field="fill",
            )


@dataclass(frozen=True, slots=True, eq=False)
class RemovalView:
    """What an operator sees of an image, once for all masks.

    Attributes:
        image: the clean pixels.
        rng: randomness of this image, the same for all models, metrics and explainers, so that the
            masks of a curve nest.
        substitutes: images that the operator shows in place of this one, if it reads any: donors
            of the data set, the same ones for all models, metrics and explainers, the image after
            an attack, or the one that was uploaded to replace it.
    """

    image: Image
    rng: np.random.Generator
    substitutes: tuple[Drawing, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalFacts(Facts):
    """What a removal operator says of itself.

    Attributes:
        content_free: whether what it paints is independent of what it removes.
        from_surroundings: whether it paints what is visible around, so that it has nothing to paint
            where nothing is visible.
    """

    content_free: bool
    from_surroundings: bool = False


class RemovalOperator(Registered, ABC):
    """Hides regions of an image, in pixel space or inside the network."""

    __slots__ = ()

    # Narrower than in the base, and never assigned anew.
    facts: ClassVar[RemovalFacts]  # pyright: ignore[reportIncompatibleVariableOverride]

    parameter_type: ClassVar[str] = "removal"

    @property
    def masking(self) -> Masking | None:
        """The rules by which the network itself hides regions; None for pixel operators."""
        return None

    @property
    def blends(self) -> bool:
        """Whether an image can be blended with the one in which everything is removed."""
        return self.masking is None and not self.facts.from_surroundings

    @property
    def is_random(self) -> bool:
        """Whether what it paints is drawn, so that several draws differ."""
        return False

    @abstractmethod
    def bind(self, view: RemovalView) -> Render:
        """Does once what all masks of an image share, such as its blur.

        Whoever shows the same behind all masks returns a `Backdrop`.
        """


REMOVALS: Registry[RemovalOperator] = Registry("removal operator")
