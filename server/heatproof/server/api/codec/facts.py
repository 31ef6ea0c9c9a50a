"""What is known of a graph, as the store keeps it."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from heatproof.evaluators.errors import LimitExceededError
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.metrics.robustness.attacks.counterparts import counterpart_rows
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.server.api.codec.fields.encoding import encode
from heatproof.v1 import model_pb2

_USUAL_SIDE: Final = 224
"""Side of images for a model that leaves it open, in pixels."""


MAX_BYTES: Final = 1 << 20
"""Most bytes of what is kept of a graph: every reply about its model repeats them."""
_MAX_CAM_BYTES: Final = 1 << 19


def serialized_facts(facts: object) -> bytes:
    """Writes what a worker found in a graph as the store keeps it.

    Raises:
        LimitExceededError: the names of its inputs and outputs, or of what cannot be rewritten,
            take more than a reply about the model can hold.
    """
    message = encode(facts, model_pb2.ModelFacts)
    _shorten(message)
    data = message.SerializeToString()
    if len(data) > MAX_BYTES:
        raise LimitExceededError(
            f"a description of the model takes {len(data)} bytes, and replies hold {MAX_BYTES}: "
            "give its inputs, outputs and nodes shorter names"
        )
    return data


def _shorten(message: model_pb2.ModelFacts) -> None:
    """Keeps the last tensors for class activation maps, which are those of use."""
    sizes = [tensor.ByteSize() for tensor in reversed(message.cam_tensors)]
    kept = sum(1 for total in accumulate(sizes) if total <= _MAX_CAM_BYTES)
    del message.cam_tensors[: len(sizes) - kept]


def classes_of(facts: bytes, output: str = "") -> int:
    """Number of classes of a stored model; 0 if the graph leaves it open.

    Args:
        facts: what is stored of the model.
        output: the output that is stated to hold the classes; "" for the one that was found.
    """
    found = model_pb2.ModelFacts.FromString(facts)
    for candidate in found.class_candidates:
        if output and output in (candidate.output, *candidate.copies):
            return candidate.classes
    return found.classes


def explained_predictions(
    explainers: Sequence[Explainer], preprocessing: Preprocessing, facts: bytes
) -> int:
    """Upper bound of the predictions that the maps of one image cost on a stored model."""
    found = model_pb2.ModelFacts.FromString(facts)
    nominal = PredictorFacts(
        model="",
        height=preprocessing.height or found.height or _USUAL_SIDE,
        width=preprocessing.width or found.width or _USUAL_SIDE,
        classes=found.classes,
        probabilities="softmax",
        batch_size=2,
        cam_tensor=next((tensor.name for tensor in found.cam_tensors if tensor.is_default), ""),
        channels={tensor.name: tensor.channels for tensor in found.cam_tensors if tensor.channels},
    )
    maps = sum(explainer.cost(nominal) for explainer in explainers)
    return 1 + counterpart_rows(explainers) + maps
