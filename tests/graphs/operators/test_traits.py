"""The table of traits: complete over the rules, true of numbers, closed to all else."""

import warnings
from collections.abc import Iterator

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from heatproof.graphs.gradients import GRADIENTS
from heatproof.graphs.masking.finiteness import keeps_finite
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.rules import Operator
from heatproof.graphs.operators.traits import TRAITS, Trait, has, traits_of, types_with
from heatproof.graphs.operators.versions import VERSIONS

EXTREMES = np.array([-3e4, -90, -1, -1e-30, 0, 1e-30, 0.3, 1, 1.5, 88, 3e4], np.float32)


@pytest.mark.parametrize("rules", [RULES, GRADIENTS], ids=lambda rules: rules.purpose)
def test_every_operator_with_a_rule_has_traits(rules) -> None:
    assert [str(operator) for operator in rules if operator not in TRAITS] == []


@pytest.mark.parametrize("op_type", VERSIONS)
def test_versions_are_those_of_onnx(op_type: str) -> None:
    history = onnx.defs.get_all_schemas_with_history()
    known = {s.since_version for s in history if s.domain == "" and s.name == op_type}
    assert set(VERSIONS[op_type]) == known


def node_of(op_type: str, opset: int, domain: str = "", **attributes: float) -> ir.Node:
    x = ir.val("x", ir.DataType.FLOAT, [2])
    node = ir.node(op_type, [x], attributes, domain=domain)
    ir.Graph([x], node.outputs, nodes=[node], opset_imports={domain: opset}, name="g")
    return node


def test_unknown_operators_and_versions_have_no_traits() -> None:
    assert has(node_of("Relu", 14), Trait.FINITE)
    assert not traits_of(node_of("Relu", 14, "com.example"))  # another's Relu
    assert not traits_of(node_of("Xelu", 14))
    assert not traits_of(node_of("Gelu", 19))  # not yet defined
    assert TRAITS.get(Operator("", "Relu", 99)) is None


def test_nothing_unknown_is_taken_for_finite() -> None:
    assert keeps_finite(node_of("Relu", 14))
    assert not keeps_finite(node_of("Relu", 14, "com.example"))
    assert not keeps_finite(node_of("GridSample", 16))
    assert not keeps_finite(node_of("RMSNormalization", 23, epsilon=0.0))


def test_inner_graphs_know_no_opset_so_that_the_type_decides() -> None:
    x = ir.val("x", ir.DataType.FLOAT, [2])
    node = ir.node("Relu", [x])
    ir.Graph([], node.outputs, nodes=[node], name="branch")
    assert has(node, Trait.FINITE)
    foreign = ir.node("Relu", [x], domain="com.example")
    ir.Graph([], foreign.outputs, nodes=[foreign], name="branch")
    assert not traits_of(foreign)


def functions() -> Iterator[tuple[str, Trait]]:
    """Every function of one tensor, in its newest version."""
    integers = ("BitwiseNot", "Not", "CastLike", "Cast")  # of other types, or with an operand more
    for op_type in sorted(types_with(Trait.POINTWISE) - set(integers)):
        yield op_type, TRAITS[Operator("", op_type, VERSIONS[op_type][-1])]


def computed(op_type: str) -> np.ndarray:
    """What the reference of ONNX computes of `EXTREMES`."""
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : {VERSIONS[op_type][-1]}]>'
        f"g (float[{len(EXTREMES)}] x) => (float[{len(EXTREMES)}] y) {{ y = {op_type} (x) }}"
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.asarray(ReferenceEvaluator(model).run(None, {"x": EXTREMES})[0])


@pytest.mark.parametrize(("op_type", "traits"), list(functions()))
def test_functions_keep_what_their_traits_promise(op_type: str, traits: Trait) -> None:
    y = computed(op_type)
    if y.dtype == bool:
        return
    if Trait.FINITE in traits:
        assert np.isfinite(y).all()
    if Trait.FINITE_OF_POSITIVE in traits:
        assert np.isfinite(y[EXTREMES >= 0.3]).all()
    if Trait.FINITE_OF_NEVER_NEGATIVE in traits:
        assert np.isfinite(y[EXTREMES >= 0]).all()
    if Trait.NEVER_NEGATIVE in traits:
        assert (y >= 0).all()
    if Trait.KEEPS_SIGN in traits:
        assert (y[EXTREMES >= 0] >= 0).all()
    if Trait.ZERO_FAR_BELOW in traits:
        assert (y[EXTREMES <= -90] == 0).all()
    if Trait.STEP in traits:
        assert np.isin(y, np.round(EXTREMES)).all() or set(y) <= {-1, 0, 1, *np.ceil(EXTREMES)}


def test_the_functions_that_may_be_infinite_are_shown_to_be() -> None:
    """A pole that no number shows is one that the table invents, but for the three conditions."""
    shown = {op_type for op_type, _ in functions() if not np.isfinite(computed(op_type)).all()}
    told = {op_type for op_type, traits in functions() if Trait.FINITE not in traits}
    assert shown == told - {"Tan"}  # its poles lie between the numbers of float32
