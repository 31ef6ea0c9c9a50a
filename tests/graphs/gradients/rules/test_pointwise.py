from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from heatproof.graphs.gradients import differentiated

Check = Callable[..., None]
Function = Callable[..., torch.Tensor]

KINKS = np.array(
    [[-6.5, -6.0, -3.0, -2.0, -1.0, -0.5, -0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 7.0, 100.0]]
).T
ACTIVATIONS: dict[str, tuple[str, Function, int]] = {
    "relu": ("Relu (x)", F.relu, 20),
    "relu6": ("Clip (x, {0.0}, {6.0})", F.relu6, 20),
    "leaky": ("LeakyRelu <alpha = 0.125> (x)", lambda x: F.leaky_relu(x, 0.125), 20),
    "sigmoid": ("Sigmoid (x)", torch.sigmoid, 20),
    "hard sigmoid": (
        "HardSigmoid <alpha = 0.16666667, beta = 0.5> (x)",
        F.hardsigmoid,
        20,
    ),
    "hard swish": ("HardSwish (x)", F.hardswish, 20),
    "elu": ("Elu <alpha = 0.5> (x)", lambda x: F.elu(x, 0.5), 20),
    "selu": ("Selu (x)", F.selu, 20),
    "celu": ("Celu <alpha = 0.5> (x)", lambda x: F.celu(x, 0.5), 28),
    "softplus": ("Softplus (x)", lambda x: F.softplus(x, threshold=1000), 20),
    "softsign": ("Softsign (x)", F.softsign, 20),
    "tanh": ("Tanh (x)", torch.tanh, 20),
    "gelu": ("Gelu (x)", F.gelu, 20),
    "gelu tanh": (
        'Gelu <approximate = "tanh"> (x)',
        lambda x: F.gelu(x, approximate="tanh"),
        20,
    ),
    "mish": ("Mish (x)", F.mish, 20),
    "swish": ("Swish (x)", F.silu, 24),
    "scaled swish": ("Swish <alpha = 2.0> (x)", lambda x: x * torch.sigmoid(2 * x), 24),
    "thresholded": ("ThresholdedRelu <alpha = 2.0> (x)", lambda x: F.threshold(x, 2.0, 0.0), 20),
    "hard shrink": ("Shrink <lambd = 0.5> (x)", lambda x: F.hardshrink(x, 0.5), 20),
    "soft shrink": (
        "Shrink <lambd = 0.5, bias = 0.5> (x)",
        lambda x: F.softshrink(x, 0.5),
        20,
    ),
    "absolute": ("Abs (x)", torch.abs, 20),
    "erf": ("Erf (x)", torch.erf, 20),
    "negative": ("Neg (x)", torch.neg, 20),
    "sine": ("Sin (x)", torch.sin, 20),
    "cosine": ("Cos (x)", torch.cos, 20),
    "arctangent": ("Atan (x)", torch.atan, 20),
    "identity": ("Dropout (x)", lambda x: x.clone(), 20),
}


def with_constants(expression: str) -> str:
    """Writes numbers in braces as constants of the graph."""
    lines, number = "", 0
    while "{" in expression:
        before, rest = expression.split("{", 1)
        value, after = rest.split("}", 1)
        lines += f"c{number} = Constant <value = double {{{value}}}> ()\n"
        expression, number = f"{before}c{number}{after}", number + 1
    return f"{lines}y = {expression}"


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_agree_with_autograd_at_kinks_too(check: Check, name: str) -> None:
    expression, function, opset = ACTIVATIONS[name]
    check(with_constants(expression), function, KINKS, opset=opset)


@pytest.mark.parametrize("bounds", [(0, 6), (-1, 1), (-0.5, 0.25), (0, 1000)])
def test_steps_in_float32_are_exact_beside_the_bounds(
    check: Check, bounds: tuple[float, float]
) -> None:
    bound = np.array([[*bounds, 0.0]], np.float32).T
    beside = [np.nextafter(bound, np.float32(limit)) for limit in (-np.inf, np.inf)]
    x = np.concatenate([bound, *beside, KINKS.astype(np.float32), 3e38 * np.sign(KINKS[:1])])
    x[np.abs(x) < np.finfo(np.float32).tiny] = 0  # subnormal numbers are not exact
    tiny = np.array([[1.2e-38], [-1.2e-38]])
    low, high = (
        f"c{k} = Constant <value = float {{{value}}}> ()\n" for k, value in enumerate(bounds)
    )
    check(
        f"{low}{high}y = Clip (x, c0, c1)",
        lambda x: F.hardtanh(x, *bounds),
        np.concatenate([x.astype(np.float64), tiny]),
        single=True,
    )


@pytest.mark.parametrize("name", ["relu", "hard sigmoid", "hard swish", "sigmoid", "gelu"])
def test_activations_agree_with_autograd_in_onnx_runtime(check: Check, name: str) -> None:
    expression, function, opset = ACTIVATIONS[name]
    check(with_constants(expression), function, KINKS, opset=opset, single=True)


@pytest.mark.parametrize(
    ("expression", "function"),
    [
        ("Exp (x)", torch.exp),
        ("Log (x)", torch.log),
        ("Sqrt (x)", torch.sqrt),
        ("Reciprocal (x)", torch.reciprocal),
        ("Pow (x, {2.5})", lambda x: x**2.5),
        ("Pow (x, {0.0})", lambda x: x**0.0),
        ("Cast <to = 11> (x)", torch.clone),
    ],
)
def test_functions_of_positive_numbers_agree_with_autograd(
    check: Check, rng: np.random.Generator, expression: str, function: Function
) -> None:
    check(with_constants(expression), function, rng.uniform(0.1, 3, (4, 5)))


def test_a_square_of_negative_numbers_has_a_gradient(check: Check) -> None:
    check(with_constants("Pow (x, {2.0})"), torch.square, KINKS)


def test_exponents_of_another_type_are_converted(check: Check) -> None:
    powers = np.array([2, 3, 0], np.int64)
    check("y = Pow (x, p)", lambda x, p: x**p, (4, 3), constants={"p": powers})


def test_silu_is_differentiated_in_one_piece(check: Check) -> None:
    check("s = Sigmoid (x)  y = Mul (x, s)", F.silu, KINKS)
    check("s = Sigmoid (x)  y = Mul (s, x)", F.silu, KINKS)


def test_a_gate_with_another_reader_gets_both_gradients(check: Check) -> None:
    check(
        "s = Sigmoid (x)  p = Mul (x, s)  y = Add (p, s)",
        lambda x: F.silu(x) + torch.sigmoid(x),
        KINKS,
    )


SHAPES = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((2, 1, 4), (2, 3, 1)), ((4,), (2, 3, 4))]
BINARY: dict[str, Function] = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": torch.div,
    "Pow": torch.pow,
    "Max": torch.maximum,
    "Min": torch.minimum,
    "PRelu": lambda x, z: torch.where(x > 0, x, x * z),
}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("operator", BINARY)
def test_broadcast_operands_get_summed_gradients(
    check: Check,
    rng: np.random.Generator,
    operator: str,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    swapped: bool,
) -> None:
    if operator == "PRelu" and np.broadcast_shapes(*shapes) != shapes[int(swapped)]:
        pytest.skip("PRelu broadcasts its slope only")
    function = BINARY[operator]
    x, z = (rng.uniform(0.5, 2, shape) for shape in shapes)
    operands = "z, x" if swapped else "x, z"
    check(
        f"y = {operator} ({operands})",
        lambda x, z: function(z, x) if swapped else function(x, z),
        x - (operator == "PRelu"),
        inputs={"z": z},
        dynamic=False,
    )


def test_remainders_have_gradients_by_the_divisor(check: Check, rng: np.random.Generator) -> None:
    check(
        "y = Mod <fmod = 1> (z, x)",
        lambda x, z: z.fmod(x),
        rng.uniform(0.5, 1, (3, 4)),
        inputs={"z": rng.uniform(-4, 4, (3, 4))},
        dynamic=False,
    )


@pytest.mark.parametrize("operator", ["Max", "Min"])
def test_equal_operands_share_the_gradient(check: Check, operator: str) -> None:
    function = {"Max": torch.maximum, "Min": torch.minimum}[operator]

    def oracle(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return function(x, z)

    z = np.array([[0.0], [1.0], [2.0]])
    check(f"y = {operator} (x, z)", oracle, np.ones((3, 1)), inputs={"z": z})


@pytest.mark.parametrize("both", [False, True])
def test_a_dynamic_axis_that_may_be_broadcast_is_summed_at_run_time(
    rng: np.random.Generator, both: bool
) -> None:

    model = ir.from_onnx_text(
        '<ir_version: 10, opset_import: ["" : 20]>'
        "g (double[N, 3] x, double[M, 3] z) => (double[K, 3] y) { y = Mul (x, z) }"
    )
    evaluator = ReferenceEvaluator(ir.to_proto(differentiated(model, of="y", wrt="x")))
    x: NDArray[np.float64] = rng.standard_normal((4 if both else 1, 3))
    z, v = rng.standard_normal((2, 4, 3))
    (gradient,) = evaluator.run(["input_gradient"], {"x": x, "z": z, "output_gradient": v})
    expected = v * z if both else (v * z).sum(0, keepdims=True)
    np.testing.assert_allclose(gradient, expected, rtol=1e-12)


def test_chosen_operands_get_the_gradient(check: Check, rng: np.random.Generator) -> None:
    condition = rng.random((2, 3, 1)) < 0.5
    z = rng.standard_normal((3, 4))
    check(
        "y = Where (c, x, z)",
        lambda x, z, c: torch.where(c, x, z),
        (2, 1, 4),
        inputs={"z": z, "c": condition},
        dynamic=False,
    )
    check(
        "y = Where (c, z, x)",
        lambda x, z, c: torch.where(c, z, x),
        (2, 1, 4),
        inputs={"z": z, "c": condition},
        dynamic=False,
    )


@pytest.mark.parametrize("operator", ["Sum", "Mean"])
def test_terms_share_the_gradient_of_sums(
    check: Check, rng: np.random.Generator, operator: str
) -> None:
    share = {"Sum": 1.0, "Mean": 1 / 3}[operator]
    check(
        f"y = {operator} (x, z, x)",
        lambda x, z: (2 * x + z) * share,
        (2, 3),
        inputs={"z": rng.standard_normal((2, 3))},
        dynamic=False,
    )
