"""Gates and heads that are infinite, or have a sign of zero, where no cell is visible."""

from typing import Any

import numpy as np
import pytest

from heatproof.graphs.masking import MaskingOptions, Mode
from heatproof.graphs.masking.rewriting import rewritten
from heatproof.graphs.masking.states import Flat
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.single import CHANNELS, Array, graph

RNG = np.random.default_rng(0)
KERNEL = RNG.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
NORM = "m = ReduceL2 <axes = [2, 3]> (x)"
HEAD = "c = Conv <pads = [1, 1, 1, 1]> (h, w) p = GlobalAveragePool (c) y = Flatten (p)"


def network(nodes: str, **constants: float) -> Any:
    weights: dict[str, Array] = {"w": KERNEL} if "w)" in nodes else {}
    scalars = {name: np.array(number, np.float32) for name, number in constants.items()}
    return graph(nodes, weights | scalars, size=(12, 10))


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    "gated",
    [
        "g = Reciprocal (m) h = Mul (x, g)",
        "h = Div (x, m)",
        "g = Log (m) h = Add (x, g)",
        "q = Div (m, m) h = Mul (q, x)",
        "g = Reciprocal (m) s = Sigmoid (g) t = Mul (s, g) h = Mul (x, t)",
    ],
)
def test_a_gate_may_be_infinite_where_nothing_is_visible(gated: str, mode: Mode) -> None:
    Laws(network(f"{NORM} {gated} {HEAD}"), MaskingOptions(mode=mode)).check()


FINITE = {
    "a = ReduceMean <axes = [1]> (m) d = Add (a, e) g = Div (m, d)": True,
    "d = Add (e, m) g = Reciprocal (d)": True,
    "d = Max (m, e) g = Div (m, d)": True,
    "d = Clip (m, e) g = Div (m, d)": True,
    "g = Div (m, e)": True,
    "q = Mul (m, m) d = Add (q, e) r = Sqrt (d) g = Reciprocal (r)": True,
    "g = Sigmoid (m)": True,
    "d = Sub (m, e) g = Reciprocal (d)": False,
    "n = Neg (m) d = Add (n, e) g = Reciprocal (d)": False,
    "d = Min (m, e) g = Reciprocal (d)": False,
    "n = Neg (m) g = Sqrt (n)": False,
    "g = Mul (m, i)": False,
}


@pytest.mark.parametrize(("gate", "finite"), FINITE.items())
def test_gates_are_finite_where_divisors_are_positive(gate: str, finite: bool) -> None:
    named = {
        name: number for name, number in {"e": 1e-6, "i": np.inf}.items() if f" {name})" in gate
    }
    named |= {"e": 1e-6} if "(e," in gate else {}
    model = network(f"{NORM} {gate} y = Mul (x, g)", **named)
    state = rewritten(model, MaskingOptions()).states["g"]
    assert isinstance(state, Flat)
    assert state.finite == finite


@pytest.mark.parametrize("before", ["", "p = GlobalAveragePool (x)", "c = Conv (x, w)"])
def test_hidden_cells_are_positive_zeros_for_a_dense_layer(before: str) -> None:
    head = {"p": "q = Flatten (p)", "c": "p = GlobalAveragePool (c) q = Flatten (p)"}
    first = head.get(before[:1], "q = Identity (r)")
    nodes = f"{before} f = Flatten (x) r = Reciprocal (f) {first} y = Concat <axis = 1> (q, r)"
    Laws(network(nodes)).hidden_cells_are_irrelevant()
