"""The messages that are stored of evaluations: this module is their `EvaluationDocuments`."""

from heatproof.evaluators.errors import HeatproofError
from heatproof.server.api.codec.evaluation_messages import read_rules as read_rules
from heatproof.server.api.codec.evaluations import encode_evaluation
from heatproof.server.api.codec.evaluations import read_class_outputs as read_class_outputs
from heatproof.server.api.codec.evaluations import read_spec as read_spec
from heatproof.server.api.codec.evaluations import serialized_environment as serialized_environment
from heatproof.server.api.codec.evaluations import serialized_spec as serialized_spec
from heatproof.server.api.codec.evaluations import serialized_taken as serialized_taken
from heatproof.server.api.codec.evaluations import (
    serialized_units_left_out as serialized_units_left_out,
)
from heatproof.server.api.codec.evaluations import with_ways_run as with_ways_run
from heatproof.server.api.codec.recordings import read_policy as read_policy
from heatproof.server.api.interceptors.status import status_of
from heatproof.server.evaluations.store.records import StoredEvaluation


def serialized_evaluation(stored: StoredEvaluation) -> bytes:
    """Writes an evaluation."""
    return encode_evaluation(stored).SerializeToString()


def serialized_error(error: HeatproofError) -> bytes:
    """Writes why an evaluation has failed."""
    data: bytes = status_of(error).SerializeToString()
    return data
