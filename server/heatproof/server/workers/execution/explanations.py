"""Computes single maps and single predictions."""

from contextlib import closing
from functools import partial

import numpy as np

from heatproof.evaluators.errors import InvalidImageError, placed
from heatproof.evaluators.evaluation import engine
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.images.arrays import Masks
from heatproof.evaluators.images.frames import mask_to_input
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.images.sources import FramedMask, SourceImage
from heatproof.evaluators.removal import Black
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.environment import known_run_sizes
from heatproof.server.workers.execution.images import (
    image_access,
    lazily_read,
    read_array,
    read_image,
)
from heatproof.server.workers.execution.known_answers import known_answers
from heatproof.server.workers.inputs import ArraySource, FramedSource
from heatproof.server.workers.tasks import Explain, PredictMasked

_MASKS_RANK = 3


def explain(task: Explain, context: TaskContext) -> None:
    """Emits the maps of the images, image by image and explainer by explainer."""
    context.report(f"loading {task.model.name}")
    known = known_run_sizes(task.run_sizes, context)
    predictor = context.model_cache.predictor(
        task.model, task.preprocessing, task.stated, context.cancellation, known
    )
    images = lazily_read(task.images, image_access(context), partial(_note, task, context))
    answers = known_answers(task, {task.model.name: predictor}, context).get(task.model.name)
    pixels = task.input_pixels
    try:
        explained = engine.explain(
            _spec(task), images, predictor, with_pixels=pixels, known=answers
        )
        with closing(explained):
            for explanation in explained:
                context.emit(context.documents.serialized_explanation(explanation))
    finally:
        if answers is not None:
            answers.flush_all()


def _note(task: Explain, context: TaskContext, index: int) -> None:
    """Notes that an image is about to be decoded; those before it may still be in work."""
    context.report(f"explaining images up to {index}, {task.images[index].display_name!r}")


def _spec(task: Explain) -> EvaluationSpec:
    """What is asked, without metrics."""
    return EvaluationSpec(
        models=(task.model.name,),
        preprocessing=task.preprocessing,
        metrics=(),
        explainers=task.explainers,
        target=task.target,
        seed=task.seed,
        keep_overlays=task.overlay,
    )


def predict_masked(task: PredictMasked, context: TaskContext) -> bytes:
    """Predicts one image under masks."""
    context.report(f"loading {task.model.name}")
    predictor = context.model_cache.predictor(
        task.model, task.preprocessing, task.stated, context.cancellation
    )
    sized = task.preprocessing.sized(predictor.facts.height, predictor.facts.width)
    context.report(f"predicting {task.image.display_name!r}")
    with placed("image"):
        image = read_image(task.image, image_access(context))
    masks = _masks(task.masks, image, sized, context)
    # Nothing is hidden without masks, so any operator answers for none.
    removal = Black() if task.removal is None else task.removal
    found = engine.predict_masked(image, masks, removal, sized, predictor)
    return context.documents.serialized_predictions(found)


def _masks(
    framed: FramedSource | None, image: SourceImage, sized: Preprocessing, context: TaskContext
) -> Masks:
    """Visibility in the model's input frame; one mask that hides nothing if there are none."""
    if framed is None:
        return np.ones((1, sized.height, sized.width), np.bool_)
    if not isinstance(framed.source, ArraySource):
        raise InvalidImageError("masks must be a tensor, not an image file", field="masks")
    values = read_array(framed.source, context.blobs)
    if values.ndim != _MASKS_RANK:
        raise InvalidImageError(
            f"masks must be [masks, height, width], not {list(values.shape)}", field="masks"
        )
    source = image.extents
    planes = (FramedMask(framed.frame, plane != 0) for plane in values)
    return np.stack([mask_to_input(plane, source, sized) for plane in planes])
