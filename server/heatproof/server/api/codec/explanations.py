"""Messages of the services that explain images and hide regions of them."""

import asyncio
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidArgumentError, LimitExceededError, placed
from heatproof.evaluators.evaluation.engine import Explanation, MaskedPredictions
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.targets import Target
from heatproof.evaluators.removal import RemovalOperator
from heatproof.server.api.codec.facts import explained_predictions
from heatproof.server.api.codec.fields.decoding import decode, decode_choice
from heatproof.server.api.codec.fields.encoding import encode
from heatproof.server.api.codec.fields.statements import decode_statement
from heatproof.server.api.codec.fields.targets import decode_target
from heatproof.server.api.codec.fields.tensors import fill_tensor
from heatproof.server.api.codec.images import decode_image, decode_images, mask_stack
from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.server.workers.donors import DonorPool
from heatproof.server.workers.inputs import FramedSource, ModelFiles
from heatproof.server.workers.limits import Limits
from heatproof.server.workers.tasks import Explain, PredictMasked
from heatproof.v1 import (
    class_output_pb2,
    explainers_pb2,
    explanation_service_pb2,
    masking_service_pb2,
    preprocessing_pb2,
    results_pb2,
)

MAX_EXPLAINED_IMAGES: Final = 16
MAX_MASKS: Final = 1000
_BYTES_PER_LOGIT: Final = 4
_ENVELOPE_BYTES: Final = 4096
"""What a reply holds beside its logits: shapes, tags, and how the scores are read."""


async def decode_explain(
    request: explanation_service_pb2.ExplainRequest,
    model: ModelFiles,
    facts: bytes,
    limits: Limits,
) -> Explain:
    """Makes the task of a request; `facts` is what is stored of its model.

    Raises:
        InvalidArgumentError: a field is unusable; names its path.
    """
    preprocessing = _preprocessing(request)
    explainers = tuple(_explainer(item, index) for index, item in enumerate(request.explainers))
    images = await decode_images(request.images, limits, MAX_EXPLAINED_IMAGES)
    pool = DonorPool.of(images, request.seed, explainers)
    return Explain(
        model=model,
        preprocessing=preprocessing,
        explainers=explainers,
        images=pool.supplied(images),
        target=_target(request),
        seed=request.seed,
        overlay=request.overlay,
        input_pixels=request.input_pixels,
        stated=decode_statement(request.output, request.activation),
        predictions=explained_predictions(explainers, preprocessing, facts),
        no_cache=request.no_cache,
    )


def _preprocessing(
    request: explanation_service_pb2.ExplainRequest | masking_service_pb2.PredictRequest,
) -> Preprocessing:
    with placed("preprocessing"):
        return decode(request.preprocessing, Preprocessing)


def _explainer(message: explainers_pb2.Explainer, index: int) -> Explainer:
    with placed(f"explainers[{index}]"):
        return cast("Explainer", decode_choice(message))


def _target(request: explanation_service_pb2.ExplainRequest) -> Target:
    with placed("target"):
        return decode_target(request.target, request.class_names)


def encode_explanation(explanation: Explanation) -> explanation_service_pb2.Explanation:
    """Makes the message of a map.

    Raises:
        LimitExceededError: it is larger than a reply may be.
    """
    message = explanation_service_pb2.Explanation(
        image=explanation.image,
        explainer=encode(explanation.explainer, explainers_pb2.Explainer),
        prediction=encode(explanation.prediction, results_pb2.CleanPrediction),
        overlay_png=explanation.overlay_png,
        preprocessing=encode(explanation.preprocessing, preprocessing_pb2.Preprocessing),
    )
    if isinstance(explanation.values, Undefined):
        message.undefined.CopyFrom(encode(explanation.values, results_pb2.Undefined))
    else:
        fill_tensor(message.values, explanation.values.astype(np.float32))
    if explanation.class_output is not None:
        message.class_output.CopyFrom(
            encode(explanation.class_output, class_output_pb2.ClassOutput)
        )
    if explanation.input_pixels is not None:
        fill_tensor(message.input_pixels, _compact(explanation.input_pixels))
    if message.ByteSize() > MAX_REPLY_BYTES:
        raise LimitExceededError(
            f"the map of image {explanation.image} takes {message.ByteSize()} bytes, a reply at "
            f"most {MAX_REPLY_BYTES}; set a smaller preprocessing.height and width, or ask for no "
            "overlay or input pixels"
        )
    return message


def _compact(pixels: Image) -> NDArray[np.uint8] | Image:
    """Pixels as bytes, a quarter of their size, where these say the same."""
    held = np.rint(pixels * np.float32(255)).astype(np.uint8)
    is_same = np.array_equal(held.astype(np.float32) / np.float32(255), pixels)
    return held if is_same else pixels


async def decode_predict(
    request: masking_service_pb2.PredictRequest,
    model: ModelFiles,
    *,
    classes: int,
    limits: Limits,
) -> PredictMasked:
    """Makes the task of a request.

    Raises:
        InvalidArgumentError: a field is unusable; names its path.
        LimitExceededError: the reply would be too large.
    """
    masks = await asyncio.to_thread(_masks, request, classes, limits)
    with placed("image"):
        image = decode_image(request.image, limits)
    return PredictMasked(
        model=model,
        preprocessing=_preprocessing(request),
        image=image,
        masks=masks,
        removal=_removal(request, is_needed=masks is not None),
        stated=decode_statement(request.output, request.activation),
    )


def _masks(
    request: masking_service_pb2.PredictRequest, classes: int, limits: Limits
) -> FramedSource | None:
    if not request.HasField("masks"):
        return None
    masks = mask_stack(request.masks, request.frame, _threshold(request), limits)
    count = request.masks.shape[0]
    most = min(MAX_MASKS, (MAX_REPLY_BYTES - _ENVELOPE_BYTES) // (_BYTES_PER_LOGIT * (classes + 1)))
    if count > most:
        raise LimitExceededError(
            f"{count} masks; with {classes} classes a request takes at most {most}: send several "
            "requests",
            field="masks.shape",
        )
    return masks


def _threshold(request: masking_service_pb2.PredictRequest) -> float | None:
    if not request.HasField("threshold"):
        return None
    if not 0 < request.threshold < 1:
        raise InvalidArgumentError(
            f"threshold must lie in (0, 1), not {request.threshold}; leave it out for masks of 0 "
            "and 1",
            field="threshold",
        )
    return request.threshold


def _removal(
    request: masking_service_pb2.PredictRequest, *, is_needed: bool
) -> RemovalOperator | None:
    if request.HasField("removal"):
        with placed("removal"):
            return cast("RemovalOperator", decode_choice(request.removal))
    if is_needed:
        raise InvalidArgumentError(
            "masks are given, but not how their regions are hidden; set removal, such as `layer` "
            "or `grey`",
            field="removal",
        )
    return None


def encode_predictions(predictions: MaskedPredictions) -> masking_service_pb2.PredictResponse:
    """Makes the message of predictions under masks."""
    message = masking_service_pb2.PredictResponse()
    fill_tensor(message.logits, predictions.logits)
    if predictions.coverage is not None:
        fill_tensor(message.coverage, predictions.coverage)
    if predictions.class_output is not None:
        message.class_output.CopyFrom(
            encode(predictions.class_output, class_output_pb2.ClassOutput)
        )
    return message
