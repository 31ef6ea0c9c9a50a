"""Removal by noisy linear imputation: each pixel becomes a weighted mean of its neighbours."""

from dataclasses import dataclass
from typing import ClassVar, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.parameters import UNIT, parameter
from heatproof.evaluators.removal.colours import grey_image
from heatproof.evaluators.removal.operator import (
    REMOVALS,
    RemovalFacts,
    RemovalOperator,
    RemovalView,
    Render,
)

_WEIGHTS: Final = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float64) / 12
_TOLERANCE: Final = 1e-8
"""Of the residual relative to the right side."""

Planes = NDArray[np.float64]
"""[height, width, 3], as OpenCV filters them."""


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class LinearImputation(RemovalOperator):
    """Replaces removed pixels by weighted means of their neighbours, and some noise."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="linear_imputation", reference="Rong et al. 2022, arXiv 2202.00449", content_free=True
    )

    noise: float = parameter(
        0.01, "Standard deviation of the noise that is added.", within=UNIT
    )  # fmt: skip

    def bind(self, view: RemovalView) -> Render:
        """Draws the noise for the whole image, so that the masks of a curve nest."""
        noise = np.float32(self.noise) * view.rng.standard_normal(view.image.shape, np.float32)

        def render(mask: Mask) -> Image:
            visible = mask.any()
            filled = imputed(view.image, mask) if visible else grey_image(view.image.shape)
            return np.where(mask, view.image, np.clip(filled + noise, 0, 1))

        return render


def imputed(image: Image, mask: Mask) -> Image:
    """Solves `sum_j w_ij (x_i - x_j) = 0` for all hidden i over their neighbours in the image.

    Weights are 1/6 beside and 1/12 at the corners. The system is symmetric, and positive definite
    as some pixel is visible: conjugate gradients, preconditioned by the diagonal.
    """
    hidden = ~mask[:, :, None]
    known = np.where(hidden, 0, image.transpose(1, 2, 0).astype(np.float64))
    totals = _weighted(np.ones(known.shape))
    residual = np.where(hidden, _weighted(known), 0)
    goal = _TOLERANCE * np.sqrt(_dot(residual, residual))
    x = np.zeros(known.shape)
    scaled = residual / totals
    direction, energy = scaled, _dot(residual, scaled)
    while (np.sqrt(_dot(residual, residual)) > goal).any():
        image_of = np.where(hidden, totals * direction - _weighted(direction), 0)
        step = _ratio(energy, _dot(direction, image_of))
        x, residual = x + step * direction, residual - step * image_of
        scaled = residual / totals
        before, energy = energy, _dot(residual, scaled)
        direction = scaled + _ratio(energy, before) * direction
    return (x + known).transpose(2, 0, 1).astype(np.float32)


def _weighted(planes: Planes) -> Planes:
    """The weighted sum over the neighbours of each pixel that lie in the image."""
    filtered = cv2.filter2D(planes, -1, _WEIGHTS, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(filtered, np.float64)


def _dot(one: Planes, other: Planes) -> NDArray[np.float64]:
    """Of each channel."""
    product: NDArray[np.float64] = (one * other).sum(axis=(0, 1))
    return product


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 for a channel that is solved exactly."""
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.zeros(3), where=whole > 0)
    return ratio
