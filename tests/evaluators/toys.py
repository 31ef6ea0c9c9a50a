"""Predictors with closed forms, on which every definition can be checked by hand."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np

from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.metrics import Case, Setting
from heatproof.evaluators.queries.batching import Packer
from heatproof.evaluators.queries.predictor import (
    Gradients,
    MaskedLogits,
    Predictor,
    PredictorFacts,
    Shortfall,
)
from heatproof.evaluators.queries.procedure import (
    Answer,
    MaskedView,
    Picture,
    Procedure,
    Query,
    predict,
)
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.queries.scheduler import Job, Rounds, Task
from heatproof.evaluators.removal import Black, RemovalOperator

T = TypeVar("T")

SIDE = 32
BATCH = 4


def facts(
    *,
    side: int = SIDE,
    classes: int = 3,
    batch_size: int = BATCH,
    layer_masking: Shortfall | None = None,
    gradients: Shortfall | None = None,
    cam_tensor: str = "features",
    probabilities: str = "softmax",
    model: str = "models/toy",
) -> PredictorFacts:
    return PredictorFacts(
        model=model,
        height=side,
        width=side,
        classes=classes,
        probabilities=probabilities,
        batch_size=batch_size,
        cam_tensor=cam_tensor,
        layer_masking=layer_masking,
        gradients=gradients,
        activation_gradients=gradients,
    )


class ToyPredictor:
    """Runs a function of one image; counts batches and insists on their fixed shape.

    The layer-masked form blacks hidden pixels and reports the visible share; gradients come from
    `jacobian(image) -> [classes, 3, H, W]`.
    """

    def __init__(
        self,
        logits: Callable[[np.ndarray], np.ndarray],
        *,
        jacobian: Callable[[np.ndarray], np.ndarray] | None = None,
        own: PredictorFacts | None = None,
    ) -> None:
        self._facts = own or facts()
        self._logits = logits
        self._jacobian = jacobian
        self.batches: list[np.ndarray] = []
        self.masks: list[np.ndarray] = []

    @property
    def facts(self) -> PredictorFacts:
        return self._facts

    def logits(self, images: np.ndarray) -> np.ndarray:
        self._check(images)
        return np.stack([np.asarray(self._logits(image), np.float32) for image in images])

    def masked_logits(self, images: np.ndarray, masks: np.ndarray, mode: str) -> MaskedLogits:
        assert mode in {"reference", "strict"}
        assert masks.dtype == np.bool_
        assert masks.shape == (len(images), *images.shape[2:])
        self.masks.append(masks.copy())
        hidden = np.where(masks[:, None], images, np.float32(0))
        coverage = masks.mean(axis=(1, 2)).astype(np.float32)
        return MaskedLogits(self.logits(hidden), coverage)

    def gradients(self, images: np.ndarray, output_gradients: np.ndarray, tensor: str) -> Gradients:
        assert self._jacobian is not None
        assert output_gradients.dtype == np.float32
        logits = self.logits(images)
        jacobians = np.stack([self._jacobian(image) for image in images])
        found = np.einsum("nk,nk...->n...", output_gradients.astype(np.float64), jacobians)
        activations = images if not tensor else features(images)
        return Gradients(logits, activations, found.astype(np.float32))

    def _check(self, images: np.ndarray) -> None:
        own = self._facts
        assert images.dtype == np.float32
        assert images.shape == (own.batch_size, 3, own.height, own.width)
        self.batches.append(images.copy())


def features(images: np.ndarray) -> np.ndarray:
    """Means over 8 x 8 blocks: the toys' activation tensor."""
    n, c, h, w = images.shape
    means: np.ndarray = images.reshape(n, c, h // 8, 8, w // 8, 8).mean(axis=(3, 5))
    return means.astype(np.float32)


def linear(weights: np.ndarray, **options: object) -> ToyPredictor:
    """Logit 0 is `sum(weights * image)`; the other classes have none."""
    classes = 3

    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([(weights * image.astype(np.float64)).sum(), 0.0, 0.0])

    def jacobian(image: np.ndarray) -> np.ndarray:
        full = np.zeros((classes, *image.shape))
        full[0] = weights
        return full

    return ToyPredictor(logits, jacobian=jacobian, **options)  # type: ignore[arg-type]  # options of ToyPredictor


def pixels(seed: int = 0, *, low: float = 0.5, high: float = 1.0, side: int = SIDE) -> np.ndarray:
    """A random image in [low, high]."""
    rng = np.random.default_rng(seed)
    return rng.uniform(low, high, (3, side, side)).astype(np.float32)


def ask(procedure: Procedure[T], predictor: Predictor) -> T:
    """Runs one procedure against a predictor."""
    packer = Packer(predictor)

    def job() -> Job[T]:
        results = yield [Task(packer, procedure)]
        return cast("T", results[0])

    rounds: Rounds[T] = Rounds((packer,), 1, lambda: None)
    (found,) = list[T](rounds.run(iter([job()])))
    return found


def answer(procedure: Procedure[T], respond: Callable[[Query], Answer]) -> T:
    """Runs one procedure against a function of single queries, in float64 all the way."""
    try:
        queries = next(procedure)
        while True:
            queries = procedure.send([respond(query) for query in queries])
    except StopIteration as end:
        return cast("T", end.value)


def scene_of(
    predictor: Predictor, image: np.ndarray, *, seed: int = 0, **maps: np.ndarray
) -> Scene:
    """The image as the predictor sees it; its top class is explained."""
    picture = Picture.of(image)
    clean = ask(predict(MaskedView(picture)), predictor)
    return Scene(
        facts=predictor.facts,
        picture=picture,
        digest=hashlib.sha256(image.tobytes()).hexdigest(),
        seed=seed,
        target=int(clean.logits.argmax()),
        clean=clean,
        maps=maps,
    )


def case_of(
    predictor: Predictor,
    image: np.ndarray,
    attribution: np.ndarray | None = None,
    *,
    removal: RemovalOperator | None = None,
    explainer: Explainer | None = None,
    seed: int = 0,
    object_mask: np.ndarray | None = None,
) -> Case:
    """An image to score, black being the removal operator unless another one is named."""
    scene = replace(scene_of(predictor, image, seed=seed), object_mask=object_mask)
    setting = Setting(predictor.facts, removal or Black(), explainer)
    made = None if attribution is None else attribution.astype(np.float64)
    return Case(scene, setting, made)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Written out, as an oracle."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    shares: np.ndarray = powers / powers.sum()
    return shares
