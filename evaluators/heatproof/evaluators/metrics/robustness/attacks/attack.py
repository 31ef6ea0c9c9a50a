"""Perturbations of an image's background: by the signs of an ascent, or by random signs."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import LazyImage, Procedure
from heatproof.evaluators.queries.sample import Sample


@dataclass(frozen=True, slots=True, eq=False)
class Attack:
    """What may be changed, and how far.

    Attributes:
        background: pixels that may change.
        epsilon: largest change of a pixel, in [0, 1].
        steps: gradient steps.
    """

    background: Mask
    epsilon: float
    steps: int

    @property
    def key(self) -> str:
        """Names the attack."""
        digest = hashlib.sha256(np.packbits(self.background).data)
        digest.update(repr((self.background.shape, self.epsilon, self.steps)).encode())
        return digest.hexdigest()

    @property
    def stride(self) -> float:
        """Length of a step: the whole way for one step, else 2.5 times its share."""
        return self.epsilon if self.steps == 1 else 2.5 * self.epsilon / self.steps

    def moved(self, clean: Image, pixels: Image, direction: Image, stride: float) -> Image:
        """Steps, stays within epsilon of the clean image and in [0, 1], spares the foreground."""
        stepped = pixels + np.float32(stride) * direction
        epsilon = np.float32(self.epsilon)
        bounded = np.clip(np.clip(stepped, clean - epsilon, clean + epsilon), 0, 1)
        return np.where(self.background, bounded, clean)


Ascent: TypeAlias = Callable[[Sample, LazyImage, int], Procedure[Image]]
"""Of an image and the number of the step: the loss's gradient, or what has its signs."""


def adversarial_attack(
    sample: Sample, attack: Attack, ascent: Ascent
) -> Procedure[Image | Undefined]:
    """Raises the loss by the signs of its ascent: with the gradient FGSM, or PGD."""
    image, clean = sample.image, sample.image.draw()
    pixels = clean
    for step in range(attack.steps):
        found = yield from ascent(sample, image, step)
        direction = np.sign(found)
        if not np.isfinite(direction).all():
            return Undefined(Reason.NOT_FINITE, "the gradient holds NaN or infinity")
        if step == 0 and not direction[:, attack.background].any():
            return Undefined(Reason.NO_GRADIENT, "the gradient is 0 all over the background")
        pixels = attack.moved(clean, pixels, direction, attack.stride)
        image = LazyImage.of(pixels)
    return pixels


def random_attack(sample: Sample, attack: Attack, index: int) -> Image:
    """Moves every background pixel by epsilon up or down at random: what noise does."""
    clean = sample.image.draw()
    signs = sample.rng(f"signs/{index}").choice(np.array([-1, 1], np.float32), clean.shape)
    return attack.moved(clean, clean, signs, attack.epsilon)
