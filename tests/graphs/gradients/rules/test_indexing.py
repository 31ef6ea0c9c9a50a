"""Operators that pick elements by index, or put them there, and einsums."""

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.gradients import differentiated

Check = Callable[..., None]
Function = Callable[..., torch.Tensor]

PLACES = np.array([[0, -1, 2], [2, 2, 1]])


@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("places", [np.array(1), PLACES[0], PLACES, PLACES[:, None]])
def test_gathers_by_any_indices_agree_with_autograd(
    check: Check, axis: int, places: np.ndarray, computed: bool
) -> None:
    def taken(x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        return x[(*[slice(None)] * axis, i)]

    kind = "inputs" if computed else "constants"
    body = f"y = Gather <axis = {axis}> (x, i)"
    check(body, taken, (3, 4, 3), dynamic=False, opset=16, **{kind: {"i": places}})


def test_a_strided_view_of_a_flat_tensor_is_differentiated(check: Check) -> None:
    """What torch makes of an adaptive pool to 1 x 1 after a permutation."""
    check(
        "m = Constant <value = int64[1] {-1}> ()  z = Constant <value = int64 {0}> ()"
        "  n = Constant <value = int64 {1}> ()  c = Constant <value = int64 {4}> ()"
        "  k = Constant <value = int64[4] {0, 1, 2, 3}> ()  a = Constant <value = int64[1] {1}> ()"
        "  size = Shape (x)  rows = Gather (size, z)  r = Range (z, rows, n)  s = Mul (r, c)"
        "  u = Unsqueeze (s, a)  places = Add (u, k)"
        "  flat = Reshape (x, m)  y = Gather (flat, places)",
        lambda x: x.reshape(-1)[torch.arange(12).reshape(3, 4)],
        (3, 4),
        opset=18,
    )


@pytest.mark.parametrize("opset", [13, 16])
@pytest.mark.parametrize("axis", [0, -1])
def test_repeated_elements_add_up(check: Check, opset: int, axis: int) -> None:
    places = np.array([[1, 1, 0, 1], [2, 0, 0, 1], [1, 2, 2, 0]])
    check(
        f"y = GatherElements <axis = {axis}> (x, i)",
        lambda x, i: x.gather(axis, i),
        (3, 4),
        inputs={"i": places},
        dynamic=False,
        opset=opset,
    )


def test_gathers_within_each_row_agree_with_autograd(check: Check) -> None:
    check(
        "y = GatherND <batch_dims = 1> (x, i)",
        lambda x, i: torch.stack([row[at[:, 0], at[:, 1]] for row, at in zip(x, i, strict=True)]),
        (2, 3, 4, 5),
        constants={"i": np.array([[[0, 1], [2, 3], [0, 1]], [[1, 1], [0, 0], [2, 2]]])},
        dynamic=False,
    )


def test_repeated_tuples_of_indices_add_up(check: Check) -> None:
    check(
        "y = GatherND (x, i)",
        lambda x, i: x[i[:, 0], i[:, 1]],
        (2, 3, 4),
        inputs={"i": np.array([[0, 1], [0, 1], [1, -1]])},
        dynamic=False,
    )


@pytest.mark.parametrize("operator", ["ScatterND", "ScatterElements"])
@pytest.mark.parametrize("reduction", ["none", "add"])
def test_updates_get_the_gradient_of_their_places(
    check: Check, rng: np.random.Generator, operator: str, reduction: str
) -> None:
    rows = np.array([[2], [0]])

    def written(x: torch.Tensor, d: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        places = i.expand(2, 3)
        return d.scatter_add(0, places, x) if reduction == "add" else d.scatter(0, places, x)

    check(
        f'y = {operator} <reduction = "{reduction}"> (d, i, x)',
        written,
        (2, 3),
        inputs={
            "d": rng.standard_normal((4, 3)),
            "i": rows if operator == "ScatterND" else rows.repeat(3, 1),
        },
        opset=16,
        dynamic=False,
    )


@pytest.mark.parametrize(
    ("operator", "places"), [("ScatterND", "int64[1, 1]"), ("ScatterElements", "int64[1]")]
)
def test_products_of_updates_are_refused(operator: str, places: str) -> None:
    model = ir.from_onnx_text(
        f'<ir_version: 8, opset_import: ["" : 16]> g (float[3] x, {places} i, float[1] u)'
        f' => (float[3] y) {{ y = {operator} <reduction = "mul"> (x, i, u) }}'
    )
    with pytest.raises(UnsupportedOperatorError, match="reduction mul"):
        differentiated(model, of="y", wrt="x")


@pytest.mark.parametrize("k", [1, 3])
def test_the_largest_elements_get_the_gradient(check: Check, k: int) -> None:
    check(
        "y, i = TopK <axis = 1, sorted = 1> (x, k)",
        lambda x, k: x.topk(int(k), 1).values,
        (4, 5),
        constants={"k": np.array([k])},
    )


def test_places_that_thousands_share_add_up_exactly_in_onnx_runtime() -> None:
    """Threads that add into one place at once would lose some of it."""
    model = ir.from_onnx_text(
        '<ir_version: 8, opset_import: ["" : 16]> g (float[7, 64] x, int64[70000] i)'
        " => (float[70000, 64] y) { y = Gather (x, i) }"
    )
    proto = ir.to_proto(differentiated(model, of="y", wrt="x"))
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x, places = np.zeros((7, 64), np.float32), np.arange(70_000) % 7
    v = np.ones((70_000, 64), np.float32)
    for _ in range(3):
        (found,) = session.run(["input_gradient"], {"x": x, "i": places, "output_gradient": v})
        np.testing.assert_array_equal(found, 10_000)


EINSUMS: dict[str, tuple[str, tuple[int, ...], tuple[int, ...]]] = {
    "product": ("nchw,ck->nkhw", (2, 4, 3, 2), (4, 5)),
    "blanks": (" n c , c k -> n k ", (2, 4), (4, 5)),
    "implicit result": ("nc,ck", (2, 4), (4, 5)),
    "implicit order": ("ba,cb", (2, 4), (3, 2)),
    "ellipsis": ("...c,ck->...k", (2, 3, 4), (4, 5)),
    "implicit ellipsis": ("...c,c", (2, 3, 4), (4,)),
    "broadcast ellipsis": ("...ij,...jk->...ik", (1, 3, 4), (5, 4, 3)),
    "index of one factor": ("ab,cd->ac", (2, 3), (4, 5)),
    "outer product": ("a,b->ab", (2,), (3,)),
    "trace": ("ii,a->a", (3, 3), (2,)),
    "diagonal": ("bii,i->bi", (2, 3, 3), (3,)),
    "diagonal of three axes": ("iii,i->i", (3, 3, 3), (3,)),
}


@pytest.mark.parametrize("name", EINSUMS)
def test_einsums_agree_with_autograd(check: Check, rng: np.random.Generator, name: str) -> None:
    equation, left, right = EINSUMS[name]
    body = f'y = Einsum <equation = "{equation}"> '
    z, w = rng.standard_normal(right), rng.standard_normal(left)
    check(
        f"{body} (x, z)",
        lambda x, z: torch.einsum(equation, x, z),
        left,
        inputs={"z": z},
        dynamic=False,
    )
    check(
        f"{body} (z, x)",
        lambda x, z: torch.einsum(equation, z, x),
        right,
        inputs={"z": w},
        dynamic=False,
    )


@pytest.mark.parametrize(
    ("equation", "shape"), [("ij->ji", (2, 3)), ("ijj->i", (2, 3, 3)), ("i...->...", (2, 3))]
)
def test_einsums_of_one_factor_agree_with_autograd(
    check: Check, equation: str, shape: tuple[int, ...]
) -> None:
    body = f'y = Einsum <equation = "{equation}"> (x)'
    check(body, lambda x: torch.einsum(equation, x), shape, dynamic=False)
