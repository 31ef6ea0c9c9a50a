"""Perturbations of an image's background: by the sign of a gradient, or by random signs."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import (
    LazyImage,
    Prediction,
    Procedure,
    differentiate,
    predict,
)
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.targets import NO_CLASS


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


def gradient_attack(sample: Sample, attack: Attack) -> Procedure[Image | Undefined]:
    """Raises the cross-entropy of the target by the sign of its gradient: FGSM, or PGD.

    Of a contrast or a group it lowers the logit, which of a contrast is the same direction.
    """
    clean = pixels = sample.image.draw()
    image, answer = sample.image, sample.clean
    for step in range(attack.steps):
        if step:
            image = LazyImage.of(pixels)
            answer = yield from predict(sample.view(image=image))
        weights = _away_from_target(sample, answer)
        found = yield from differentiate(sample.gradient_view(weights, image=image))
        direction = np.sign(found.gradient)
        if not np.isfinite(direction).all():
            return Undefined(Reason.NOT_FINITE, "the gradient holds NaN or infinity")
        if step == 0 and not direction[:, attack.background].any():
            return Undefined(Reason.NO_GRADIENT, "the gradient is 0 all over the background")
        pixels = attack.moved(clean, pixels, direction, attack.stride)
    return pixels


def _away_from_target(sample: Sample, answer: Prediction) -> Float32[np.ndarray, "classes"]:
    if sample.target.class_index == NO_CLASS:
        return -sample.target_weights
    return cross_entropy_gradient(
        answer.probabilities, sample.target.class_index, sample.facts.probabilities
    )


def random_attack(sample: Sample, attack: Attack, index: int) -> Image:
    """Moves every background pixel by epsilon up or down at random: what noise does."""
    clean = sample.image.draw()
    signs = sample.rng(f"signs/{index}").choice(np.array([-1, 1], np.float32), clean.shape)
    return attack.moved(clean, clean, signs, attack.epsilon)


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
