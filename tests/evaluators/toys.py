"""Predictors with closed forms, on which every definition can be checked by hand."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar, cast

import numpy as np

from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.metrics import Case, Given
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.passes import IMAGE, TRAINED, ModelPass
from heatproof.evaluators.queries.predictor import (
    Answers,
    Batch,
    Predictor,
    PredictorFacts,
    Shortfall,
)
from heatproof.evaluators.queries.procedure import (
    Answer,
    Asked,
    GradientView,
    LazyImage,
    MaskedView,
    Procedure,
    Query,
    SharedMap,
    predict,
)
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.scheduler import Job, Scheduler
from heatproof.evaluators.queries.targets import PREDICTED
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black, RemovalOperator, RemovalView, Render

T = TypeVar("T")

SIDE = 32
BATCH = 4


def facts(
    *,
    side: int = SIDE,
    classes: int = 3,
    batch_size: int = BATCH,
    shortfalls: Sequence[Shortfall] = (),
    cam_tensor: str = "features",
    probabilities: str = "softmax",
    model: str = "models/toy",
    layers: tuple[str, ...] = ("first", "last"),
    in_flight: int = 1,
    cores: int = 1,
) -> PredictorFacts:
    def supports(run: ModelPass) -> Shortfall | None:
        found = (known for known in shortfalls if known.capability in run.capabilities)
        return next(found, None)

    return PredictorFacts(
        model=model,
        height=side,
        width=side,
        classes=classes,
        probabilities=probabilities,
        batch_size=batch_size,
        cam_tensor=cam_tensor,
        supports=supports,
        layers=layers,
        in_flight=in_flight,
        cores=cores,
        channels={"features": 3},
    )


class ToyPredictor:
    """Runs a function of one image; counts batches and insists on their fixed shape.

    The layer-masked form blacks hidden pixels and reports the visible share; a gate scales the
    colours, for the features are their means; gradients come from
    `jacobian(image) -> [classes, 3, H, W]`, those by the features as means or of their own size.
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

    def submit(self, run: ModelPass, batch: Batch) -> "Future[Answers]":
        assert run.model == self._facts.model
        future: Future[Answers] = Future()
        found = self.answers(run, batch)
        if run.taps and not found.features:
            shown = batch.images if batch.masks is None else _hidden(batch.images, batch.masks)
            found = replace(found, features={name: features(shown) for name in run.taps})
        future.set_result(found)
        return future

    def answers(self, run: ModelPass, batch: Batch) -> Answers:
        assert (run.masking is None) == (batch.masks is None)
        assert (run.wrt is None) == (batch.output_gradients is None)
        assert (run.gate is None) == (batch.gates is None)
        if run.weights.layers:
            return self._randomized(run, batch)
        if batch.gates is not None:
            return Answers(self.logits(batch.images * batch.gates[:, :, None, None]))
        if batch.masks is not None:
            return self._masked(batch.images, batch.masks)
        if batch.output_gradients is not None:
            return self._gradients(batch.images, batch.output_gradients, run.wrt or "")
        return Answers(self.logits(batch.images))

    def _randomized(self, run: ModelPass, batch: Batch) -> Answers:
        """The same function of an image whose rows are shuffled by the draw of the weights."""
        text = f"{run.weights}".encode()
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest(), "big"))
        rows = rng.permutation(self._facts.height)
        shuffled = replace(batch, rows=np.ascontiguousarray(batch.images[:, :, rows]))
        found = self.answers(replace(run, weights=TRAINED), shuffled)
        if found.gradients is None or run.wrt != IMAGE:
            return found
        return replace(
            found, activations=batch.images, gradients=found.gradients[:, :, rows.argsort()]
        )

    def logits(self, images: np.ndarray) -> np.ndarray:
        self._check(images)
        return np.stack([np.asarray(self._logits(image), np.float32) for image in images])

    def _masked(self, images: np.ndarray, masks: np.ndarray) -> Answers:
        assert masks.dtype == np.bool_
        assert masks.shape == (len(images), *images.shape[2:])
        self.masks.append(masks.copy())
        return Answers(
            self.logits(_hidden(images, masks)), masks.mean(axis=(1, 2)).astype(np.float32)
        )

    def _gradients(self, images: np.ndarray, weights: np.ndarray, tensor: str) -> Answers:
        assert self._jacobian is not None
        assert weights.dtype == np.float32
        logits = self.logits(images)
        jacobians = np.stack([self._jacobian(image) for image in images])
        found = np.einsum("nk,nk...->n...", weights.astype(np.float64), jacobians)
        activations = images if not tensor else features(images)
        if found.shape != activations.shape:
            found = features(found)
        return Answers(logits, activations=activations, gradients=found.astype(np.float32))

    def _check(self, images: np.ndarray) -> None:
        own = self._facts
        assert images.dtype == np.float32
        assert images.shape == (own.batch_size, 3, own.height, own.width)
        self.batches.append(images.copy())


def _hidden(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    return np.where(masks[:, None], images, np.float32(0))


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


def run_one(procedure: Procedure[T], batcher: Batcher) -> T:
    """Runs one procedure against a model's batches."""

    def job() -> Job[T]:
        results = yield [procedure]
        return cast("T", results[0])

    (found,) = list[T](scheduler([batcher], 1).run(iter([job()])))
    return found


def scheduler(
    batchers: Sequence[Batcher], window: int, on_batch: Callable[[], None] = lambda: None
) -> Scheduler[Any]:
    """A scheduler of models, found by their names."""
    return Scheduler({batcher.facts.model: batcher for batcher in batchers}, window, on_batch)


def ask(procedure: Procedure[T], predictor: Predictor) -> T:
    """Runs one procedure against a predictor."""
    return run_one(procedure, Batcher(predictor))


def view(
    image: LazyImage,
    mask: np.ndarray | None = None,
    removal: RemovalOperator | None = None,
    model: str = "models/toy",
) -> MaskedView:
    """Asks a toy for a prediction."""
    masking = None if removal is None else removal.masking
    return MaskedView(image, ModelPass(model, masking=masking), mask, removal)


def gradient_view(image: LazyImage, weights: np.ndarray, wrt: str = IMAGE) -> GradientView:
    """Asks a toy for a gradient."""
    return GradientView(image, ModelPass("models/toy", wrt=wrt), weights)


def bound(removal: RemovalOperator, image: np.ndarray, seed: int = 0) -> Render:
    """Draws an image with pixels removed; there is one other image to draw from.

    What is made of the image itself is its negative.
    """
    is_made = bool({Reads.COUNTERPART, Reads.REPLACEMENT} & set(removal.reads))
    other = 1 - image if is_made else pixels(1234, side=image.shape[1])
    return removal.bind(RemovalView(image, np.random.default_rng(seed), (lambda: other,)))


def answer(procedure: Procedure[T], respond: Callable[[Query], Answer]) -> T:
    """Runs one procedure against a function of single queries, in float64 all the way."""
    try:
        queries = next(procedure)
        while True:
            queries = procedure.send([_answered(query, respond) for query in queries])
    except StopIteration as end:
        return cast("T", end.value)


def _answered(asked: Asked, respond: Callable[[Query], Answer]) -> Any:
    if isinstance(asked, SharedMap):
        return answer(asked.make(), respond)
    return respond(asked)


def sample_of(
    predictor: Predictor, image: np.ndarray, *, seed: int = 0, **maps: np.ndarray
) -> Sample:
    """The image as the predictor sees it; its top class is explained."""
    pixels = LazyImage.of(image)
    clean = ask(predict(view(pixels, model=predictor.facts.model)), predictor)
    return Sample(
        facts=predictor.facts,
        image=pixels,
        digest=hashlib.sha256(image.tobytes()).hexdigest(),
        seed=seed,
        target=PREDICTED.head(None, clean),
        answer=clean,
        maps=maps,
    )


EVERYTHING = tuple(Reads)
"""What a case of the tests hands over, whatever the metric declares."""


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
    given = Given(
        removal=removal or Black(),
        explainer=explainer,
        sample=sample_of(predictor, image, seed=seed),
        map=None if attribution is None else attribution.astype(np.float64),
        objects=object_mask,
    )
    return Case(EVERYTHING, predictor.facts, given)


def planned(
    model: PredictorFacts,
    removal: RemovalOperator | None = None,
    explainer: Explainer | None = None,
) -> Case:
    """What will be scored with, while there is no image."""
    return Case(EVERYTHING, model, Given(removal, explainer))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Written out, as an oracle."""
    powers = np.exp(logits.astype(np.float64) - logits.max())
    shares: np.ndarray = powers / powers.sum()
    return shares
