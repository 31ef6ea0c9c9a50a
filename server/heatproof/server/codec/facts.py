"""What is known of a graph, as the store keeps it."""

from collections.abc import Sequence
from typing import Final

from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.predictor import PredictorFacts
from heatproof.evaluators.preprocessing import Preprocessing
from heatproof.server.codec.encoding import encode
from heatproof.v1 import model_pb2

_USUAL_SIDE: Final = 224
"""Side of images for a model that leaves it open, in pixels."""


def serialized_facts(facts: object) -> bytes:
    """Writes what a worker found in a graph as the store keeps it."""
    return encode(facts, model_pb2.ModelFacts).SerializeToString()


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
        cam_tensor="",
        layer_masking=None,
        gradients=None,
        activation_gradients=None,
    )
    return 1 + sum(explainer.predictions(nominal) for explainer in explainers)
