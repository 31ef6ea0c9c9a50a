"""Removal by noisy linear imputation: each pixel becomes a weighted mean of its neighbours."""

from dataclasses import dataclass
from typing import ClassVar, Final

import cv2
import numpy as np
import scipy
from jaxtyping import Float64
from numpy.typing import NDArray

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.registry.parameters import UNIT, parameter
from heatproof.evaluators.removal.colours import grey_image
from heatproof.evaluators.removal.multigrid import Matrix, Multigrid, Unknowns
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

STEPS: Final = 60
"""A single visible pixel of 640 x 640 needs a third as many."""

Planes = NDArray[np.float64]
"""[height, width], or [height, width, 3], as OpenCV filters them."""

Plane = Float64[np.ndarray, "height width"]


@REMOVALS.register
@dataclass(frozen=True, slots=True)
class LinearImputation(RemovalOperator):
    """Replaces removed pixels by weighted means of their neighbours, and some noise."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(
        name="linear_imputation",
        reference="Rong et al. 2022, arXiv 2202.00449",
        content_free=True,
        from_surroundings=True,
    )

    noise: float = parameter(
        0.01, "Standard deviation of the noise that is added.", within=UNIT
    )  # fmt: skip

    @property
    def is_random(self) -> bool:
        """With noise."""
        return self.noise > 0

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
    as some pixel is visible.
    """
    hidden = ~mask
    filled = np.where(hidden[:, :, None], 0, image.transpose(1, 2, 0).astype(np.float64))
    totals = _weighted(np.ones(mask.shape))
    filled[hidden] = _solved(hidden, totals, _weighted(filled)[hidden])
    return filled.transpose(2, 0, 1).astype(np.float32)


def _solved(hidden: Mask, totals: Plane, right: Unknowns) -> Unknowns:
    """The values of the hidden pixels.

    Conjugate gradients preconditioned by multigrid, for at most `STEPS` steps.
    """
    matrix = _system(hidden, totals)
    rows, columns = np.nonzero(hidden)
    approximately = Multigrid(matrix, rows, columns)
    goal = _TOLERANCE * np.sqrt(_sums(right * right))
    residual = right
    x, direction = np.zeros_like(right), np.zeros_like(right)
    before = np.zeros(right.shape[1])
    for _ in range(STEPS):
        if not (np.sqrt(_sums(residual * residual)) > goal).any():
            break
        scaled = approximately(residual)
        energy = _sums(residual * scaled)
        direction = scaled + _ratio(energy, before) * direction
        image_of = np.asarray(matrix @ direction)
        step = _ratio(energy, _sums(direction * image_of))
        x, residual = x + step * direction, residual - step * image_of
        before = energy
    return x


def _system(hidden: Mask, totals: Plane) -> Matrix:
    """The matrix over the hidden pixels, row by row."""
    height, width = hidden.shape
    numbers = np.full((height + 2, width + 2), -1, np.int64)
    numbers[1:-1, 1:-1][hidden] = np.arange(hidden.sum())
    around = [
        numbers[down : down + height, across : across + width][hidden]
        for down, across in np.ndindex(_WEIGHTS.shape)
    ]
    columns = np.stack(around, axis=1)
    values = np.tile(-_WEIGHTS.reshape(-1), (len(columns), 1))
    values[:, _WEIGHTS.size // 2] = totals[hidden]
    linked = columns >= 0
    starts = np.concatenate([[0], linked.sum(axis=1).cumsum()])
    shape = (len(columns), len(columns))
    return scipy.sparse.csr_array(
        (values[linked], columns[linked], starts), shape=shape, dtype=np.float64
    )


def _weighted(planes: Planes) -> Planes:
    """The weighted sum over the neighbours of each pixel that lie in the image."""
    filtered = cv2.filter2D(planes, -1, _WEIGHTS, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(filtered, np.float64)


def _sums(products: Unknowns) -> NDArray[np.float64]:
    """Of each channel."""
    return np.array([channel.sum() for channel in products.T])


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 for a channel that is solved exactly."""
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.zeros(3), where=whole > 0)
    return ratio
