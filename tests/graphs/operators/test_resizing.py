"""Which cells a resizing is made of, held to exact fractions."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heatproof.graphs.nodes.constants import constant
from heatproof.graphs.operators.resizing import neighbors

OPSET = 18

PLACES: dict[str, Callable[[int, int, int], Fraction]] = {
    "half_pixel": lambda o, old, new: Fraction((2 * o + 1) * old, 2 * new) - Fraction(1, 2),
    "asymmetric": lambda o, old, new: Fraction(o * old, new),
    "align_corners": lambda o, old, new: Fraction(o * (old - 1), max(new - 1, 1)),
}


def resize(old: int, new: int, **attributes: str) -> ir.Node:
    x = ir.Value(name="x", shape=ir.Shape([1, 1, old, 3]), type=ir.TensorType(ir.DataType.FLOAT))
    node = ir.node("Resize", [x, None, None, constant("s", np.array([1, 1, new, 3]))], attributes)
    node.outputs[0].shape = ir.Shape([1, 1, new, 3])
    return node


def weighed(place: Fraction, old: int) -> set[int]:
    """The cells beside a place, without one of weight 0; those behind the border are the last."""
    low = math.floor(place)
    return {min(max(cell, 0), old - 1) for cell in (low, low + 1) if cell == low or place != low}


@pytest.mark.parametrize("transformation", PLACES)
@settings(max_examples=40, deadline=None)
@given(old=st.integers(1, 40), new=st.integers(1, 40))
@example(old=10, new=6)  # in float32 the place 2 of half_pixel is off by 5e-7
def test_a_linear_resizing_is_made_of_the_cells_beside_each_place(
    transformation: str, old: int, new: int
) -> None:
    node = resize(old, new, mode="linear", coordinate_transformation_mode=transformation)
    found = [set(np.flatnonzero(row)) for row in neighbors(node, 2, OPSET)]
    place = PLACES[transformation]
    assert found == [weighed(place(o, old, new), old) for o in range(new)]


def test_an_older_opset_says_nothing_of_places() -> None:
    with pytest.raises(LookupError, match="opset 10"):
        neighbors(resize(4, 8, mode="linear"), 2, 10)
