"""Averages random smooth masks weighted by the class probability under them."""

import hashlib
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers.baselines import baseline_of
from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Image, Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import LazyImage, MaskedView, Procedure, ask, chunks
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.removal import Black, RemovalOperator


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
    removal: RemovalOperator = parameter(Black(), "How what is not visible is hidden.")
    smooth: bool = parameter(
        default=True,
        summary="Blend the image with its fully removed form; else pixels are shown or hidden.",
    )

    def check(self, model: PredictorFacts) -> None:
        """Refuses to blend where an operator has nothing to blend with."""
        if self.smooth and not self.removal.blends:
            raise InvalidArgumentError(
                f"{self.removal.name} shows or hides pixels and blends nothing, but the masks are "
                "smooth: set smooth to false, or choose another operator such as black",
                field="smooth",
            )

    def cost(self, model: PredictorFacts) -> int:
        """Asks once for each mask."""
        return self.masks

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`1 / (n p) sum_i s(M_i x + (1 - M_i) x') M_i`, with `x'` all removed."""
        # One stream for the image and its perturbed versions: their maps differ by the model alone.
        rng = sample.rng("rise")
        total = np.zeros((sample.height, sample.width))
        background = baseline_of(sample, self.removal) if self.smooth else None
        for chunk in chunks(range(self.masks)):
            masks = [self._mask(sample, rng) for _ in chunk]
            answers = yield from ask([self._view(sample, mask, background) for mask in masks])
            for mask, answer in zip(masks, answers, strict=True):
                total += np.float64(sample.probability(answer)) * mask.draw()
        return total / (self.masks * self.visible_probability)

    def _mask(self, sample: Sample, rng: np.random.Generator) -> "MagnifiedMask":
        cells = (rng.random((self.grid, self.grid)) < self.visible_probability).astype(np.float32)
        cell = ceil(sample.height / self.grid), ceil(sample.width / self.grid)
        shift = int(rng.integers(cell[0])), int(rng.integers(cell[1]))
        size = sample.height, sample.width
        return MagnifiedMask(cells, cell, shift, size, is_smooth=self.smooth)

    def _view(self, sample: Sample, mask: "MagnifiedMask", background: Image | None) -> MaskedView:
        if background is None:
            return sample.view(mask.draw() > 0, self.removal)

        def draw() -> Image:
            share = mask.draw()
            blended: Image = sample.image.draw() * share + (1 - share) * background
            return blended

        # Waiting images hold no pixels: each is drawn when its batch is cut.
        key = f"{sample.image.key}/{mask.key}/{self.removal!r}"
        return sample.view(image=LazyImage(key, draw))


@dataclass(frozen=True, slots=True, eq=False)
class MagnifiedMask:
    """A coarse random mask, magnified and shifted by less than a cell.

    Attributes:
        cells: 0 or 1, [grid, grid].
        cell: height and width of a magnified cell in pixels.
        shift: rows and columns cut off at the top left.
        size: height and width of the mask.
        is_smooth: whether it is magnified bilinearly; else it holds 0 and 1 alone.
    """

    cells: Float32[np.ndarray, "grid grid"]
    cell: tuple[int, int]
    shift: tuple[int, int]
    size: tuple[int, int]
    is_smooth: bool

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
            self.cells,
            (side * self.cell[1], side * self.cell[0]),
            interpolation=cv2.INTER_LINEAR if self.is_smooth else cv2.INTER_NEAREST,
        )
        (top, left), (height, width) = self.shift, self.size
        return np.asarray(magnified[top : top + height, left : left + width], np.float32)
