"""How far a map moves when its image does: what all metrics of a map's stability share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.metrics.metric import Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import LazyImage, Procedure, chunks, together
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, parameter
from heatproof.evaluators.statistics.reductions import Mean, Reduction


class Flips(StrEnum):
    """What is done with perturbed images of another top class."""

    KEEP = "keep"
    SKIP = "skip"


class Normalization(StrEnum):
    """What each map is divided by before it is compared."""

    NONE = "none"
    MAX = "max"
    RMS = "rms"


_SCALES: Final[Mapping[Normalization, Callable[[Map], float]]] = MappingProxyType(
    {
        Normalization.NONE: lambda _: 1.0,
        Normalization.MAX: lambda values: float(np.abs(values).max()),
        Normalization.RMS: lambda values: float(np.sqrt(np.mean(values**2))),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedImage:
    """An image with its map.

    Attributes:
        sample: the image, clean or perturbed, and the model's answer to it.
        map: of the class that the clean image's map explains, normalized.
        draw: which draw a perturbed image is, from 0.
    """

    sample: Sample
    map: Map
    draw: int = 0

    @property
    def pixels(self) -> np.ndarray:
        """The image in float64."""
        return self.sample.image.draw().astype(np.float64)


FLIPS: Final = "Perturbed images of another top class."
NORMALIZATION: Final = "What each map is divided by before it is compared."
"""What the parameters set, for metrics with defaults of their own."""


@dataclass(frozen=True, slots=True)
class PerturbedMaps(Metric, ABC):
    """Reduces how far the map moves from image to perturbed image, draw by draw.

    Every draw explains the class of the clean image. Draws are equal queries in all metrics that
    perturb alike, so that one evaluation runs them once.
    """

    summarize: ClassVar[Callable[[Sequence[float]], float]]
    """What is made of the changes of all draws."""

    flips: Flips = parameter(Flips.KEEP, FLIPS, is_shared=True)
    normalization: Normalization = parameter(Normalization.NONE, NORMALIZATION, is_shared=True)

    @property
    def reduction(self) -> Reduction:
        """The mean over the images."""
        return Mean(NOT_NEGATIVE)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The number of draws that count."""
        return {"n_draws": Mean(NOT_NEGATIVE)}

    @property
    def reads_answers(self) -> bool:
        """Whether the score depends on what the model answers to perturbed images."""
        return self.flips is Flips.SKIP

    def answers(self, case: Case, images: int) -> int:
        """Predictions of so many perturbed images: none unless it or the explainer reads them."""
        return images if self.reads_answers or case.explainer.reads_answer else 0

    @abstractmethod
    def perturbed(self, sample: Sample) -> Iterator[LazyImage]:
        """The image under every draw; pixels are drawn when a batch is cut."""

    @abstractmethod
    def change(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """How far the map moved under one draw; 0 where the map stayed."""

    def score(self, case: Case) -> Procedure[Outcome]:
        """Summarizes the changes over the draws."""
        if is_constant(case.map.reshape(-1)):
            return Outcome(Undefined(Reason.DEGENERATE, "the map of the clean image is constant"))
        clean = ExplainedImage(case.sample, self._scaled(case.map))
        changes: list[float] = []
        for chunk in chunks(enumerate(self.perturbed(case.sample))):
            found = yield from together(self._changed(case, clean, *draw) for draw in chunk)
            reason = next((one for one in found if isinstance(one, Undefined)), None)
            if reason is not None:
                return Outcome(reason)
            changes += [one for one in found if isinstance(one, float)]
        if not changes:
            detail = "every perturbed image changed the top class"
            return Outcome(Undefined(Reason.FLIPPED, detail))
        return Outcome(type(self).summarize(changes), {"n_draws": float(len(changes))})

    def _changed(
        self, case: Case, clean: ExplainedImage, draw: int, image: LazyImage
    ) -> Procedure[float | Undefined | None]:
        """The change of one map; None for a flip that is skipped."""
        sample = case.sample.moved(image)
        if self.reads_answers:
            sample = yield from sample.answered()
            logits = sample.clean.logits
            if not np.isfinite(logits).all():
                return Undefined(Reason.NOT_FINITE, "the answer to a perturbed image is not finite")
            if self.flips is Flips.SKIP and logits.argmax() != case.sample.clean.logits.argmax():
                return None
        made = yield from case.explain(sample)
        if isinstance(made, Undefined):
            return made
        if not np.isfinite(made).all():
            return Undefined(Reason.NOT_FINITE, "the map of a perturbed image is not finite")
        change = yield from self.change(clean, ExplainedImage(sample, self._scaled(made), draw))
        if not np.isfinite(change):
            return Undefined(Reason.NOT_FINITE, "the change of the map is not finite")
        return change

    def _scaled(self, made: Map) -> Map:
        """The map over its scale; a map of zeros, which has none, stays as it is."""
        scale = _SCALES[self.normalization](made)
        scaled: Map = made / scale if scale > 0 else made
        return scaled


def over_distance(change: float, clean: ExplainedImage, moved: ExplainedImage) -> float:
    """A change of the map over the Euclidean distance of the images; 0 where they are equal."""
    distance = float(np.linalg.norm(moved.pixels - clean.pixels))
    return change / distance if distance > 0 else 0.0
