"""Averages random smooth masks weighted by the class probability under them."""

import hashlib
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import LazyImage, MaskedView, Procedure, ask, chunks
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Rise(Explainer):
    """Averages random smooth masks weighted by the class probability under them."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="rise",
        reference="Petsiuk et al. 2018, arXiv 1806.07421",
        category=ExplainerCategory.PERTURBATION,
    )

    masks: int = parameter(1000, "Number of masks.", within=Range(1, 100_000))
    grid: int = parameter(7, "Cells along each side of the coarse mask.", within=Range(2, 64))
    visible_probability: float = parameter(
        0.5,
        "Probability that a cell is visible.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )

    def cost(self, model: PredictorFacts) -> int:
        """Asks once for each mask."""
        return self.masks

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`1 / (n p) sum_i s(x . M_i) M_i`."""
        # One stream for the image and its perturbed versions: their maps differ by the model alone.
        rng = sample.rng("rise")
        total = np.zeros((sample.height, sample.width))
        for chunk in chunks(range(self.masks)):
            masks = [self._mask(sample, rng) for _ in chunk]
            answers = yield from ask([_view(sample, mask) for mask in masks])
            for mask, answer in zip(masks, answers, strict=True):
                total += np.float64(sample.probability(answer)) * mask.draw()
        return total / (self.masks * self.visible_probability)

    def _mask(self, sample: Sample, rng: np.random.Generator) -> "SmoothMask":
        cells = (rng.random((self.grid, self.grid)) < self.visible_probability).astype(np.float32)
        cell = ceil(sample.height / self.grid), ceil(sample.width / self.grid)
        shift = int(rng.integers(cell[0])), int(rng.integers(cell[1]))
        return SmoothMask(cells, cell, shift, (sample.height, sample.width))


@dataclass(frozen=True, slots=True, eq=False)
class SmoothMask:
    """A coarse random mask, magnified bilinearly and shifted by less than a cell.

    Attributes:
        cells: 0 or 1, [grid, grid].
        cell: height and width of a magnified cell in pixels.
        shift: rows and columns cut off at the top left.
        size: height and width of the mask.
    """

    cells: Float32[np.ndarray, "grid grid"]
    cell: tuple[int, int]
    shift: tuple[int, int]
    size: tuple[int, int]

    @property
    def key(self) -> str:
        """Names the mask."""
        digest = hashlib.sha256(self.cells.tobytes())
        digest.update(repr((self.cells.shape, self.cell, self.shift, self.size)).encode())
        return digest.hexdigest()

    def draw(self) -> Float32[np.ndarray, "height width"]:
        """The visibility of each pixel, in [0, 1]."""
        side = self.cells.shape[0] + 1
        magnified = cv2.resize(
            self.cells, (side * self.cell[1], side * self.cell[0]), interpolation=cv2.INTER_LINEAR
        )
        (top, left), (height, width) = self.shift, self.size
        return np.asarray(magnified[top : top + height, left : left + width], np.float32)


def _view(sample: Sample, mask: SmoothMask) -> MaskedView:
    image = sample.image
    # Waiting images hold no pixels: each is drawn when its batch is cut.
    seen = LazyImage(f"{image.key}/{mask.key}", lambda: image.draw() * mask.draw())
    return sample.view(image=seen)
