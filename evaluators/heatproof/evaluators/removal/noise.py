"""Removal by noise."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.removal.colours import grey_image
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    Backdrop,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

_IMAGENET_STD: Final = (0.229, 0.224, 0.225)


class Distribution(StrEnum):
    """What noise is drawn from: all of [0, 1], or the colours of ImageNet, clipped to that."""

    UNIFORM = "uniform"
    NORMAL = "normal"


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class Noise(RemovalOperator):
    """Replaces removed pixels by noise, drawn once an image."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="noise", reference="Heatproof", content_free=True
    )

    distribution: Distribution = parameter(Distribution.UNIFORM, "What each value is drawn from.")

    @property
    def is_random(self) -> bool:
        """Always."""
        return True

    def bind(self, view: RemovalView) -> Render:
        """Draws the noise for the whole image, so that the masks of a curve nest."""
        return Backdrop(view.image, _FIELDS[self.distribution](view))


def _uniform(view: RemovalView) -> Image:
    return view.rng.random(view.image.shape, np.float32)


def _normal(view: RemovalView) -> Image:
    spread = np.array(_IMAGENET_STD, np.float32)[:, None, None]
    drawn = view.rng.standard_normal(view.image.shape, np.float32)
    noise: Image = np.clip(grey_image(view.image.shape) + spread * drawn, 0, 1)
    return noise


_FIELDS: Final = {Distribution.UNIFORM: _uniform, Distribution.NORMAL: _normal}
