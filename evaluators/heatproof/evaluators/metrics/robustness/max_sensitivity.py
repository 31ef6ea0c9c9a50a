"""Max-sensitivity: how far a map moves when the image does a little."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.images.arrays import Image, Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import LazyImage, Procedure, chunks, predict, together
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.registry.registry import Reads
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
        Normalization.MAX: lambda values: float(values.max()),
        Normalization.RMS: lambda values: float(np.sqrt(np.mean(values**2))),
    }
)


@METRICS.register
@dataclass(frozen=True, slots=True)
class MaxSensitivity(Metric):
    """Takes the largest relative change of the map under small noise on the image.

    `max over k of ||A_k - A|| / ||A||`, where `A_k` explains the same class on the image plus
    uniform noise, clipped to [0, 1]. It grows with the number of draws, and a map that is blind to
    the image scores 0: compare equal draws, beside a faithfulness metric.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="max_sensitivity",
        reference="Yeh et al. 2019, arXiv 1901.09392",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )

    radius: float = parameter(
        0.02, "Largest change of a pixel in [0, 1].", within=Range(0, 1, lower_included=False)
    )
    draws: int = parameter(10, "Number of perturbed images.", within=Range(1, 1000))
    flips: Flips = parameter(Flips.KEEP, "Perturbed images of another top class.")
    normalization: Normalization = parameter(
        Normalization.NONE, "What each map is divided by before it is compared."
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the largest changes."""
        return Mean(NOT_NEGATIVE)

    def cost(self, case: Case) -> Cost:
        """A prediction and a map of each perturbed image."""
        return Cost(views=self.draws, explanations=self.draws)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`max over k of ||A_k - A||_2 / ||A||_2`."""
        clean = self._scaled(case.map)
        if isinstance(clean, Undefined):
            return Outcome(clean)
        changes: list[float] = []
        for chunk in chunks(range(self.draws)):
            found = yield from together(self._change(case, clean, index) for index in chunk)
            reason = next((one for one in found if isinstance(one, Undefined)), None)
            if reason is not None:
                return Outcome(reason)
            changes += [one for one in found if isinstance(one, float)]
        if not changes:
            return Outcome(Undefined(Reason.FLIPPED, "every perturbed image changed the top class"))
        return Outcome(max(changes), {"n_draws": float(len(changes))})

    def _change(self, case: Case, clean: Map, index: int) -> Procedure[float | Undefined | None]:
        """Relative change of one map; None for a flip that is skipped."""
        sample = case.sample
        key = f"{sample.image.key}/noise/{self.radius}/{index}"
        image = LazyImage(key, partial(self._noisy, sample, index))
        answer = yield from predict(sample.view(image=image))
        if self.flips is Flips.SKIP and answer.logits.argmax() != sample.clean.logits.argmax():
            return None
        made = yield from case.explainer.explain(sample.moved(image, answer))
        scaled = made if isinstance(made, Undefined) else self._scaled(made)
        if isinstance(scaled, Undefined):
            return scaled
        return float(np.linalg.norm(scaled - clean) / np.linalg.norm(clean))

    def _noisy(self, sample: Sample, index: int) -> Image:
        pixels = sample.image.draw()
        drawn = sample.rng(f"noise/{index}").uniform(-self.radius, self.radius, pixels.shape)
        return np.clip(pixels + drawn, 0, 1).astype(np.float32)

    def _scaled(self, made: Map) -> Map | Undefined:
        if not np.isfinite(made).all():
            return Undefined(Reason.NOT_FINITE, "the map of a perturbed image is not finite")
        scale = _SCALES[self.normalization](made)
        if not made.any() or not scale > 0:
            return Undefined(Reason.DEGENERATE, "the map is 0, so nothing is relative to it")
        return made / scale
