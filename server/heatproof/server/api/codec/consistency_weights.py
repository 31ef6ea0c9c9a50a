"""Weights of a trainer's images, read off the stored results of explanation_consistency."""

from typing import Final

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.metrics import ExplanationConsistency
from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import results_pb2

_METRIC: Final = ExplanationConsistency.facts.name
_VALUE: Final = "value"


def weighing_result(spec: EvaluationSpec, request: pb.ListConsistencyWeightsRequest) -> int:
    """Index of the result whose weights are asked for.

    Raises:
        FailedPreconditionError: the evaluation scores no explanation_consistency.
        InvalidArgumentError: the result is none of that metric, or none is named and there are
            several.
    """
    keys = result_keys(spec)
    known = {i: key for i, key in enumerate(keys) if key.metric.name == _METRIC}
    if not known:
        raise FailedPreconditionError(
            f"{request.name} does not score {_METRIC}, of which the weights are made: evaluate "
            "with that metric"
        )
    if request.HasField("result"):
        if request.result not in known:
            raise InvalidArgumentError(
                f"result {request.result} is none of {_METRIC}: choose {_listed(known)}",
                field="result",
            )
        return request.result
    if len(known) > 1:
        raise InvalidArgumentError(
            f"{len(known)} results have weights: choose {_listed(known)}", field="result"
        )
    return next(iter(known))


def _listed(known: dict[int, ResultKey]) -> str:
    return ", ".join(
        f"{index} ({key.models[0]}, {key.explainer.name if key.explainer else 'no explainer'})"
        for index, key in known.items()
    )


def consistency_weight(
    image: results_pb2.ImageResult, result: int
) -> results_pb2.ConsistencyWeight | None:
    """Weight of one image; None if this part of the image's results does not hold it."""
    for score in image.scores:
        if score.result == result:
            return _weight(image, score)
    return None


def _weight(
    image: results_pb2.ImageResult, score: results_pb2.ImageScore
) -> results_pb2.ConsistencyWeight:
    made = results_pb2.ConsistencyWeight(image=image.image, display_name=image.display_name)
    weight, flipped = score.parts["training_weight"], score.parts["flipped"]
    if weight.WhichOneof("outcome") == _VALUE:
        made.weight = weight.value
    else:
        made.undefined.CopyFrom(score.score.undefined)
    if flipped.WhichOneof("outcome") == _VALUE:
        made.flipped = flipped.value == 1
    return made
