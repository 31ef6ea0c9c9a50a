"""Which tensors are known to stay in the blocked layout, asked in any order."""

from collections.abc import Iterator

import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.graphs.lowering import blocking
from heatproof.graphs.lowering.blocking import BlockedTensors

CHAIN = 400


def _by_definition(value: ir.Value | None) -> bool:
    """The definition, followed anew for each question."""
    node = None if value is None else value.producer()
    if node is None or node.op_type not in ("Conv", "Relu", "Add", "Clip"):
        return False
    if node.op_type == "Conv":
        return True
    read = node.inputs[:1] if node.op_type == "Clip" else node.inputs
    return all(_by_definition(x) for x in read)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["Conv", "Relu", "Add", "Clip", "Softmax"]),
        st.integers(0, 99),
        st.integers(0, 99),
    ),
    min_size=1,
    max_size=12,
)


def _values(steps: list[tuple[str, int, int]]) -> list[ir.Value]:
    """A random network: each step reads two of the values before it."""
    values = [ir.Value(name="x")]
    for op_type, first, second in steps:
        count = 2 if op_type in ("Add", "Clip") else 1
        read = [values[i % len(values)] for i in (first, second)][:count]
        values.append(ir.node(op_type, read).outputs[0])
    return values


@given(STEPS, st.lists(st.integers(0, 99), max_size=12))
def test_answers_are_those_of_the_definition(
    steps: list[tuple[str, int, int]], asked: list[int]
) -> None:
    values = _values(steps)
    tensors = BlockedTensors()
    for index in asked:
        value = values[index % len(values)]
        assert tensors.is_blocked(value) == _by_definition(value)
    for value in values[::-1]:
        assert tensors.is_blocked(value) == _by_definition(value)


def test_questions_along_a_chain_of_blocks_take_linear_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    followed: list[ir.Value | None] = []
    sources = blocking._sources

    def counted(value: ir.Value | None) -> Iterator[ir.Value | None] | None:
        followed.append(value)
        return sources(value)

    monkeypatch.setattr(blocking, "_sources", counted)
    value = ir.node("Conv", [ir.Value(name="x")]).outputs[0]
    tensors = BlockedTensors()
    for _ in range(CHAIN):
        value = ir.node("Add", [ir.node("Relu", [value]).outputs[0], value]).outputs[0]
        assert tensors.is_blocked(value)
    assert len(followed) < 4 * CHAIN
