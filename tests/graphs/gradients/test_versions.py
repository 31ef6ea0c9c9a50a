"""Every version of every operator with a rule, at an opset where it is current."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray

from heatproof.graphs.gradients import GRADIENTS
from heatproof.graphs.gradients.paths import find_tensor, path_between
from heatproof.graphs.operators.rules import Operator
from heatproof.graphs.preparation import prepared

Array = NDArray[Any]
Check = Callable[..., None]
Oracle = Callable[..., torch.Tensor]
OLDEST, NEWEST = 11, onnx.defs.onnx_opset_version()
RNG = np.random.default_rng(5)
IMAGE = RNG.standard_normal((2, 3, 5, 4))
POSITIVE = RNG.uniform(0.2, 0.9, (2, 3, 4))
VECTOR = RNG.uniform(0.5, 1.5, 3)
KERNEL = RNG.standard_normal((4, 3, 3, 3))
LEVELS = RNG.integers(1, 4, (2, 3, 4)).astype(np.float64)  # equal extrema
AXES = {"a": np.array([1, 2])}
TYPES = {"float64": "double", "float32": "float", "int64": "int64", "bool": "bool"}


@dataclass(frozen=True)
class Case:
    """An operator in a graph of y by x, and what autograd makes of it.

    Attributes:
        body: the graph in ONNX text.
        oracle: y by x and the constants.
        x: where it is differentiated.
        constants: initializers by name.
        opsets: the first and the last opset in which the text means this.
        single: run in float32 in ONNX Runtime, where the reference evaluator fails.
    """

    body: str
    oracle: Oracle
    x: Array = field(default_factory=lambda: IMAGE)
    constants: Mapping[str, Array] = field(default_factory=dict)
    opsets: tuple[int, int] = (OLDEST, NEWEST)
    single: bool = False


def alone(function: Oracle) -> Oracle:
    """An oracle of x that knows the constants already."""
    return lambda x, **_: function(x)


def in_order(function: Oracle) -> Oracle:
    """An oracle of x and the constants by position."""
    return lambda x, **constants: function(x, *constants.values())


def pointwise(name: str, function: Oracle, x: Array = IMAGE) -> Case:
    return Case(f"y = {name} (x)", function, x)


def reduced(name: str, function: Oracle) -> list[Case]:
    """The same reduction with axes as an attribute and as an input."""
    inputs = 13 if name == "ReduceSum" else 18
    attribute = f"y = {name} <axes = [1, 2], keepdims = 0> (x)"
    given = f"y = {name} <keepdims = 0> (x, a)"
    return [
        Case(attribute, function, LEVELS, opsets=(OLDEST, inputs - 1)),
        Case(given, alone(function), LEVELS, AXES, (inputs, NEWEST)),
    ]


def moved(name: str, by_attribute: str, function: Oracle, axes: Array) -> list[Case]:
    """Squeeze and Unsqueeze took their axes as an attribute up to opset 12."""
    x = IMAGE[:1, :, None] if name == "Squeeze" else IMAGE
    return [
        Case(f"y = {name} <{by_attribute}> (x)", function, x, opsets=(OLDEST, 12)),
        Case(f"y = {name} (x, a)", alone(function), x, {"a": axes}, (13, NEWEST)),
    ]


def binary(name: str, function: Oracle) -> Case:
    return Case(f"y = {name} (x, z)", in_order(function), POSITIVE, {"z": VECTOR[:, None]})


def pooled(name: str, function: Oracle, attributes: str = "") -> Case:
    text = f"kernel_shape = [3, 2], strides = [2, 1]{attributes}"
    return Case(f"y = {name} <{text}> (x)", function)


def global_norm(x: torch.Tensor) -> torch.Tensor:
    return x.norm(dim=(2, 3), keepdim=True)


def local_norm(x: torch.Tensor) -> torch.Tensor:
    return (9 * F.avg_pool2d(x.abs() ** 3, 3, 1)) ** (1 / 3)


def interpolated(x: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


def normalized(x: torch.Tensor, **parameters: torch.Tensor) -> torch.Tensor:
    s, b, m, v = (parameters[name] for name in "sbmv")
    return F.batch_norm(x, m, v, s, b)


def scattered(x: torch.Tensor, *, adds: bool) -> torch.Tensor:
    y = x.clone()
    rows = 2 * x[:, :2]
    y[:, [2, 0]] = rows + (y[:, [2, 0]] if adds else 0)
    return y


def scatter(name: str, reduction: str, since: int, *, adds: bool) -> Case:
    """Writes twice the first two channels over the third and the first, or adds them."""
    elements = np.broadcast_to(np.array([2, 0])[:, None, None], (2, 2, 5, 4))
    pairs = np.array([[[n, c] for c in (2, 0)] for n in (0, 1)])
    axis = ["axis = 1"] if name == "ScatterElements" else []
    attributes = ", ".join([*axis, *([reduction] if reduction else [])])
    return Case(
        "two = Constant <value = double {2.0}> ()  h = Slice (x, b, e, a)  u = Mul (h, two)"
        f"  y = {name} {f'<{attributes}>' if attributes else ''} (x, i, u)",
        lambda x, **_: scattered(x, adds=adds),
        constants={
            "i": elements.copy() if name == "ScatterElements" else pairs,
            "b": np.array([0]),
            "e": np.array([2]),
            "a": np.array([1]),
        },
        opsets=(since, NEWEST),
    )


BATCH_NORM = "y = BatchNormalization (x, s, b, m, v)"
STATISTICS = {name: VECTOR + k for k, name in enumerate("sbmv")}
SHAPED = {"s": np.array([2, 6, -1])}
FACTORS = {"p": VECTOR[:, None]}
RESIZED = {"r": np.zeros(0), "f": np.array([1, 1, 2, 2], np.float32)}
LAYER = {"s": VECTOR[:, None, None] * np.ones((3, 5, 4)), "b": np.ones((3, 5, 4))}

CASES: dict[str, Case | list[Case]] = {
    "Abs": pointwise("Abs", torch.abs),
    "Acos": pointwise("Acos", torch.acos, POSITIVE),
    "Acosh": pointwise("Acosh", torch.acosh, POSITIVE + 1),
    "Asin": pointwise("Asin", torch.asin, POSITIVE),
    "Asinh": pointwise("Asinh", torch.asinh),
    "Atan": pointwise("Atan", torch.atan),
    "Atanh": pointwise("Atanh", torch.atanh, POSITIVE),
    "Add": binary("Add", torch.add),
    "Sub": binary("Sub", torch.sub),
    "Mul": binary("Mul", torch.mul),
    "Div": binary("Div", torch.div),
    "Pow": binary("Pow", torch.pow),
    "Max": binary("Max", torch.maximum),
    "Min": binary("Min", torch.minimum),
    "Mod": Case(
        "y = Mod <fmod = 1> (x, z)", lambda x, z: x.fmod(z), constants={"z": VECTOR[:, None, None]}
    ),
    "Sum": binary("Sum", torch.add),
    "Mean": binary("Mean", lambda x, z: (x + z) / 2),
    "AveragePool": pooled("AveragePool", lambda x: F.avg_pool2d(x, (3, 2), (2, 1))),
    "BatchNormalization": [  # the reference evaluator fails at first
        Case(BATCH_NORM, normalized, constants=STATISTICS, opsets=(OLDEST, 13), single=True),
        Case(BATCH_NORM, normalized, constants=STATISTICS, opsets=(14, NEWEST)),
    ],
    "Cast": Case("h = Cast <to = 1> (x)  y = Cast <to = 11> (h)", lambda x: x.float().double()),
    "Celu": [  # of float32 alone at first
        Case("y = Celu (x)", F.celu, opsets=(OLDEST, 27), single=True),
        Case("y = Celu (x)", F.celu, opsets=(28, NEWEST)),
    ],
    "Clip": Case(
        "y = Clip (x, l, h)",
        lambda x, l, h: x.clamp(l, h),  # noqa: E741 - low and high
        constants={"l": np.array(-0.5), "h": np.array(0.7)},
    ),
    "Concat": Case(
        "e = Exp (x)  y = Concat <axis = 1> (x, e)", lambda x: torch.cat([x, x.exp()], 1)
    ),
    "Conv": Case(
        "y = Conv <pads = [1, 0, 0, 1]> (x, w)",
        lambda x, w: F.conv2d(F.pad(x, (0, 1, 1, 0)), w),
        constants={"w": KERNEL},
    ),
    "ConvTranspose": Case(
        "y = ConvTranspose <strides = [2, 2]> (x, w)",
        lambda x, w: F.conv_transpose2d(x, w, stride=2),
        constants={"w": KERNEL.swapaxes(0, 1).copy()},
    ),
    "Cos": pointwise("Cos", torch.cos),
    "Cosh": pointwise("Cosh", torch.cosh),
    "CumSum": Case("y = CumSum (x, a)", alone(lambda x: x.cumsum(2)), constants={"a": np.array(2)}),
    "DepthToSpace": Case(
        'y = DepthToSpace <blocksize = 2, mode = "CRD"> (x)',
        lambda x: F.pixel_shuffle(x, 2),
        IMAGE.reshape(1, 8, 3, 5),
    ),
    "Einsum": Case(
        'y = Einsum <equation = "nchw,c->nhw"> (x, z)',
        lambda x, z: torch.einsum("nchw,c->nhw", x, z),
        constants={"z": VECTOR},
    ),
    "Elu": pointwise("Elu", F.elu),
    "Erf": pointwise("Erf", torch.erf),
    "Exp": pointwise("Exp", torch.exp),
    "Expand": Case(
        "y = Expand (x, s)",
        lambda x, s: x.expand(*s.tolist()),
        IMAGE[:, :1],
        {"s": np.array([2, 3, 5, 4])},
    ),
    "Flatten": Case("y = Flatten <axis = 2> (x)", lambda x: x.reshape(6, 20)),
    "Gather": Case(
        "y = Gather <axis = 1> (x, i)",
        lambda x, i: x[:, i],
        constants={"i": np.array([[0, 2], [2, 1]])},
    ),
    "GatherElements": Case(
        "y = GatherElements <axis = 2> (x, i)",
        lambda x, i: x.gather(2, i),
        constants={"i": RNG.integers(0, 5, (2, 3, 2, 4))},
    ),
    "GatherND": Case(
        "y = GatherND (x, i)",
        lambda x, i: x[i[:, 0], i[:, 1]],
        constants={"i": np.array([[0, 2], [1, 1], [1, 0]])},
    ),
    "Gelu": pointwise("Gelu", F.gelu),
    "Gemm": Case(
        "y = Gemm <transB = 1> (x, w, b)",
        in_order(F.linear),
        POSITIVE[0],
        {"w": KERNEL[0, 0, :2, :].repeat(2, 1)[:, :4].copy(), "b": VECTOR[:2]},
    ),
    "GlobalAveragePool": pointwise("GlobalAveragePool", lambda x: x.mean((2, 3), keepdim=True)),
    "GlobalLpPool": pointwise("GlobalLpPool", global_norm),
    "GlobalMaxPool": pointwise("GlobalMaxPool", lambda x: F.adaptive_max_pool2d(x, 1)),
    "GroupNormalization": Case(
        "y = GroupNormalization <num_groups = 1> (x, s, b)",
        lambda x, s, b: F.group_norm(x, 1, s, b),
        constants={"s": VECTOR, "b": VECTOR},
        opsets=(21, NEWEST),
    ),
    "HardSigmoid": pointwise("HardSigmoid", lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "HardSwish": pointwise("HardSwish", F.hardswish, 4 * IMAGE),
    "Identity": pointwise("Identity", lambda x: x.clone()),
    "InstanceNormalization": Case(
        "y = InstanceNormalization (x, s, b)",
        lambda x, s, b: F.instance_norm(x, weight=s, bias=b),
        constants={"s": VECTOR, "b": VECTOR},
    ),
    "LRN": Case(
        "y = LRN <size = 3, alpha = 0.5> (x)",
        lambda x: F.local_response_norm(x, 3, alpha=0.5),
        single=True,
    ),
    "LayerNormalization": Case(
        "y = LayerNormalization <axis = 1> (x, s, b)",
        lambda x, s, b: F.layer_norm(x, (3, 5, 4), s, b),
        constants=LAYER,
        opsets=(17, NEWEST),
    ),
    "LeakyRelu": pointwise("LeakyRelu", F.leaky_relu),
    "Log": pointwise("Log", torch.log, POSITIVE),
    "LogSoftmax": Case("y = LogSoftmax <axis = 2> (x)", lambda x: F.log_softmax(x, 2), POSITIVE),
    "LpNormalization": Case(
        "y = LpNormalization <axis = 1> (x)", lambda x: F.normalize(x, dim=1), single=True
    ),
    "LpPool": pooled("LpPool", lambda x: (6 * F.avg_pool2d(x * x, (3, 2), (2, 1))).sqrt()),
    "MatMul": Case(
        "y = MatMul (x, w)", in_order(torch.matmul), constants={"w": KERNEL[:, :, 0, 0].copy()}
    ),
    "MaxPool": pooled("MaxPool", lambda x: F.max_pool2d(x, (3, 2), (2, 1))),
    "MeanVarianceNormalization": Case(
        "y = MeanVarianceNormalization <axes = [2, 3]> (x)",
        lambda x: F.instance_norm(x, eps=0.0),
        single=True,
    ),
    "Neg": pointwise("Neg", torch.neg),
    "PRelu": Case(
        "y = PRelu (x, p)", lambda x, p: torch.where(x > 0, x, p * x), POSITIVE - 0.5, FACTORS
    ),
    "Pad": Case(
        'y = Pad <mode = "reflect"> (x, p)',
        alone(lambda x: F.pad(x, (2, 1, 0, 3), mode="reflect")),
        constants={"p": np.array([0, 0, 0, 2, 0, 0, 3, 1])},
    ),
    "RMSNormalization": Case(
        "y = RMSNormalization <axis = 2> (x, s)",
        lambda x, s: F.rms_norm(x, (5, 4), s, eps=1e-5),
        constants={"s": IMAGE[0, 0]},
        opsets=(23, NEWEST),
    ),
    "Reciprocal": pointwise("Reciprocal", torch.reciprocal, POSITIVE),
    "ReduceL1": reduced("ReduceL1", lambda x: x.abs().sum((1, 2))),
    "ReduceL2": reduced("ReduceL2", lambda x: x.norm(dim=(1, 2))),
    "ReduceLogSum": reduced("ReduceLogSum", lambda x: x.sum((1, 2)).log()),
    "ReduceLogSumExp": reduced("ReduceLogSumExp", lambda x: x.logsumexp((1, 2))),
    "ReduceMax": reduced("ReduceMax", lambda x: x.amax((1, 2))),
    "ReduceMean": reduced("ReduceMean", lambda x: x.mean((1, 2))),
    "ReduceMin": reduced("ReduceMin", lambda x: x.amin((1, 2))),
    "ReduceProd": reduced("ReduceProd", lambda x: x.flatten(1).prod(1)),
    "ReduceSum": reduced("ReduceSum", lambda x: x.sum((1, 2))),
    "ReduceSumSquare": reduced("ReduceSumSquare", lambda x: (x * x).sum((1, 2))),
    "Relu": pointwise("Relu", F.relu),
    "Reshape": Case("y = Reshape (x, s)", lambda x, s: x.reshape(*s.tolist()), constants=SHAPED),
    "Resize": Case(
        'y = Resize <mode = "linear"> (x, r, f)',
        lambda x, **_: interpolated(x),
        constants=RESIZED,
    ),
    "ScatterElements": [
        scatter("ScatterElements", "", OLDEST, adds=False),
        scatter("ScatterElements", 'reduction = "add"', 16, adds=True),
    ],
    "ScatterND": [
        scatter("ScatterND", "", OLDEST, adds=False),
        scatter("ScatterND", 'reduction = "add"', 16, adds=True),
    ],
    "Selu": pointwise("Selu", F.selu),
    "Shrink": pointwise("Shrink", F.hardshrink),
    "Sigmoid": pointwise("Sigmoid", torch.sigmoid),
    "Sin": pointwise("Sin", torch.sin),
    "Sinh": pointwise("Sinh", torch.sinh),
    "Slice": Case(
        "y = Slice (x, b, e, a, t)",
        lambda x, **_: x[:, :, 1:5:2],
        constants={"b": np.array([1]), "e": np.array([9]), "a": np.array([2]), "t": np.array([2])},
    ),
    "Softmax": Case("y = Softmax <axis = 2> (x)", lambda x: F.softmax(x, 2), POSITIVE),
    "Softplus": pointwise("Softplus", F.softplus),
    "Softsign": pointwise("Softsign", F.softsign),
    "SpaceToDepth": Case(
        "y = SpaceToDepth <blocksize = 2> (x)",
        lambda x: x.reshape(2, 3, 3, 2, 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(2, 12, 3, 2),
        RNG.standard_normal((2, 3, 6, 4)),
    ),
    "Split": [
        Case(
            "a, b = Split <axis = 2, split = [2, 3]> (x)  y = Exp (b)",
            lambda x: x[:, :, 2:].exp(),
            opsets=(OLDEST, 12),
        ),
        Case(
            "a, b = Split <axis = 2> (x, s)  y = Exp (b)",
            alone(lambda x: x[:, :, 2:].exp()),
            constants={"s": np.array([2, 3])},
            opsets=(13, NEWEST),
        ),
    ],
    "Sqrt": pointwise("Sqrt", torch.sqrt, POSITIVE),
    "Squeeze": moved("Squeeze", "axes = [0, 2]", lambda x: x[0, :, 0], np.array([0, 2])),
    "Swish": pointwise("Swish", F.silu),
    "Tan": pointwise("Tan", torch.tan, POSITIVE),
    "Tanh": pointwise("Tanh", torch.tanh),
    "ThresholdedRelu": pointwise("ThresholdedRelu", lambda x: F.threshold(x, 1.0, 0.0)),
    "Tile": Case(
        "y = Tile (x, r)", lambda x, r: x.tile(*r.tolist()), constants={"r": np.array([1, 2, 1, 3])}
    ),
    "TopK": Case(
        "y, i = TopK <axis = 2> (x, k)",
        lambda x, k: x.topk(int(k), 2).values,
        constants={"k": np.array([2])},
    ),
    "Transpose": Case("y = Transpose <perm = [0, 2, 3, 1]> (x)", lambda x: x.permute(0, 2, 3, 1)),
    "Trilu": Case("y = Trilu (x)", torch.triu, opsets=(14, NEWEST)),
    "Unsqueeze": moved(
        "Unsqueeze", "axes = [1, 3]", lambda x: x[:, None, :, None], np.array([1, 3])
    ),
    "Where": Case(
        "y = Where (c, x, z)",
        lambda x, c, z: torch.where(c, x, z),
        constants={"c": IMAGE > 0.2, "z": VECTOR[:, None, None]},
    ),
}


def opset_of(operator: Operator) -> int:
    return max(operator.since_version, OLDEST)


def cases_of(operator: Operator) -> Iterator[Case]:
    """The cases in which a version of an operator is what the text means."""
    found = CASES.get(operator.op_type, [])
    for case in found if isinstance(found, list) else [found]:
        if case.opsets[0] <= opset_of(operator) <= case.opsets[1]:
            yield case


PAIRS = [(operator, case) for operator in GRADIENTS for case in cases_of(operator)]


@pytest.mark.parametrize(
    ("operator", "case"), PAIRS, ids=[f"{operator}-{k}" for k, (operator, _) in enumerate(PAIRS)]
)
def test_a_version_agrees_with_autograd(check: Check, operator: Operator, case: Case) -> None:
    opset, x = opset_of(operator), case.x
    check(
        case.body,
        case.oracle,
        x,
        constants=case.constants,
        opset=opset,
        dynamic=False,
        single=case.single,
    )


def test_every_rule_has_an_oracle() -> None:
    exercised = {one for operator, case in PAIRS for one in on_path(case, opset_of(operator))}
    assert sorted(str(one) for one in set(GRADIENTS) - exercised) == []


def on_path(case: Case, opset: int) -> set[Operator]:
    """The operators whose rules the derivative of a case takes."""
    x = f"{TYPES[case.x.dtype.name]}{list(case.x.shape)} x"
    constants = "".join(
        f", {TYPES[array.dtype.name]}{list(array.shape)} {name}"
        for name, array in case.constants.items()
    )
    head = f'<ir_version: 10, opset_import: ["" : {opset}]>'
    model = ir.from_onnx_text(f"{head} g ({x}{constants}) => (double[] y) {{ {case.body} }}")
    plain = prepared(model)
    path = path_between(plain.graph, find_tensor(plain, "x"), find_tensor(plain, "y"))
    found = (Operator.of(node, plain.graph.opset_imports) for node in path.nodes)
    return {operator for operator in found if operator}
