"""How an image file becomes the model's input: a value, and its presets."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError

MAX_SIDE: Final = 4096
"""Largest side of a model's input, in pixels."""


class Resize(StrEnum):
    """Ways to reach the model's input size."""

    STRETCH = "stretch"
    SHORTEST_SIDE = "shortest_side"
    NONE = "none"


class Filter(StrEnum):
    """Resampling filters, antialiased as Pillow's."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"
    NEAREST = "nearest"


class ChannelOrder(StrEnum):
    """Orders of the colour channels that a model reads."""

    RGB = "rgb"
    BGR = "bgr"


class Layout(StrEnum):
    """Layouts of an image tensor."""

    NCHW = "nchw"
    NHWC = "nhwc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Resize, crop, then `(scale * pixel - mean) / std` per channel, with pixels in [0, 1].

    Attributes:
        resize: way to reach the input size.
        height: height of the input in pixels; 0 is the model's own.
        width: width of the input in pixels; 0 is the model's own.
        crop_fraction: input side over the resized shortest side, in (0, 1].
        filter: resampling filter.
        scale: factor on pixels in [0, 1].
        mean: subtracted after scaling; one value, or one a channel in the model's order.
        std: divisor after the subtraction; one value, or one a channel.
        channel_order: order of the channels that the model reads.
        layout: layout of the model's input; None finds it in the shape.
    """

    resize: Resize
    height: int = 0
    width: int = 0
    crop_fraction: float = 1.0
    filter: Filter = Filter.BILINEAR
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    channel_order: ChannelOrder = ChannelOrder.RGB
    layout: Layout | None = None

    def __post_init__(self) -> None:
        for field, holds, wanted in self._conditions():
            if not holds:
                message = f"preprocessing.{field} must {wanted}, not {getattr(self, field)}"
                raise InvalidArgumentError(message, field=field)

    def _conditions(self) -> tuple[tuple[str, bool, str], ...]:
        return (
            ("height", 0 <= self.height <= MAX_SIDE, f"be 0 or lie in [1, {MAX_SIDE}]"),
            ("width", 0 <= self.width <= MAX_SIDE, f"be 0 or lie in [1, {MAX_SIDE}]"),
            ("crop_fraction", 0 < self.crop_fraction <= 1, "lie in (0, 1]"),
            ("scale", 0 < self.scale < math.inf, "be positive and finite"),
            ("mean", len(self.mean) in {1, 3}, "hold 1 or 3 numbers"),
            ("mean", all(map(math.isfinite, self.mean)), "be finite"),
            ("std", len(self.std) in {1, 3}, "hold 1 or 3 numbers"),
            ("std", all(0 < value < math.inf for value in self.std), "be positive and finite"),
        )

    def sized(self, height: int | None, width: int | None) -> "Preprocessing":
        """The same with the model's own size where this one leaves it open.

        Raises:
            InvalidArgumentError: neither this nor the model fixes the size, or they differ.
        """
        return replace(
            self,
            height=_agreed("height", self.height, height),
            width=_agreed("width", self.width, width),
        )


def _agreed(side: str, wanted: int, own: int | None) -> int:
    if own is not None and wanted not in {0, own}:
        raise InvalidArgumentError(
            f"preprocessing.{side} is {wanted}, but the model takes {own} only", field=side
        )
    if not (wanted or own):
        raise InvalidArgumentError(
            f"the model takes images of any {side}: set preprocessing.{side}", field=side
        )
    return wanted or own or 0


PRESETS: Final = {
    "imagenet": Preprocessing(
        resize=Resize.SHORTEST_SIDE,
        crop_fraction=0.875,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    "tf": Preprocessing(
        resize=Resize.SHORTEST_SIDE, crop_fraction=0.875, scale=255.0, mean=(127.5,), std=(127.5,)
    ),
    "unit": Preprocessing(resize=Resize.STRETCH),
}


def preset(name: str) -> Preprocessing:
    """Finds a preset by its name.

    Raises:
        UnknownNameError: offers the nearest name.
    """
    if name not in PRESETS:
        raise UnknownNameError.among("preprocessing preset", name, PRESETS, field="preset")
    return PRESETS[name]
