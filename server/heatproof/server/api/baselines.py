"""Baselines between their messages, their values and what is stored."""

from heatproof.evaluators.errors import InvalidArgumentError, LimitExceededError
from heatproof.server.api.codec.evaluations import MAX_SPEC_BYTES, without_matrices
from heatproof.server.api.codec.fields.encoding import encode
from heatproof.server.api.codec.recordings import read_policy
from heatproof.server.evaluations.gating.baselines import BaselineSetting
from heatproof.server.evaluations.store.baseline_store import StoredBaseline, StoredRevision
from heatproof.server.resource_names import EvaluationName
from heatproof.v1 import baseline_pb2, gate_pb2
from heatproof.v1 import baseline_service_pb2 as pb


def decode_setting(request: pb.SetBaselineRequest) -> BaselineSetting:
    """Reads what a baseline is to be set to.

    Raises:
        InvalidArgumentError: the evaluation has another pattern, or the policy is wrong.
    """
    if not request.evaluation:
        raise InvalidArgumentError(
            "evaluation is required; name one that has succeeded", field="evaluation"
        )
    is_conditional = request.HasField("expected_revision")
    return BaselineSetting(
        evaluation=EvaluationName.parse(request.evaluation, field="evaluation"),
        model=request.model,
        note=request.note,
        policy=_stored_policy(request.policy) if request.HasField("policy") else b"",
        expected=request.expected_revision if is_conditional else None,
    )


def _stored_policy(policy: gate_pb2.Policy) -> bytes:
    """A policy with every default filled in, without names of classes and values of matrices."""
    read = encode(read_policy(policy.SerializeToString()), gate_pb2.Policy)
    without_matrices(check.metric for check in read.checks)
    stored = read.SerializeToString(deterministic=True)
    if len(stored) > MAX_SPEC_BYTES:
        raise LimitExceededError(
            f"{len(stored)} bytes; a policy that is kept has at most {MAX_SPEC_BYTES}: leave it "
            "out, or judge by fewer checks",
            field="policy",
        )
    return stored


def encode_baseline(stored: StoredBaseline) -> baseline_pb2.NamedBaseline:
    """Makes the message of a stored baseline."""
    message = baseline_pb2.NamedBaseline(name=stored.name)
    message.create_time.FromDatetime(stored.create_time)
    message.revision.CopyFrom(encode_revision(stored.revision))
    return message


def encode_revision(stored: StoredRevision) -> baseline_pb2.BaselineRevision:
    """Makes the message of a stored revision, without its policy."""
    message = baseline_pb2.BaselineRevision(
        name=stored.name,
        revision=stored.revision,
        evaluation=stored.evaluation,
        model=stored.model,
        model_display_name=stored.model_display_name,
        note=stored.note,
        stored=stored.stored,
    )
    message.create_time.FromDatetime(stored.create_time)
    return message
