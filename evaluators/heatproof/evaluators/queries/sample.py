"""One image as one model sees it: what explainers and metrics work on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.images.arrays import Map, Mask
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Picture, Prediction
from heatproof.evaluators.queries.seeds import generator


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """One image as one model sees it.

    Attributes:
        facts: what the model is and can do.
        picture: the image in the model's input frame.
        digest: SHA-256 of the image's bytes.
        seed: of everything random.
        target: class that is explained.
        clean: the model's answer to `picture`.
        maps: the caller's maps by name, in the model's input frame.
        object_mask: where the object is, in the model's input frame; None if it was not given.
        variant: "" for the image itself; names a perturbed version of it.
    """

    facts: PredictorFacts
    picture: Picture
    digest: str
    seed: int
    target: int
    clean: Prediction
    maps: Mapping[str, Map]
    object_mask: Mask | None = None
    variant: str = ""

    @property
    def height(self) -> int:
        """Height of the input in pixels."""
        return self.facts.height

    @property
    def width(self) -> int:
        """Width of the input in pixels."""
        return self.facts.width

    @property
    def confidence(self) -> float:
        """Probability of the target on the clean picture."""
        return self.probability(self.clean)

    def probability(self, answer: Prediction) -> float:
        """Probability of the target."""
        return float(answer.probabilities[self.target])

    def margin(self, answer: Prediction) -> float:
        """Logit of the target less the highest other one.

        The temperature of the softmax scales it and changes nothing else. Classes of a sigmoid do
        not compete: there it is the logit alone.
        """
        logits = answer.logits.astype(np.float64)
        if self.facts.probabilities == "sigmoid" or logits.size == 1:
            return float(logits[self.target])
        return float(logits[self.target] - np.delete(logits, self.target).max())

    @property
    def target_weights(self) -> Float32[np.ndarray, "classes"]:
        """Weights of the logits that pick the target."""
        weights = np.zeros(self.facts.classes, np.float32)
        weights[self.target] = 1
        return weights

    def rng(self, purpose: str) -> np.random.Generator:
        """Randomness for a purpose: the same for all models, explainers and operators."""
        return generator(self.seed, self.digest, purpose)

    def moved(self, picture: Picture, answer: Prediction) -> "Scene":
        """The same scene after a perturbation of its pixels."""
        return replace(self, picture=picture, clean=answer, variant=picture.key)
