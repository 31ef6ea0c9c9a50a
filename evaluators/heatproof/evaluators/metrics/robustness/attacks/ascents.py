"""Which way the target's loss rises: by its gradient, or estimated from predictions alone.

The loss is the cross-entropy of the target's class. Of a contrast or a group it is the negative
logit, whose ascent is, for a contrast, the same direction.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.metrics.robustness.attacks.attack import Attack
from heatproof.evaluators.queries.procedure import (
    LazyImage,
    MaskedView,
    Prediction,
    Procedure,
    differentiate,
    predict,
    respond,
)
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.targets import NO_CLASS


def gradient_ascent(sample: Sample, image: LazyImage, step: int) -> Procedure[Image]:
    """The gradient itself; needs a differentiable model."""
    answer = yield from _answered(sample, image, step)
    weights = _away_from_target(sample, answer)
    found = yield from differentiate(sample.gradient_view(weights, image=image))
    return found.gradient


def _answered(sample: Sample, image: LazyImage, step: int) -> Procedure[Prediction]:
    if step == 0:
        return sample.clean
    return (yield from predict(sample.view(image=image)))


def _away_from_target(sample: Sample, answer: Prediction) -> Float32[np.ndarray, "classes"]:
    if sample.target.class_index == NO_CLASS:
        return -sample.target_weights
    return cross_entropy_gradient(
        answer.probabilities, sample.target.class_index, sample.facts.probabilities
    )


def cross_entropy_gradient(
    probabilities: Float64[np.ndarray, "classes"], target: int, kind: str
) -> Float32[np.ndarray, "classes"]:
    """Direction of the gradient of the target's cross-entropy in the logits, its largest entry 1.

    Only signs are read of what comes back, and a confident model's gradient would underflow, hence
    the scaling. The target's entry is summed from the others, for `p - 1` cancels near 1.
    """
    gradient = np.zeros_like(probabilities)
    if kind == "sigmoid":
        gradient[target] = -1
        return gradient.astype(np.float32)
    gradient[:] = probabilities
    gradient[target] = 0
    gradient[target] = -gradient.sum()
    largest = np.abs(gradient).max()
    return (gradient / largest if largest > 0 else gradient).astype(np.float32)


class Probing(StrEnum):
    """How the directions of an estimate are drawn.

    Attributes:
        SPSA: every value up or down by the same (Spall 1992; Uesato et al. 2018, arXiv 1802.05666).
        NES: normal, in pairs of opposites (Ilyas et al. 2018, arXiv 1804.08598).
    """

    SPSA = "spsa"
    NES = "nes"


_DRAWN: Final[
    Mapping[
        Probing,
        Callable[
            [np.random.Generator, tuple[int, int, int]], Float64[np.ndarray, "3 height width"]
        ],
    ]
] = MappingProxyType(
    {
        Probing.SPSA: lambda rng, shape: rng.choice(np.array([-1.0, 1.0]), shape),
        Probing.NES: lambda rng, shape: rng.standard_normal(shape),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedAscent:
    """Estimates the gradient on the background from differences of the loss.

    The sum over k of `(loss(x + r d_k) - loss(x - r d_k)) d_k`, with the probed images clipped to
    [0, 1] (ours: what the model sees is always an image). Not FGSM: with few pairs its signs are
    mostly noise.

    Attributes:
        attack: whose background is probed.
        probing: how directions are drawn.
        pairs: number of directions, two predictions each.
        reach: how far the probed images lie, in [0, 1].
    """

    attack: Attack
    probing: Probing
    pairs: int
    reach: float

    def __call__(self, sample: Sample, image: LazyImage, step: int) -> Procedure[Image]:
        """The estimate, 0 outside the background; only its signs mean something."""
        found = yield from respond(self._views(sample, image, step), partial(loss, sample))
        total = np.zeros((3, sample.height, sample.width))
        for index, rise in enumerate(found.values[::2] - found.values[1::2]):
            total += rise * self._direction(sample, step, index)
        return np.sign(total).astype(np.float32)

    def _views(self, sample: Sample, image: LazyImage, step: int) -> Iterator[MaskedView]:
        """Both ends of each direction; drawn when a batch is cut."""
        name = f"{image.key}/{self.attack.key}/{self.probing}/{self.reach}/{step}"
        for index in range(self.pairs):
            for sign in (1, -1):
                draw = partial(self._probed, sample, image, step, index, sign)
                yield sample.view(image=LazyImage(f"{name}/{index}/{sign}", draw))

    def _probed(self, sample: Sample, image: LazyImage, step: int, index: int, sign: int) -> Image:
        moved = image.draw() + sign * self.reach * self._direction(sample, step, index)
        return np.clip(moved, 0, 1).astype(np.float32)

    def _direction(
        self, sample: Sample, step: int, index: int
    ) -> Float64[np.ndarray, "3 height width"]:
        rng = sample.rng(f"{self.probing}/{step}/{index}")
        drawn = _DRAWN[self.probing](rng, (3, sample.height, sample.width))
        return np.where(self.attack.background, drawn, 0.0)


def loss(sample: Sample, answer: Prediction) -> float:
    """The target's log-odds, negative; of a contrast or a group its negative logit.

    It rises where the cross-entropy does and, unlike that, does not vanish where the model is sure.
    """
    index = sample.target.class_index
    if index == NO_CLASS:
        return -sample.logit(answer)
    logits = answer.logits.astype(np.float64)
    if sample.facts.probabilities == "sigmoid":
        return float(-logits[index])
    return float(np.logaddexp.reduce(np.delete(logits, index)) - logits[index])
