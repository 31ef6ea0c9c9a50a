"""Runs evaluations and explanations of a few images on models at hand: the engine's front door."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.evaluation.jobs import Explained, evaluation_job, explanation_job
from heatproof.evaluators.evaluation.plan import Plan as Plan
from heatproof.evaluators.evaluation.plan import ResultKey as ResultKey
from heatproof.evaluators.evaluation.plan import plan as plan
from heatproof.evaluators.evaluation.preparation.prefetching import prefetched
from heatproof.evaluators.evaluation.preparation.prepared import PreparedImage, prepared
from heatproof.evaluators.evaluation.requirements import (
    check_explainers,
    check_removals,
    check_target,
)
from heatproof.evaluators.evaluation.results import CleanPrediction, ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.annotations import replacement_of
from heatproof.evaluators.images.arrays import Image, Logits, Map, Masks
from heatproof.evaluators.images.frames import image_to_input
from heatproof.evaluators.images.overlay import overlay
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.images.sources import SourceImage as SourceImage
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.evaluators.queries.first_answers import FirstAnswers
from heatproof.evaluators.queries.known.answers import KnownAnswers
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Predictor, PredictorFacts
from heatproof.evaluators.queries.procedure import LazyImage, MaskedView, Prediction, predict
from heatproof.evaluators.queries.scheduler import Job, Scheduler
from heatproof.evaluators.queries.seeds import seed_of
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import RemovalOperator
from heatproof.evaluators.removal.operator import Drawing


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a shard is.

    Attributes:
        images_done: images finished.
        predictions_done: rows answered, without padding.
        predictions_known: those of them that were known, so that no pass was run for them.
    """

    images_done: int
    predictions_done: int
    predictions_known: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One map.

    Attributes:
        image: index of the image.
        explainer: the explainer.
        prediction: the model's answer to the clean image.
        values: the map in the model's input frame, or why there is none.
        overlay_png: the map over the image; empty if not asked for or if there is no map.
        preprocessing: how the image became the model's input, the size included.
        class_output: how the class scores are read; None if that is not known.
        input_pixels: the image in the model's input frame; None if not asked for.
    """

    image: int
    explainer: Explainer
    prediction: CleanPrediction
    values: Map | Undefined
    preprocessing: Preprocessing
    overlay_png: bytes = b""
    class_output: ClassOutput | None = None
    input_pixels: Image | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPredictions:
    """Answers to one image under masks.

    Attributes:
        logits: class scores, one row a mask.
        coverage: visible share of the last spatial mask, for `layer` only.
        class_output: how the class scores are read; None if that is not known.
    """

    logits: Logits
    coverage: Float32[np.ndarray, "masks"] | None
    class_output: ClassOutput | None = None


_WINDOW: Final = 16
"""Images under way at least: enough to fill batches while the last curves of each one end."""

_WIDEST_WINDOW: Final = 64
"""Images under way at most, for each is held in memory."""

_SHARD: Final = 32
"""Images a shard: large against the tail of its last batches, small against a data set."""


def shards(images: int) -> tuple[range, ...]:
    """Cuts images into shards: a function of their number alone."""
    return tuple(range(start, min(start + _SHARD, images)) for start in range(0, images, _SHARD))


def evaluate(
    spec: EvaluationSpec,
    images: Sequence[SourceImage],
    predictors: Mapping[str, Predictor],
    on_progress: Callable[[Progress], None],
    known: Mapping[str, KnownAnswers] | None = None,
) -> Generator[ImageResult, None, None]:
    """Evaluates one shard; results come in the order of the images.

    Batches are cut inside the shard only, in an order that depends on spec, images and models
    alone, so that equal shards give bit-equal results. `images` may be lazy: each is fetched once,
    in order, in another thread, and prepared there while models are run on the images before it; a
    bounded number is ready beforehand. What is wrong with one is raised when its turn comes.

    Args:
        spec: what to evaluate; every model named in it has a predictor.
        images: the shard's images.
        predictors: models by name.
        on_progress: called after every batch and with every result.
        known: answers of models, by name, that need not be given again; scores are equal in all
            bits with them and without.

    Raises:
        InvalidArgumentError: an image lacks the label that is to be explained, its label is no
            class of a model, or its map or size is unusable; the field starts with `images[i]`
            where i counts within this shard. Or the answers contradict the stated activation.
        UnsupportedModelError: the first answers look like probabilities of an unknown activation.
    """
    held = known or {}
    batchers = {name: Batcher(predictors[name], held.get(name)) for name in spec.run_models}
    facts = {model: batcher.facts for model, batcher in batchers.items()}
    done = 0

    def report() -> None:
        found = [(batcher.rows_done, batcher.rows_known) for batcher in batchers.values()]
        on_progress(Progress(done, *map(sum, zip(*found, strict=True))))

    expected = len(images)
    watches = {model: FirstAnswers(known.reading, expected) for model, known in facts.items()}
    scheduler: Scheduler[ImageResult] = Scheduler(batchers, _window(facts.values()), report)
    with _prepared(spec, facts, images) as ready:
        jobs = (evaluation_job(spec, facts, image, watches) for image in ready)
        for result in scheduler.run(jobs):
            done += 1
            report()
            yield result


def _prepared(
    spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], images: Sequence[SourceImage]
) -> AbstractContextManager[Iterator[PreparedImage]]:
    """The images, each prepared while those before it are in work."""
    return prefetched(lambda index: prepared(spec, facts, index, images[index]), len(images))


def _window(models: Iterable[PredictorFacts]) -> int:
    """How many images are under way: one for each row of the batches that are, within bounds."""
    rows = max(facts.batch_size * facts.in_flight for facts in models)
    return max(_WINDOW, min(rows, _WIDEST_WINDOW))


def explain(
    spec: EvaluationSpec,
    images: Sequence[SourceImage],
    predictor: Predictor,
    *,
    with_pixels: bool = False,
    known: KnownAnswers | None = None,
) -> Generator[Explanation, None, None]:
    """Makes maps, image by image and explainer by explainer.

    Args:
        spec: one model, `explainers`, `target`, `seed`; `keep_overlays` asks for overlays; metrics
            and removal operators are not read.
        images: the images.
        predictor: the model.
        with_pixels: whether each map comes with the image that the model reads.
        known: answers of the model that need not be given again; maps are equal in all bits with
            them and without.

    Raises:
        InvalidArgumentError: as `evaluate`, or a parameter of an explainer.
        UnsupportedOperatorError: the model lacks what an explainer needs.
    """
    check_explainers(spec.explainers, predictor.facts)
    check_target(spec.target, predictor.facts)
    facts = predictor.facts
    watch = FirstAnswers(facts.reading, len(images))
    scheduler: Scheduler[Explained] = Scheduler(
        {facts.model: Batcher(predictor, known)}, _window([facts]), lambda: None
    )
    with _prepared(spec, {facts.model: facts}, images) as ready:
        jobs = (explanation_job(spec, facts, image, watch) for image in ready)
        for index, explained in enumerate(scheduler.run(jobs)):
            for explanation in _explanations(spec, index, explained):
                pixels = explained.sample.image.draw() if with_pixels else None
                yield replace(explanation, input_pixels=pixels)


def _explanations(spec: EvaluationSpec, index: int, explained: Explained) -> Iterator[Explanation]:
    facts = explained.sample.facts
    for explainer in spec.explainers:
        values = explained.maps[explainer]
        png = b""
        if spec.keep_overlays and not isinstance(values, Undefined):
            png = overlay(explained.sample.image.draw(), values).png
        yield Explanation(
            index,
            explainer,
            explained.prediction,
            values,
            spec.preprocessing.sized(facts.height, facts.width),
            png,
            None if facts.reading is None else facts.reading.output,
        )


def predict_masked(
    image: SourceImage,
    masks: Masks,
    removal: RemovalOperator,
    preprocessing: Preprocessing,
    predictor: Predictor,
) -> MaskedPredictions:
    """Predicts an image under masks of the model's input frame (see `frames.mask_to_input`).

    Raises:
        InvalidArgumentError: masks of another size, a parameter of the operator, one that reads
            other images, or a replacement that did not come.
        UnsupportedOperatorError: the model has no layer masking.
    """
    facts = predictor.facts
    _check_masked(masks, removal, facts)
    sized = preprocessing.sized(facts.height, facts.width)
    pixels = LazyImage.of(image_to_input(image.pixels, sized))
    run = ModelPass(facts.model, masking=removal.masking)
    seed = seed_of(0, image.digest, "removal")
    shown = _replacements(image, removal, sized)
    views = [MaskedView(pixels, run, mask, removal, seed, substitutes=shown) for mask in masks]
    scheduler: Scheduler[list[Prediction]] = Scheduler(
        {facts.model: Batcher(predictor)}, 1, lambda: None
    )
    (found,) = scheduler.run(iter([_predictions(views)]))
    watch = FirstAnswers(facts.reading, len(found))
    for answer in found:
        watch.see(answer.logits)
    coverage = np.array([answer.coverage for answer in found], np.float32)
    logits = np.array([answer.logits for answer in found], np.float32)
    return MaskedPredictions(
        logits.reshape(len(views), facts.classes),
        None if removal.masking is None else coverage,
        None if facts.reading is None else facts.reading.output,
    )


_MORE_THAN_AN_IMAGE: Final[Mapping[Reads, str]] = {
    Reads.DONORS: "other images of a data set, and here is one image alone",
    Reads.COUNTERPART: "an image after an attack, and here nothing is explained to attack",
}


def _check_masked(masks: Masks, removal: RemovalOperator, facts: PredictorFacts) -> None:
    check_removals((removal,), facts)
    for read, why in _MORE_THAN_AN_IMAGE.items():
        if read in removal.reads:
            raise InvalidArgumentError(
                f"{removal.name} reads {why}: choose another operator, or evaluate a data set",
                field="removal",
            )
    if masks.shape[1:] != (facts.height, facts.width):
        raise InvalidArgumentError(
            f"masks have {masks.shape[2]} x {masks.shape[1]} pixels, the model's input "
            f"{facts.width} x {facts.height}",
            field="masks",
        )


def _replacements(
    image: SourceImage, removal: RemovalOperator, preprocessing: Preprocessing
) -> tuple[Drawing, ...]:
    """What came to be shown in place of the image, if the operator shows it."""
    if Reads.REPLACEMENT not in removal.reads:
        return ()
    with placed("image"):
        shown = replacement_of(image, preprocessing)
    if shown is None:
        raise InvalidArgumentError(
            f"{removal.name} shows the replacement of the image, and it came without one: send "
            "one with it, or choose another operator, such as blur",
            field="image.replacement",
        )
    return (lambda: shown,)


def _predictions(views: Sequence[MaskedView]) -> Job[list[Prediction]]:
    found = yield [predict(view) for view in views]
    return list(found)
