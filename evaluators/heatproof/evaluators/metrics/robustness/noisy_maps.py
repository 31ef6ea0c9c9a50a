"""What metrics share that perturb every pixel by noise."""

from abc import ABC
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import Cost
from heatproof.evaluators.metrics.robustness.perturbed_maps import ExplainedImage, PerturbedMaps
from heatproof.evaluators.queries.procedure import LazyImage, Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter

Draw = Callable[[np.random.Generator, float, tuple[int, ...]], np.ndarray]


class NoiseKind(StrEnum):
    """How the noise of a pixel value is distributed.

    Attributes:
        UNIFORM: in [-radius, radius].
        NORMAL: around 0, with the standard deviation `radius`.
    """

    UNIFORM = "uniform"
    NORMAL = "normal"


_DRAWS: Final[Mapping[NoiseKind, Draw]] = MappingProxyType(
    {
        NoiseKind.UNIFORM: lambda rng, radius, shape: rng.uniform(-radius, radius, shape),
        NoiseKind.NORMAL: lambda rng, radius, shape: rng.normal(0, radius, shape),
    }
)


RADIUS: Final = "Largest change of a pixel in [0, 1]."
RADII: Final = Range(0, 1, lower_included=False)
DRAWS: Final = "Number of perturbed images."
DRAW_COUNTS: Final = Range(1, 1000)
"""What the parameters set and where they lie, for metrics with defaults of their own."""


@dataclass(frozen=True, slots=True)
class NoisyMaps(PerturbedMaps, ABC):
    """Perturbs every pixel value by noise of its own and clips it to [0, 1]."""

    noise: ClassVar[NoiseKind] = NoiseKind.UNIFORM

    radius: float = parameter(0.02, RADIUS, within=RADII)
    draws: int = parameter(10, DRAWS, within=DRAW_COUNTS)

    def cost(self, case: Case) -> Cost:
        """A map of each perturbed image, and a prediction where somebody reads it."""
        return Cost(views=self.answers(case, self.draws), explanations=self.draws)

    def perturbed(self, sample: Sample) -> Iterator[LazyImage]:
        """`clip(x + d_k, 0, 1)`; draw k depends on no other one."""
        for index in range(self.draws):
            key = f"{sample.image.key}/noise/{self.noise}/{self.radius}/{index}"
            yield LazyImage(key, partial(self._noisy, sample, index))

    def _noisy(self, sample: Sample, index: int) -> Image:
        pixels = sample.image.draw()
        noisy = _DRAWS[self.noise](sample.rng(f"noise/{index}"), self.radius, pixels.shape)
        noisy += pixels
        return np.clip(noisy, 0, 1, out=noisy).astype(np.float32)


@dataclass(frozen=True, slots=True)
class RelativeChanges(NoisyMaps, ABC):
    """Takes the change of the map relative to the map."""

    def change(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """`||A_k - A||_2 / ||A||_2`."""
        yield from ()
        return float(np.linalg.norm(moved.map - clean.map) / np.linalg.norm(clean.map))
