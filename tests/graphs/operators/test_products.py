"""Multiply-adds of single nodes, held to loops that count, and where convolutions hold weights."""

import itertools

import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.graphs.operators.products import kernel_of, multiply_adds_of
from heatproof.graphs.operators.traits import Trait, types_with

Shape = tuple[int | str, ...]


def node_of(
    op_type: str,
    shapes: list[Shape],
    result: Shape,
    opset: int = 18,
    domain: str = "",
    **more: object,
) -> ir.Node:
    operands = [
        ir.Value(name=f"x{place}", shape=ir.Shape(shape)) for place, shape in enumerate(shapes)
    ]
    node = ir.node(op_type, operands, more, domain=domain)
    node.outputs[0].name, node.outputs[0].shape = "y", ir.Shape(result)
    ir.Graph(operands, node.outputs, nodes=[node], opset_imports={domain: opset}, name="g")
    return node


@pytest.mark.parametrize(
    "equation", ["ij,jk->ik", "bij,bjk->bik", "nhwc,co->nhwo", "i,j->ij", "ij,ij->"]
)
@given(sizes=st.lists(st.integers(1, 4), min_size=5, max_size=5))
def test_an_einsum_multiplies_once_for_each_choice_of_its_indices(
    equation: str, sizes: list[int]
) -> None:
    letters = sorted({c for c in equation if c.isalpha()})
    size = dict(zip(letters, sizes, strict=False))
    terms = equation.partition("->")[0].split(",")
    node = node_of(
        "Einsum", [tuple(size[c] for c in term) for term in terms], (), equation=equation
    )
    looped = itertools.product(*(range(size[c]) for c in letters))
    assert multiply_adds_of(node) == sum(1 for _ in looped)


def test_an_ellipsis_is_broadcast() -> None:
    node = node_of("Einsum", [(2, 5, 3, 4), (1, 4, 6)], (), equation="...ij,...jk->...ik")
    assert multiply_adds_of(node) == 2 * 5 * 3 * 4 * 6


def test_an_einsum_of_one_operand_multiplies_nothing() -> None:
    assert multiply_adds_of(node_of("Einsum", [(3, 4)], (4, 3), equation="ij->ji")) == 0


@pytest.mark.parametrize("equation", ["ij,jk,kl->il", "i,jk->ik", ""])
def test_an_equation_of_other_operands_counts_nothing(equation: str) -> None:
    assert multiply_adds_of(node_of("Einsum", [(3, 4), (4, 5)], (), equation=equation)) is None


INTEGERS: list[Shape] = [(2, 3, 4), (), (), (4, 5)]


@pytest.mark.parametrize(
    ("op_type", "shapes", "result", "count"),
    [
        ("Conv", [(2, 4, 9, 9), (6, 2, 3, 3)], (2, 6, 7, 7), 2 * 7 * 7 * 6 * 2 * 9),
        ("ConvInteger", [(2, 4, 9, 9), (6, 4, 3, 3)], (2, 6, 7, 7), 2 * 7 * 7 * 6 * 4 * 9),
        ("QLinearConv", [(1, 4, 9, 9), (), (), (6, 4, 1, 1)], (1, 6, 9, 9), 81 * 24),
        ("ConvTranspose", [(2, 4, 5, 5), (4, 3, 2, 2)], (2, 3, 10, 10), 2 * 25 * 4 * 3 * 4),
        ("Gemm", [(7, 3), (3, 5)], (7, 5), 7 * 3 * 5),
        ("MatMul", [(2, 7, 3), (3, 5)], (2, 7, 5), 2 * 7 * 3 * 5),
        ("MatMulInteger", [(2, 7, 3), (3, 5)], (2, 7, 5), 2 * 7 * 3 * 5),
        ("QLinearMatMul", INTEGERS, (2, 3, 5), 2 * 3 * 4 * 5),
        ("Relu", [(3, 4)], (3, 4), 0),
        ("MaxPool", [(1, 2, 4, 4)], (1, 2, 3, 3), 0),
        ("Conv", [("N", 4, 9, 9), (6, 2, 3, 3)], ("N", 6, 7, 7), None),
        ("MatMul", [(7, "K"), ("K", 5)], (7, 5), None),
    ],
)
def test_products_are_those_counted_by_hand(
    op_type: str, shapes: list[Shape], result: Shape, count: int | None
) -> None:
    assert multiply_adds_of(node_of(op_type, shapes, result)) == count


def test_a_transposed_first_factor_is_summed_over_its_rows() -> None:
    node = node_of("Gemm", [(3, 7), (3, 5)], (7, 5), transA=1)
    assert multiply_adds_of(node) == 7 * 3 * 5


def test_another_domain_is_not_ours_to_count() -> None:
    node = node_of("MatMul", [(7, 3), (3, 5)], (7, 5), opset=1, domain="com.example")
    assert multiply_adds_of(node) == 0
    assert kernel_of(node) is None


@pytest.mark.parametrize("op_type", sorted(types_with(Trait.CONVOLUTION | Trait.PRODUCT)))
def test_every_sum_of_products_is_counted(op_type: str) -> None:
    wide: Shape = (2, 2, 2, 2)
    node = node_of(op_type, [wide] * 4, wide, opset=21, equation="abcd,abcd,abcd,abcd->abcd")
    assert multiply_adds_of(node)


@pytest.mark.parametrize("op_type", sorted(types_with(Trait.CONVOLUTION)))
def test_the_weights_of_a_convolution_are_found(op_type: str) -> None:
    node = node_of(op_type, [(1, 2, 4, 4), (3, 2, 2, 2), (3,), (5, 2, 2, 2)], (1, 3, 3, 3))
    kernel = kernel_of(node)
    assert kernel is not None
    assert kernel.name == ("x3" if op_type == "QLinearConv" else "x1")


def test_a_convolution_without_weights_has_none() -> None:
    assert kernel_of(node_of("Conv", [(1, 2, 4, 4)], (1, 2, 4, 4))) is None
