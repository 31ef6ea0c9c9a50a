"""Operators without a rule are refused with a reason that says why."""

import onnx
import pytest

from heatproof.graphs.masking import masking_blockers
from heatproof.graphs.masking.refusals import REASONS, reason
from heatproof.graphs.masking.table import RULES
from tests.graphs.masking.single import graph


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ("z = NonZero (x) y = Cast <to = 1> (z)", "size of its result"),
        ("y = GridSample (x, x)", "computes the places"),
        ("y = RandomNormalLike (x)", "random"),
        ("y = Trilu (x)", "by their places"),
    ],
)
def test_reasons_name_what_is_wrong(nodes: str, says: str) -> None:
    operator = next(name for name in REASONS if f" {name} " in nodes)
    blocker = masking_blockers(graph(nodes))[0]
    assert blocker.operator.split("-")[0] == operator
    assert says in blocker.reason


def test_reasons_are_of_operators_that_exist_and_have_no_rule() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas()} | {"MultiHeadAttention"}
    assert set(REASONS) <= known
    assert not set(REASONS).intersection(operator.op_type for operator in RULES)


def test_integer_operators_of_onnx_runtime_share_a_reason() -> None:
    assert reason("QLinearAdd") == reason("QLinearConv") == REASONS["ConvInteger"]
    assert reason("Celu") == "no masking rule covers it"
