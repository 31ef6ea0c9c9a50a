"""Ended evaluations, comparisons and verdicts as the workers read and write them."""

from collections.abc import Callable, Iterable, Iterator

from heatproof.evaluators.comparison.values import ModelComparison
from heatproof.evaluators.errors import placed
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.evaluation.requirements import check_panel_counts
from heatproof.evaluators.evaluation.results import (
    ImageResult,
    MetricResult,
    SequentialUnits,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.gate.policy import Circumstances, Evaluated, Policy, Verdict
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.evaluators.queries.model_warnings import ModelWarning
from heatproof.evaluators.reliability.values import MetricReliability
from heatproof.server.api.codec.fields.decoding import decode
from heatproof.server.api.codec.fields.encoding import encode
from heatproof.server.api.codec.fields.targets import with_indices
from heatproof.v1 import (
    comparison_pb2,
    evaluation_pb2,
    gate_pb2,
    reliability_pb2,
    results_pb2,
)


def read_rows(images: Iterable[bytes]) -> Iterator[ImageResult]:
    """Reads the results of images, one after the other."""
    for data in images:
        yield decode(results_pb2.ImageResult.FromString(data), ImageResult)


def read_evaluated(
    model: str,
    evaluation: bytes,
    columns: Callable[[EvaluationSpec], Columns],
    *,
    label: str,
    policy: bytes,
) -> Evaluated:
    """Reads an ended evaluation for one of its models.

    Args:
        model: the model that is judged.
        evaluation: serialised `Evaluation`.
        columns: finds the scores of its images.
        label: what it goes by as a baseline.
        policy: serialised `Policy` by which it was judged; b"" if it is not known.

    Raises:
        InvalidArgumentError: it says to compare a panel, and has too few models for one.
    """
    message = evaluation_pb2.Evaluation.FromString(evaluation)
    spec = decode(message.spec, EvaluationSpec)
    with placed("evaluation.spec"):
        check_panel_counts(spec)
    with placed("recorded_baseline"):  # that of a named one was read when it was set
        judged_by = read_policy(policy) if policy else None
    return Evaluated(
        model=model,
        spec=spec,
        results=tuple(decode(result, MetricResult) for result in message.results),
        columns=columns(spec),
        warnings=tuple(decode(warning, ModelWarning) for warning in message.warnings),
        taken=(
            decode(message.sequential, SequentialUnits) if message.HasField("sequential") else None
        ),
        circumstances=Circumstances(
            evaluation=message.name,
            label=label,
            environment=dict(message.environment),
            class_output=next(
                (decode(o, ClassOutput) for o in message.class_outputs if o.model == model), None
            ),
            policy=judged_by,
        ),
    )


def read_policy(data: bytes) -> Policy:
    """Reads a policy.

    Raises:
        InvalidArgumentError: names the field below `policy`.
    """
    with placed("policy"):
        message = gate_pb2.Policy.FromString(data)
        return decode(with_indices(message, message.model.class_names), Policy)


def serialized_comparison(comparison: ModelComparison) -> bytes:
    """Writes a comparison of models by one quantity."""
    message = encode(comparison, comparison_pb2.ModelComparison)
    return message.SerializeToString(deterministic=True)


def serialized_reliability(reliability: MetricReliability) -> bytes:
    """Writes what is said of a metric's reliability."""
    message = encode(reliability, reliability_pb2.MetricReliability)
    return message.SerializeToString(deterministic=True)


def serialized_verdict(verdict: Verdict) -> bytes:
    """Writes a verdict."""
    return encode(verdict, gate_pb2.Verdict).SerializeToString(deterministic=True)
