"""What users state of a model's class output."""

from heatproof.evaluators.errors import placed
from heatproof.evaluators.queries.class_outputs import Activation, Statement
from heatproof.server.api.codec.fields.enums import decode_enum
from heatproof.v1 import class_output_pb2


def decode_statement(output: str, activation: int) -> Statement:
    """Makes a statement of its two fields.

    Raises:
        InvalidArgumentError: there is no such activation.
    """
    if not activation:
        return Statement(output)
    with placed("activation"):
        enum = class_output_pb2.Activation.DESCRIPTOR
        return Statement(output, Activation(decode_enum(enum, activation, Activation)))
