"""Checks of single rules against torch's autograd, in float64."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from heatproof.graphs.gradients import differentiated

Array = NDArray[Any]
Oracle = Callable[..., torch.Tensor]
TOLERANCE = 1e-6
"""Relative to the largest element: attributes are float32, the rest is float64."""

SINGLE_TOLERANCE = 1e-5
"""Of float32, over sums of some hundred terms."""

TYPES = {"float64": "double", "int64": "int64", "float32": "float", "bool": "bool"}


def text_model(
    body: str,
    tensors: tuple[Mapping[str, Array], Mapping[str, Array]],
    opset: int,
    *,
    dynamic: Sequence[str] = (),
) -> ir.Model:
    """A model in ONNX text with inputs and outputs like the arrays; first axes may be dynamic."""
    inputs = ", ".join(
        declaration(*pair, dynamic=pair[0] in dynamic) for pair in tensors[0].items()
    )
    outputs = ", ".join(declaration(*pair, dynamic=bool(dynamic)) for pair in tensors[1].items())
    head = f'<ir_version: 10, opset_import: ["" : {opset}]>'
    return ir.from_onnx_text(f"{head} g ({inputs}) => ({outputs}) {{ {body} }}")


def declaration(name: str, array: Array, *, dynamic: bool) -> str:
    dims = [str(n) for n in array.shape]
    if dynamic:
        dims[0] = f"batch_of_{name}"
    shape = f"[{', '.join(dims)}]" if dims else ""
    return f"{TYPES[array.dtype.name]}{shape} {name}"


def frozen(model: ir.Model, constants: Mapping[str, Array]) -> ir.Model:
    """Turns inputs into initializers."""
    for name, array in constants.items():
        (value,) = (one for one in model.graph.inputs if one.name == name)
        model.graph.inputs.remove(value)
        value.const_value = ir.tensor(array, name=name)
        model.graph.register_initializer(value)
    return model


class ConvTranspose(OpRun):
    """Replaces the reference implementation, which fails for several groups."""

    op_domain = ""

    def _run(  # the attributes come as keyword arguments
        self, x: Array, w: Array, b: Array | None = None, **attributes: Any
    ) -> tuple[Array]:
        axes = x.ndim - 2
        strides = attributes["strides"] or [1] * axes
        dilations = attributes["dilations"] or [1] * axes
        pads = attributes["pads"] or [0] * 2 * axes
        extra = attributes["output_padding"] or [0] * axes
        function = {1: F.conv_transpose1d, 2: F.conv_transpose2d}[axes]
        bias = None if b is None else torch.tensor(b)
        whole = function(
            torch.tensor(x),
            torch.tensor(w),
            bias,
            stride=strides,
            groups=attributes["group"],
            dilation=dilations,
        )
        # Crops what ONNX calls padding; output padding extends the far end.
        edges = [
            n
            for axis in reversed(range(axes))
            for n in (-pads[axis], extra[axis] - pads[axes + axis])
        ]
        return (F.pad(whole, edges).numpy(),)


class MaxPool(OpRun):
    """Replaces the reference implementation, whose indices are wrong for stride 1."""

    op_domain = ""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array, ...]:
        axes = x.ndim - 2
        top, left, bottom, right = attributes["pads"] or [0] * 4
        values, indices = F.max_pool2d(
            F.pad(torch.tensor(x), (left, right, top, bottom), value=-np.inf),
            attributes["kernel_shape"],
            attributes["strides"] or [1] * axes,
            dilation=attributes["dilations"] or [1] * axes,
            return_indices=True,
        )
        rows, columns = np.divmod(indices.numpy(), x.shape[3] + left + right)
        places = (rows - top) * x.shape[3] + columns - left
        # ONNX counts over the whole tensor, torch over one plane.
        planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], 1, 1)
        places = places + planes * np.prod(x.shape[2:])
        return (values.numpy(), places)[: self.n_outputs]

    @property
    def n_outputs(self) -> int:
        return len(self.onnx_node.output)


class AveragePool(OpRun):
    """Replaces the reference implementation, which differs from ONNX Runtime in ceil mode."""

    op_domain = ""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        axes = x.ndim - 2
        pads = attributes["pads"] or [0] * 2 * axes
        if attributes["auto_pad"] == "SAME_UPPER":
            pads = [0] * axes + [1] * axes
        sides = [pads[axis + end] for axis in reversed(range(axes)) for end in (0, axes)]
        function = {1: F.avg_pool1d, 2: F.avg_pool2d}[axes]

        def averaged(image: torch.Tensor) -> torch.Tensor:
            return function(F.pad(image, sides), attributes["kernel_shape"], attributes["strides"])

        y = averaged(torch.tensor(x))
        if not attributes["count_include_pad"]:
            y = y / averaged(torch.ones_like(torch.tensor(x)))
        return (y.numpy(),)


class GlobalLpPool(OpRun):
    """Stands in for a reference implementation, which there is not."""

    op_domain = ""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        axes = tuple(range(2, x.ndim))
        power = attributes["p"]
        return ((np.abs(x) ** power).sum(axes, keepdims=True) ** (1 / power),)


@dataclass(frozen=True)
class Case:
    """What autograd says: y, the vector v and J^T v."""

    y: Array
    v: Array
    gradient: Array


REPLACED = [ConvTranspose, MaxPool, AveragePool, GlobalLpPool]


class RuleCheck:
    """Compares a rule with autograd; every call runs with a static and a dynamic batch."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def __call__(
        self,
        body: str,
        oracle: Oracle,
        x: Sequence[int] | Array,
        *,
        constants: Mapping[str, Array] | None = None,
        inputs: Mapping[str, Array] | None = None,
        opset: int = 20,
        dynamic: bool = True,
        single: bool = False,
    ) -> None:
        """Checks the derivative of `y` by `x`.

        The oracle gets x, then inputs and constants by name, as tensors in float64. With `single`
        the graph runs in float32 in ONNX Runtime, else in float64 in the reference evaluator.
        """
        array = x if isinstance(x, np.ndarray) else self.rng.standard_normal(tuple(x))
        others, fixed = dict(inputs or {}), dict(constants or {})
        case = self._by_autograd(oracle, array, {**others, **fixed})
        tolerance = SINGLE_TOLERANCE if single else TOLERANCE
        run = run_in_runtime if single else run_in_reference
        for names in [(), ("x",)] if dynamic else [()]:
            tensors = rounded({"x": array, **others, **fixed}, single=single)
            declared = {"y": rounded({"y": case.y}, single=single)["y"]}
            model = text_model(body, (tensors, declared), opset, dynamic=names)
            constant = {name: tensors.pop(name) for name in fixed}
            proto = ir.to_proto(differentiated(frozen(model, constant), of="y", wrt="x"))
            onnx.checker.check_model(proto, full_check=True)
            v = rounded({"v": case.v}, single=single)["v"]
            y, gradient = run(proto, {**tensors, "output_gradient": v})
            assert gradient.shape == case.gradient.shape
            assert gradient.dtype == declared["y"].dtype
            assert distance(y, case.y) <= tolerance
            assert distance(gradient, case.gradient) <= tolerance

    def _by_autograd(self, oracle: Oracle, x: Array, others: Mapping[str, Array]) -> Case:
        leaf = torch.tensor(x, requires_grad=True)
        y = oracle(leaf, **{name: torch.tensor(array) for name, array in others.items()})
        v = self.rng.standard_normal(tuple(y.shape))
        (gradient,) = torch.autograd.grad(y, leaf, torch.tensor(v))
        return Case(y.detach().numpy(), v, gradient.numpy())


def distance(found: Array, expected: Array) -> float:
    """Largest deviation, relative to the largest expected element."""
    scale = max(np.abs(expected).max(), np.finfo(np.float32).tiny)
    return float(np.abs(found - expected).max() / scale)


def rounded(arrays: Mapping[str, Array], *, single: bool) -> dict[str, Array]:
    kinds = {np.dtype(np.float64): np.float32} if single else {}
    return {
        name: array.astype(kinds.get(array.dtype, array.dtype)) for name, array in arrays.items()
    }


def run_in_reference(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    evaluator = ReferenceEvaluator(proto, new_ops=REPLACED)
    return list(evaluator.run(["y", "input_gradient"], dict(feeds)))


def run_in_runtime(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(["y", "input_gradient"], dict(feeds)))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20250301)


@pytest.fixture
def check(rng: np.random.Generator) -> RuleCheck:
    return RuleCheck(rng)
