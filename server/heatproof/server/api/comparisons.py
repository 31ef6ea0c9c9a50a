"""Comparisons of models between their messages and their values."""

import math
from typing import Final

from heatproof.evaluators.comparison.comparing import ComparisonRules
from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.server.evaluations.comparing import CorrectedComparison
from heatproof.v1 import comparison_pb2
from heatproof.v1 import evaluation_service_pb2 as pb

_ABS_TOLERANCE: Final = 1e-4


def decode_comparison_rules(request: pb.CompareModelsRequest) -> ComparisonRules:
    """Reads how models are compared.

    Raises:
        InvalidArgumentError: the tolerance is negative or not finite.
    """
    tolerance = request.abs_tolerance if request.HasField("abs_tolerance") else _ABS_TOLERANCE
    if not 0 <= tolerance < math.inf:
        raise InvalidArgumentError(
            f"abs_tolerance must be finite and at least 0, not {tolerance:g}", field="abs_tolerance"
        )
    return ComparisonRules(request.reference_model, tolerance)


def encode_comparison(found: CorrectedComparison) -> comparison_pb2.ModelComparison:
    """Makes the message of one quantity, with its corrected p-values and what holds for all."""
    message = comparison_pb2.ModelComparison.FromString(found.comparison)
    message.tests = found.tests
    message.cautions.extend(found.cautions)
    adjusted = iter(found.adjusted)
    for difference in message.differences:
        if difference.HasField("p_value"):
            difference.adjusted_p_value = next(adjusted)
    return message
