"""Heads of classifiers: what is read of them against bare ONNX Runtime on the original model."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidArgumentError,
    UnknownNameError,
    UnsupportedModelError,
)
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.queries.class_outputs import Activation as Stated
from heatproof.evaluators.queries.class_outputs import Basis, Statement
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.removal import Masking
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.heads.choosing import ClassOutput, find_class_output
from heatproof.graphs.heads.scores import Activation
from heatproof.graphs.preparation import prepared
from heatproof.graphs.tapping import tapped

Parse = Callable[[str], onnx.ModelProto]
FloatArray = NDArray[np.float64]
UNIT = PRESETS["unit"]

BODY = """
    c = Conv <pads = [1, 1, 1, 1]> (image, w)
    r = Relu (c)
    pool = GlobalAveragePool (r)
    f = Flatten (pool)
"""


def network(head: str, outputs: str = "float[N, 5] p", *, opset: int = 18, classes: int = 5) -> str:
    """A small network whose features `f` [N, 4] go through `head`; `z` are scores of `f`."""
    return f"""
        <ir_version: 8, opset_import: ["" : {opset}]>
        g (float[N, 3, 8, 8] image) => ({outputs})
        <float[4, 3, 3, 3] w, float[{classes}, 4] v, float[{classes}] b, float[{classes}, 4] vv,
         float[{classes}, 4, 1, 1] ww>
        {{ {BODY}
           z = Gemm <transB = 1> (f, v, b)
           {head} }}"""


def constants(**arrays: object) -> str:
    """Constant nodes."""
    texts = {
        float: "Constant <value = float {{{}}}> ()",
        list: "Constant <value = int64[{n}] {{{}}}> ()",
    }
    lines = []
    for name, held in arrays.items():
        text = ", ".join(map(str, held)) if isinstance(held, list) else str(held)
        kind = list if isinstance(held, list) else float
        count = len(held) if isinstance(held, list) else 1
        lines.append(f"{name} = " + texts[kind].format(text, n=count))
    return "\n".join(lines) + "\n"


def pixels(rows: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(3).random((rows, 3, 8, 8), np.float32)


def run(model: bytes, images: NDArray[np.float32], output: str) -> FloatArray:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run([output], {"image": images})
    return np.asarray(found, np.float64)


def probabilities(canonical: CanonicalModel, images: NDArray[np.float32]) -> FloatArray:
    """As the engine makes them of the canonical logits."""
    logits = run(to_bytes(canonical.model), images, canonical.logits)
    return expit(logits) if canonical.are_independent else softmax(logits, axis=1)


def class_output(model: onnx.ModelProto, stated: Statement | None = None) -> ClassOutput:
    return find_class_output(prepared(ir.from_proto(model)), stated)


BYTE_SCALE = "scale = Constant <value = float {0.00392157}> ()\n"
ZERO = "zero = Constant <value = uint8 {0}> ()\n"
TO_BYTES = BYTE_SCALE + ZERO

SOFTMAX_TAILS = {
    "softmax": "p = Softmax (z)",
    "identity": "q = Softmax (z) i = Identity (q) p = Identity (i)",
    "cast there and back": "q = Softmax (z) h = Cast <to = 11> (q) p = Cast <to = 1> (h)",
    "clip to the unit interval": constants(low=0.0, high=1.0)
    + "q = Softmax (z) p = Clip (q, low, high)",
    "wider clip": constants(low=-1.0, high=2.0) + "q = Softmax (z) p = Clip (q, low, high)",
    "one-sided clip": constants(low=1e-9) + "q = Softmax (z) p = Clip (q, low)",
    "max and min": constants(low=0.0, high=1.0)
    + "q = Softmax (z) m = Max (q, low) p = Min (m, high)",
    "relu": "q = Softmax (z) p = Relu (q)",
    "reshapes": constants(wide=[-1, 5, 1, 1], flat=[-1, 5])
    + "q = Softmax <axis = 1> (z) s = Reshape (q, wide) p = Reshape (s, flat)",
    "squeeze": constants(axes=[2, 3])
    + "u = Unsqueeze (z, axes) q = Softmax <axis = 1> (u) p = Squeeze (q, axes)",
    "scaled and back": constants(much=4.0) + "q = Softmax (z) m = Mul (q, much) p = Div (m, much)",
    "exp of logarithms": "q = LogSoftmax (z) p = Exp (q)",
    "exp over sum": constants(axis=[1]) + "e = Exp (z) s = ReduceSum (e, axis) p = Div (e, s)",
    "shifted exp over sum": constants(axis=[1])
    + "m = ReduceMax <axes = [1]> (z) d = Sub (z, m) e = Exp (d) s = ReduceSum (e, axis) "
    "p = Div (e, s)",
    "exp times reciprocal": constants(axis=[1])
    + "e = Exp (z) s = ReduceSum (e, axis) i = Reciprocal (s) p = Mul (e, i)",
    "guarded sum": constants(axis=[1], small=1e-9)
    + "e = Exp (z) s = ReduceSum (e, axis) t = Add (s, small) p = Div (e, t)",
    "a sum without its axis": constants(axis=[1])
    + "e = Exp (z) s = ReduceSum <keepdims = 0> (e, axis) u = Unsqueeze (s, axis) p = Div (e, u)",
    "one member of a mean": constants(axis=[0])
    + "q = Softmax (z) u = Unsqueeze (q, axis) p = ReduceMean <keepdims = 0> (u, axis)",
}
"""Endings whose logits are in the graph."""


@pytest.mark.parametrize("tail", SOFTMAX_TAILS.values(), ids=SOFTMAX_TAILS)
def test_a_softmax_is_found_through_what_keeps_its_values(text_model: Parse, tail: str) -> None:
    opset = 17 if "axes = [1]" in tail else 18
    model = text_model(network(tail, opset=opset))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    images = pixels()
    found = canonical.output
    assert (found.activation, found.basis) == (Activation.SOFTMAX, Basis.GRAPH), found
    logits = run(to_bytes(canonical.model), images, canonical.logits)
    z = images_z(model, images)
    np.testing.assert_allclose(logits, z, atol=1e-5)
    np.testing.assert_allclose(
        probabilities(canonical, images), run(model.SerializeToString(), images, "p"), atol=1e-6
    )


def images_z(model: onnx.ModelProto, images: NDArray[np.float32]) -> FloatArray:
    """The scores before the head."""
    return run(to_bytes(tapped(ir.from_proto(model), ["z"])), images, "z")


SECOND = "y = Gemm <transB = 1> (f, vv) a = Softmax (z) c2 = Softmax (y)\n"

CELLS = "cells = Conv (r, ww)\n"

MEANS = {
    "mean over the image": CELLS
    + "q = Softmax <axis = 1> (cells) g = GlobalAveragePool (q) p = Flatten (g)",
    "mean over a window": CELLS
    + "q = Softmax <axis = 1> (cells) g = AveragePool <kernel_shape = [8, 8]> (q) p = Flatten (g)",
    "normalized squares": constants(axis=[1])
    + "q = Mul (z, z) s = ReduceSum (q, axis) p = Div (q, s)",
    "normalized from a floor": constants(axis=[1], floor=0.01)
    + "n = Relu (z) q = Add (n, floor) s = ReduceSum (q, axis) p = Div (q, s)",
    "two classes of one, stacked": constants(one=1.0, first=[0], next=[1], last=[1], behind=[2])
    + "k = Slice (z, first, next, last) q = Sigmoid (k) o = Sub (one, q) "
    "a = Unsqueeze (o, last) c2 = Unsqueeze (q, last) j = Concat <axis = 1> (a, c2) "
    "p = Squeeze (j, behind)",
    "transposed twice": "t = Transpose <perm = [1, 0]> (z) q = Softmax <axis = 0> (t) "
    "p = Transpose <perm = [1, 0]> (q)",
    "mean": SECOND + "p = Mean (a, c2)",
    "half the sum": constants(two=2.0) + SECOND + "s = Add (a, c2) p = Div (s, two)",
    "weights": constants(most=0.75, rest=0.25)
    + SECOND
    + "s = Mul (a, most) t = Mul (rest, c2) p = Add (s, t)",
    "stacked": constants(axis=[0])
    + SECOND
    + "u = Unsqueeze (a, axis) x = Unsqueeze (c2, axis) s = Concat <axis = 0> (u, x) "
    "p = ReduceMean <keepdims = 0> (s, axis)",
    "stacked behind the batch": constants(axis=[1])
    + SECOND
    + "u = Unsqueeze (a, axis) x = Unsqueeze (c2, axis) s = Concat <axis = 1> (u, x) "
    "p = ReduceMean <keepdims = 0> (s, axis)",
    "stacked with weights": constants(axis=[0])
    + "g = Constant <value = float[2, 1, 1] {0.75, 0.25}> ()\n"
    + SECOND
    + "u = Unsqueeze (a, axis) x = Unsqueeze (c2, axis) s = Concat <axis = 0> (u, x) "
    "m = Mul (s, g) p = ReduceSum <keepdims = 0> (m, axis)",
    "normalized": constants(axis=[1]) + "e = Softplus (z) s = ReduceSum (e, axis) p = Div (e, s)",
    "two classes of one": constants(one=1.0, first=[0], next=[1], last=[1])
    + "k = Slice (z, first, next, last) q = Sigmoid (k) o = Sub (one, q) "
    "p = Concat <axis = 1> (o, q)",
}
"""Probabilities whose logits are no tensor of the graph."""


@pytest.mark.parametrize("tail", MEANS.values(), ids=MEANS)
def test_probabilities_without_logits_become_logarithms(text_model: Parse, tail: str) -> None:
    classes = 2 if "first" in tail else 5
    model = text_model(network(tail, f"float[N, {classes}] p"))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    images = pixels()
    assert (canonical.output.activation, canonical.classes) == (Activation.SOFTMAX, classes)
    expected = run(model.SerializeToString(), images, "p")
    np.testing.assert_allclose(probabilities(canonical, images), expected, atol=1e-6)
    for asked in (ModelPass("", wrt=IMAGE), ModelPass("", masking=Masking())):
        assert canonical.capabilities.supports(asked) is None
    onnx.checker.check_model(to_bytes(canonical.model), full_check=True)


def test_quantized_probabilities_are_read_before_they_were_quantized(text_model: Parse) -> None:
    tail = TO_BYTES + (
        "q = Softmax (z) k = QuantizeLinear (q, scale, zero) p = DequantizeLinear (k, scale, zero)"
    )
    canonical = canonicalize(ir.from_proto(text_model(network(tail))), UNIT)
    assert (canonical.output.logits, canonical.output.activation) == ("z", Activation.SOFTMAX)
    assert "QuantizeLinear" in canonical.output.decision
    images = pixels()
    original = run(text_model(network(tail)).SerializeToString(), images, "p")
    np.testing.assert_allclose(probabilities(canonical, images), original, atol=0.51 / 255)


def test_probabilities_rounded_to_thousandths_are_read_before_the_rounding(
    text_model: Parse,
) -> None:
    tail = (
        constants(much=1000.0) + "q = Softmax (z) m = Mul (q, much) n = Round (m) p = Div (n, much)"
    )
    model = text_model(network(tail))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    original = run(model.SerializeToString(), pixels(), "p")
    assert canonical.output.logits == "z"
    np.testing.assert_allclose(probabilities(canonical, pixels()), original, atol=0.51e-3)


@pytest.mark.parametrize(
    ("activation", "classes"), [("Sigmoid", 1), ("Sigmoid", 4), ("Softmax", 5)]
)
def test_probabilities_cut_off_by_quantization_are_read_as_they_come_out(
    text_model: Parse, activation: str, classes: int
) -> None:
    """As calibrated on probabilities between 0 and 0.5, which ONNX Runtime's quantizer does."""
    tail = (
        "scale = Constant <value = float {0.00196078}> ()\n"
        + ZERO
        + (
            f"q = {activation} (z) k = QuantizeLinear (q, scale, zero) "
            "p = DequantizeLinear (k, scale, zero)"
        )
    )
    model = text_model(network(tail, f"float[N, {classes}] p", classes=classes))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    original = run(model.SerializeToString(), pixels(), "p")
    assert original.max() <= 0.5001
    assert canonical.output.logits == "p"
    found = probabilities(canonical, pixels())
    if activation == "Softmax":
        original /= original.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, -classes:], original, atol=1e-6)


def test_a_quantized_softmax_operator_is_found(text_model: Parse) -> None:
    """As ONNX Runtime's quantizer writes it in the format of operators."""
    tail = TO_BYTES + (
        "step = Constant <value = float {0.1}> () half = Constant <value = uint8 {128}> ()\n"
        "k = QuantizeLinear (z, step, half) "
        "q = com.microsoft.QLinearSoftmax <axis = -1, opset = 17> (k, step, half, scale, zero) "
        "p = DequantizeLinear (q, scale, zero)"
    )
    text = network(tail).replace('["" : 18]', '["" : 18, "com.microsoft" : 1]')
    model = text_model(text)
    canonical = canonicalize(ir.from_proto(model), UNIT)
    assert canonical.output.activation is Activation.SOFTMAX
    original = run(model.SerializeToString(), pixels(), "p")
    original /= original.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(canonical, pixels()), original, atol=1e-6)


CHANCES = {
    "sigmoid": "p = Sigmoid (z)",
    "clipped": constants(low=0.0, high=1.0) + "q = Sigmoid (z) p = Clip (q, low, high)",
    "written out": constants(one=1.0) + "n = Neg (z) e = Exp (n) s = Add (one, e) p = Div (one, s)",
    "reciprocal": constants(one=1.0)
    + "n = Neg (z) e = Exp (n) s = Add (e, one) p = Reciprocal (s)",
    "exp over one more": constants(one=1.0) + "e = Exp (z) s = Add (e, one) p = Div (e, s)",
    "mean of members": "y = Gemm <transB = 1> (f, vv) a = Sigmoid (z) c2 = Sigmoid (y) "
    "p = Mean (a, c2)",
    "complement": constants(one=1.0) + "q = Sigmoid (z) p = Sub (one, q)",
    "mean over the image": CELLS + "q = Sigmoid (cells) g = GlobalAveragePool (q) p = Flatten (g)",
    "mean over two axes": constants(axes=[2, 3])
    + CELLS
    + "q = Sigmoid (cells) p = ReduceMean <keepdims = 0> (q, axes)",
    "largest of the image": CELLS + "q = Sigmoid (cells) g = GlobalMaxPool (q) p = Flatten (g)",
    "largest over two axes": constants(axes=[2, 3])
    + CELLS
    + "q = Sigmoid (cells) p = ReduceMax <keepdims = 0> (q, axes)",
}


@pytest.mark.parametrize("tail", CHANCES.values(), ids=CHANCES)
@pytest.mark.parametrize("classes", [1, 4])
def test_sigmoids_keep_their_probabilities(text_model: Parse, tail: str, classes: int) -> None:
    model = text_model(network(tail, f"float[N, {classes}] p", classes=classes))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    images = pixels()
    assert canonical.output.activation is Activation.SIGMOID
    expected = run(model.SerializeToString(), images, "p")
    found = probabilities(canonical, images)
    if classes == 1:
        assert canonical.classes == 2
        expected = np.concatenate([1 - expected, expected], axis=1)
    # log p - log(1 - p) and back in float32.
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Members that products with constants average.

MEMBERS = """y = Gemm <transB = 1> (f, vv)
    a = {activation} (z) c2 = {activation} (y)
    places = Constant <value = int64[1] {{1}}> () ends = Constant <value = int64[1] {{2}}> ()
    ua = Unsqueeze (a, places) uc = Unsqueeze (c2, places)
    m = Concat <axis = 1> (ua, uc)
    va = Unsqueeze (a, ends) vc = Unsqueeze (c2, ends)
    l = Concat <axis = 2> (va, vc)
    behind = Constant <value = int64[1] {{3}}> ()
"""
"""Two members of five classes: m is [N, 2, 5], l is [N, 5, 2]."""

AVERAGES = {
    "row times members": "g = Constant <value = float[1, 2] {0.75, 0.25}> () s = MatMul (g, m) "
    "p = Squeeze (s, places)",
    "batched row times members": "g = Constant <value = float[1, 1, 2] {0.75, 0.25}> () "
    "s = MatMul (g, m) p = Squeeze (s, places)",
    "vector times members": "g = Constant <value = float[2] {0.75, 0.25}> () p = MatMul (g, m)",
    "members times column": "g = Constant <value = float[2, 1] {0.75, 0.25}> () "
    "s = MatMul (l, g) p = Squeeze (s, ends)",
    "members times vector": "g = Constant <value = float[2] {0.75, 0.25}> () p = MatMul (l, g)",
    "sum of weights 2, halved": "g = Constant <value = float[2] {1.5, 0.5}> () s = MatMul (l, g) "
    "two = Constant <value = float {2}> () p = Div (s, two)",
    "einsum": "g = Constant <value = float[2] {0.75, 0.25}> () "
    'p = Einsum <equation = "m,nmc->nc"> (g, m)',
    "einsum, weights last": "g = Constant <value = float[2] {0.75, 0.25}> () "
    'p = Einsum <equation = "n c m, m -> n c"> (l, g)',
    "einsum that turns": "g = Constant <value = float[2] {0.75, 0.25}> () "
    't = Einsum <equation = "ncm,m->cn"> (l, g) p = Transpose <perm = [1, 0]> (t)',
    "convolution over members": "g = Constant <value = float[1, 2, 1] {0.75, 0.25}> () "
    "s = Conv (m, g) p = Squeeze (s, places)",
    "two-dimensional convolution": "g = Constant <value = float[1, 2, 1, 1] {0.75, 0.25}> () "
    "w4 = Unsqueeze (m, behind) k = Conv (w4, g) s = Squeeze (k, behind) p = Squeeze (s, places)",
    "a kernel over all members": "g = Constant <value = float[1, 1, 2, 1] {0.75, 0.25}> () "
    "w4 = Unsqueeze (m, places) k = Conv (w4, g) "
    "both = Constant <value = int64[2] {1, 2}> () p = Squeeze (k, both)",
    "global average pool": "k = GlobalAveragePool (l) p = Squeeze (k, ends)",
}


@pytest.mark.parametrize("activation", ["Softmax", "Sigmoid"])
@pytest.mark.parametrize("tail", AVERAGES.values(), ids=AVERAGES)
def test_members_averaged_by_constants_keep_their_probabilities(
    text_model: Parse, tail: str, activation: str
) -> None:
    members = MEMBERS.format(activation=activation)
    model = text_model(network(members + tail))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    output = canonical.output
    assert (output.activation, output.basis) == (Activation[activation.upper()], Basis.GRAPH)
    assert "2 x" in output.decision or "AveragePool" in tail
    expected = run(model.SerializeToString(), pixels(), "p")
    np.testing.assert_allclose(probabilities(canonical, pixels()), expected, atol=1e-5)


def test_classes_added_up_into_others_are_probabilities(text_model: Parse) -> None:
    """Five classes into three, each given away whole."""
    shares = "1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0.25, 0.75, 0, 0, 1"
    tail = f"q = Softmax (z) g = Constant <value = float[5, 3] {{{shares}}}> () p = MatMul (q, g)"
    model = text_model(network(tail, "float[N, 3] p"))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    assert canonical.activation is Activation.SOFTMAX
    expected = run(model.SerializeToString(), pixels(), "p")
    np.testing.assert_allclose(probabilities(canonical, pixels()), expected, atol=1e-6)


def test_some_classes_added_up_are_one_probability(text_model: Parse) -> None:
    tail = "q = Softmax (z) g = Constant <value = float[5, 1] {0, 1, 0, 1, 0}> () p = MatMul (q, g)"
    model = text_model(network(tail, "float[N, 1] p"))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    assert canonical.activation is Activation.SIGMOID
    expected = run(model.SerializeToString(), pixels(), "p")
    np.testing.assert_allclose(probabilities(canonical, pixels())[:, 1:], expected, atol=1e-6)


NO_AVERAGE = {
    "shares that differ by class": "g = Constant <value = float[2, 5] {0.5, 0.5, 1, 1, 0, "
    '0.5, 0.5, 0, 0, 1}> () p = Einsum <equation = "mc,nmc->nc"> (g, m)',
    "classes mixed unevenly": "g = Constant <value = float[5, 5] {0.5, 0.1, 0, 0, 0, "
    "0, 0.1, 0.5, 0, 0, 0, 0, 0, 0.1, 0.1, 0.2, 0, 0, 0, 0.1, 0, 0, 0.2, 0, 0}> () "
    "p = MatMul (a, g)",
}


@pytest.mark.parametrize("tail", NO_AVERAGE.values(), ids=NO_AVERAGE)
def test_shares_of_probabilities_that_keep_no_sum_are_refused(text_model: Parse, tail: str) -> None:
    text = network(MEMBERS.format(activation="Softmax") + tail)
    with pytest.raises(UnsupportedModelError, match=r"lie in \[0, 1\].*--activation"):
        class_output(text_model(text))


def test_a_linear_layer_behind_a_softmax_gives_logits(text_model: Parse) -> None:
    tail = "q = Softmax (z) g = Constant <value = float[5, 2] {3, -3, 1, 2, 0, -1, 2, 2, 4, 1}> () "
    found = class_output(text_model(network(tail + "p = MatMul (q, g)", "float[N, 2] p")))
    assert (found.activation, found.basis, found.is_linear) == (
        Activation.NONE, Basis.ASSUMED, True,
    )  # fmt: skip


def test_members_weighed_by_what_is_computed_are_no_linear_layer(text_model: Parse) -> None:
    """Their answers are held against [0, 1] when they come."""
    tail = (
        MEMBERS.format(activation="Sigmoid")
        + constants(first=[0], last=[2], axis=[1])
        + "o = Slice (f, first, last, axis) e = Softmax (o) g = Unsqueeze (e, ends) "
        "s = MatMul (l, g) p = Squeeze (s, ends)"
    )
    found = class_output(text_model(network(tail)))
    assert (found.basis, found.is_linear) == (Basis.ASSUMED, False)
    assert "unless all first answers lie in [0, 1]" in found.decision


# Operators of the quantizer's other format.

QUANTISED = """step = Constant <value = float {0.1}> () half = Constant <value = uint8 {128}> ()
    twice = Constant <value = float {0.00784314}> ()
    half_of = Constant <value = float {0.5}> () one = Constant <value = uint8 {1}> ()
    y = Gemm <transB = 1> (f, vv)
    kz = QuantizeLinear (z, step, half) ky = QuantizeLinear (y, step, half)
"""
MULTIPLIED = """c3 = com.microsoft.QLinearAdd (a, scale, zero, c2, scale, zero, twice, zero)
    h = com.microsoft.QLinearMul (c3, twice, zero, one, half_of, zero, scale, zero)
    p = DequantizeLinear (h, scale, zero)"""
ADDED = """s = com.microsoft.QLinearAdd (a, scale, zero, c2, scale, zero, twice, zero)
    d = DequantizeLinear (s, twice, zero) p = Mul (d, half_of)"""
JOINED = """s = com.microsoft.QLinearConcat <axis = 1> (
        scale, zero, a, scale, zero, c2, scale, zero)
    p = DequantizeLinear (s, scale, zero)"""
DOUBLE = {
    "added": ADDED,
    "added and multiplied": MULTIPLIED,
}


def quantized(activation: str, tail: str, outputs: str = "float[N, 5] p") -> str:
    members = "".join(
        f"{name} = com.microsoft.QLinear{activation} (k{of}, step, half, scale, zero)\n"
        for name, of in (("a", "z"), ("c2", "y"))
    )
    if activation == "Softmax":
        members = members.replace("QLinearSoftmax (", "QLinearSoftmax <axis = -1, opset = 17> (")
    text = network(TO_BYTES + QUANTISED + members + tail, outputs)
    return text.replace('["" : 18]', '["" : 18, "com.microsoft" : 1]')


@pytest.mark.parametrize("activation", ["Softmax", "Sigmoid"])
@pytest.mark.parametrize("tail", DOUBLE.values(), ids=DOUBLE)
def test_members_added_by_quantized_operators_are_probabilities(
    text_model: Parse, tail: str, activation: str
) -> None:
    model = text_model(quantized(activation, tail))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    output = canonical.output
    assert (output.activation, output.basis) == (Activation[activation.upper()], Basis.GRAPH)
    original = run(model.SerializeToString(), pixels(), "p")
    if activation == "Softmax":
        original /= original.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities(canonical, pixels()), original, atol=1e-5)


def test_sigmoids_joined_by_a_quantized_operator_are_probabilities(text_model: Parse) -> None:
    model = text_model(quantized("Sigmoid", JOINED, "float[N, 10] p"))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    assert (canonical.activation, canonical.classes) == (Activation.SIGMOID, 10)
    original = run(model.SerializeToString(), pixels(), "p")
    np.testing.assert_allclose(probabilities(canonical, pixels()), original, atol=1e-5)


def test_softmaxes_joined_by_a_quantized_operator_are_refused(text_model: Parse) -> None:
    with pytest.raises(UnsupportedModelError, match="--activation"):
        class_output(text_model(quantized("Softmax", JOINED, "float[N, 10] p")))


def test_codes_that_hold_nothing_but_the_unit_interval_are_refused(text_model: Parse) -> None:
    """Whatever made them: here the larger of two members, whose sum is not known."""
    tail = (
        TO_BYTES
        + MEMBERS.format(activation="Softmax")
        + (
            "x = Max (a, c2) h = HardSwish (x) k = QuantizeLinear (h, scale, zero) "
            "p = DequantizeLinear (k, scale, zero)"
        )
    )
    with pytest.raises(UnsupportedModelError, match=r"lie in \[0, 1\] by Dequant.*--activation"):
        class_output(text_model(network(tail)))


# Branches and signs.

BRANCHES = """largest = ReduceMax <keepdims = 0> (image) none = Constant <value = float {{0}}> ()
    flag = Greater (largest, none)
    p = If (flag) <then_branch = yes () => (float[N, 5] t) {{ {then} }},
                   else_branch = no () => (float[N, 5] e) {{ {other} }}>"""


EXP_OVER_SUM = "s = Exp (y) whole = ReduceSum <keepdims = 1> (s, last) e = Div (s, whole)"


def branched(then: str, other: str) -> str:
    """By a flag that the images decide, alike for all that are not black."""
    return network("y = Gemm <transB = 1> (f, vv)" + BRANCHES.format(then=then, other=other))


@pytest.mark.parametrize(
    ("then", "other", "kind"),
    [
        ("t = Softmax (z)", "e = Softmax (y)", Activation.SOFTMAX),
        ("t = Sigmoid (z)", "q = Sigmoid (y) e = Identity (q)", Activation.SIGMOID),
        ("q = Softmax (z) t = Clip (q)", EXP_OVER_SUM, Activation.SOFTMAX),
    ],
)  # fmt: skip
def test_branches_that_end_in_one_activation_are_that(
    text_model: Parse, then: str, other: str, kind: Activation
) -> None:
    text = branched(then, other).replace("y = Gemm", constants(last=[1]) + "y = Gemm")
    model = text_model(text)
    canonical = canonicalize(ir.from_proto(model), UNIT)
    assert (canonical.activation, canonical.output.basis) == (kind, Basis.GRAPH)
    expected = run(model.SerializeToString(), pixels(), "p")
    np.testing.assert_allclose(probabilities(canonical, pixels()), expected, atol=1e-5)


def test_branches_of_two_activations_are_refused(text_model: Parse) -> None:
    with pytest.raises(UnsupportedModelError, match="--activation"):
        class_output(text_model(branched("t = Softmax (z)", "e = Sigmoid (y)")))


SIGNED = {
    "tanh": "p = Tanh (z)",
    "softsign": "p = Softsign (z)",
    "of members": "y = Gemm <transB = 1> (f, vv) a = Tanh (z) c2 = Tanh (y) p = Mean (a, c2)",
    "quantized": "scale = Constant <value = float {0.0078125}> () t = Tanh (z) "
    "zero = Constant <value = int8 {0}> () k = QuantizeLinear (t, scale, zero) "
    "p = DequantizeLinear (k, scale, zero)",
    "cast and reshaped": constants(flat=[-1, 5])
    + "t = Tanh (z) h = Cast <to = 10> (t) w1 = Cast <to = 1> (h) p = Reshape (w1, flat)",
}


@pytest.mark.parametrize("tail", SIGNED.values(), ids=SIGNED)
def test_values_behind_a_tangent_must_be_stated(text_model: Parse, tail: str) -> None:
    model = text_model(network(tail))
    with pytest.raises(UnsupportedModelError, match=r"lie in \[-1, 1\].*--activation"):
        canonicalize(ir.from_proto(model), UNIT)
    canonical = canonicalize(ir.from_proto(model), UNIT, Statement(activation=Stated.LOGITS))
    assert canonical.output.basis is Basis.STATED
    expected = softmax(run(model.SerializeToString(), pixels(), "p"), axis=1)
    np.testing.assert_allclose(probabilities(canonical, pixels()), expected, atol=1e-6)


SINGLE = {
    "logit": ("", "float[N, 1] z", lambda z: z),
    "flat logit": (constants(axis=[1]) + "p = Squeeze (z, axis)", "float[N] p", lambda z: z),
    "wide logit": (constants(axes=[2, 3]) + "p = Unsqueeze (z, axes)", "float[N, 1, 1, 1] p", None),
    "flat sigmoid": (
        constants(axis=[1]) + "q = Sigmoid (z) p = Squeeze (q, axis)",
        "float[N] p",
        None,
    ),
}


@pytest.mark.parametrize(("tail", "output", "_"), SINGLE.values(), ids=SINGLE)
def test_one_value_is_two_classes(text_model: Parse, tail: str, output: str, _: object) -> None:
    model = text_model(network(tail, output, classes=1))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    images = pixels()
    z = images_z(text_model(network("", "float[N, 1] z", classes=1)), images)
    logits = run(to_bytes(canonical.model), images, canonical.logits)
    np.testing.assert_allclose(logits, np.concatenate([-z / 2, z / 2], axis=1), atol=1e-6)
    np.testing.assert_allclose(probabilities(canonical, images)[:, 1:], expit(z), atol=1e-6)
    assert canonical.classes == 2
    assert canonical.output.is_binary


def test_either_class_of_a_binary_head_has_its_own_gradient(text_model: Parse) -> None:
    """Against torch: d(-z / 2) and d(z / 2) by the image."""
    model = text_model(network("p = Sigmoid (z)", "float[N, 1] p", classes=1))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    images = pixels(2)
    weights = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in model.graph.initializer}
    x = torch.tensor(images, requires_grad=True)
    deep = torch.relu(torch.nn.functional.conv2d(x, weights["w"], padding=1)).mean(dim=(2, 3))
    z = deep @ weights["v"].T + weights["b"]
    (of_z,) = torch.autograd.grad(z.sum(), x)
    whole = to_bytes(differentiated(canonical.model, of=canonical.logits))
    session = ort.InferenceSession(whole, providers=["CPUExecutionProvider"])
    for target, sign in ((0, -0.5), (1, 0.5)):
        seed = np.zeros((2, 2), np.float32)
        seed[:, target] = 1
        (found,) = session.run(["input_gradient"], {"image": images, "output_gradient": seed})
        assert np.abs(found).max() > 0
        np.testing.assert_allclose(found, sign * of_z.numpy(), atol=1e-7)


def test_channels_last_class_maps_are_class_outputs(text_model: Parse) -> None:
    tail = constants(axes=[1, 2]) + "u = Unsqueeze (z, axes) p = Softmax (u)"
    model = text_model(network(tail, "float[N, 1, 1, 5] p"))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    images = pixels()
    expected = run(model.SerializeToString(), images, "p").reshape(-1, 5)
    assert (canonical.classes, canonical.activation) == (5, Activation.SOFTMAX)
    np.testing.assert_allclose(probabilities(canonical, images), expected, atol=1e-6)


REFUSED = {
    "a softmax of one value": ("p = Softmax (z)", 1, "is 1 for every image"),
    "an unknown activation": (
        "p = HardSigmoid (z)",
        5,
        "lie in .0, 1. by HardSigmoid.*--activation",
    ),
    "a clip of unknown values": (
        constants(low=0.0, high=1.0) + "p = Clip (z, low, high)",
        5,
        "--activation",
    ),
    "a shifted tangent": (
        constants(one=1.0, two=2.0) + "t = Tanh (z) s = Add (t, one) p = Div (s, two)",
        5,
        "Div.*--activation",
    ),
    "probabilities above a threshold": (
        constants(low=0.1, none=0.0)
        + "q = Softmax (z) k = Greater (q, low) p = Where (k, q, none)",
        5,
        "Where.*--activation",
    ),
    "ranked probabilities": (
        constants(most=[5]) + "q = Softmax (z) p, i = TopK (q, most)",
        5,
        "TopK.*--activation",
    ),
    "some classes of a softmax": (
        constants(first=[1], last=[4], axis=[1])
        + "q = Softmax (z) p = Slice (q, first, last, axis)",
        5,
        "Softmax.*Slice.*--activation",
    ),
    "largest probabilities of the image": (
        CELLS + "q = Softmax <axis = 1> (cells) g = GlobalMaxPool (q) p = Flatten (g)",
        5,
        "GlobalMaxPool.*--activation",
    ),
    "a mean in which padding counts": (
        CELLS + "q = Softmax <axis = 1> (cells) g = AveragePool <kernel_shape = [10, 10], "
        "pads = [1, 1, 1, 1], count_include_pad = 1> (q) p = Flatten (g)",
        5,
        "AveragePool.*--activation",
    ),
    "joined softmaxes": (
        SECOND + "p = Concat <axis = 1> (a, c2)",
        5,
        "Concat.*--activation",
    ),
}


DERIVED = {
    "roots": "q = Softmax (z) p = Sqrt (q)",
    "powers": constants(two=2.0) + "q = Softmax (z) p = Pow (q, two)",
    "turned round": "q = Softmax (z) p = Neg (q)",
    "surprise": "q = LogSoftmax (z) p = Neg (q)",
    "less than chance": constants(chance=0.2) + "q = Softmax (z) p = Sub (q, chance)",
    "running sums": "axis = Constant <value = int64 {1}> () q = Softmax (z) p = CumSum (q, axis)",
    "of chances, one after the other": "axis = Constant <value = int64 {1}> () "
    "q = Sigmoid (z) l = Log (q) s = CumSum (l, axis) p = Exp (s)",
    "scores of places": CELLS
    + constants(flat=[0, 5, -1], axis=[2])
    + "y = Reshape (cells, flat) q = Softmax <axis = 2> (y) p = ReduceMax <keepdims = 0> (q, axis)",
    "the class as a number": "i = ArgMax <axis = 1> (z) p = Cast <to = 1> (i)",
    "the place of the largest": constants(one=[1])
    + "largest, i = TopK (z, one) p = Cast <to = 1> (i)",
    "decisions": constants(low=0.3) + "q = Softmax (z) k = Greater (q, low) p = Cast <to = 1> (k)",
}
"""What is computed of activations alone, and is neither probabilities nor logits."""


@pytest.mark.parametrize("tail", DERIVED.values(), ids=DERIVED)
def test_what_is_computed_of_activations_alone_is_not_taken_for_logits(
    text_model: Parse, tail: str
) -> None:
    size = 1 if "(i)" in tail else 5
    model = text_model(network(tail, f"float[N, {size}] p"))
    with pytest.raises(UnsupportedModelError, match=r"activation.*\(--activation"):
        canonicalize(ir.from_proto(model), UNIT)
    stated = Statement(activation=Stated.LOGITS)
    assert class_output(model, stated).basis is Basis.STATED


LEARNT = "label, p = ai.onnx.ml.LinearClassifier <coefficients = [{}], intercepts = [{}], "
LEARNT = LEARNT.format(", ".join(["0.5"] * 20), ", ".join(["0.1"] * 5))
LEARNT += 'classlabels_ints = [0, 1, 2, 3, 4], post_transform = "{}"> (f)'


@pytest.mark.parametrize("post", ["LOGISTIC", "SOFTMAX", "NONE"])
def test_a_classifier_of_classical_learning_says_what_it_did(text_model: Parse, post: str) -> None:
    text = network(LEARNT.format(post)).replace('["" : 18]', '["" : 18, "ai.onnx.ml" : 1]')
    model = text_model(text)
    if post == "NONE":
        assert class_output(model).activation is Activation.NONE
        return
    with pytest.raises(UnsupportedModelError, match=r"LinearClassifier.*\(--activation"):
        class_output(model)


@pytest.mark.parametrize(
    "tail",
    [
        CELLS + "q = Sigmoid (cells) m = Mul (cells, q) g = GlobalAveragePool (m) p = Flatten (g)",
        CELLS
        + constants(flat=[0, 5, -1], axis=[2])
        + "f3 = Reshape (cells, flat) q = Softmax <axis = 2> (f3) m = Mul (q, f3) "
        "p = ReduceSum <keepdims = 0> (m, axis)",
        "q = Sigmoid (z) p = Mul (z, q)",
        "q = Sigmoid (f) p = Gemm <transB = 1> (q, v, b)",
    ],
)
def test_scores_that_an_activation_weighs_are_logits(text_model: Parse, tail: str) -> None:
    found = class_output(text_model(network(tail)))
    assert (found.activation, found.basis) == (Activation.NONE, Basis.ASSUMED)


@pytest.mark.parametrize(("tail", "classes", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_understood_is_refused(
    text_model: Parse, tail: str, classes: int, message: str
) -> None:
    size = 3 if "Slice" in tail else 10 if "Concat" in tail else classes
    model = text_model(network(tail, f"float[N, {size}] p", classes=classes))
    with pytest.raises(UnsupportedModelError, match=message):
        canonicalize(ir.from_proto(model), UNIT)


def test_one_class_of_a_softmax_is_a_probability(text_model: Parse) -> None:
    tail = constants(one=[1]) + "q = Softmax (z) p = Gather <axis = 1> (q, one)"
    model = text_model(network(tail, "float[N, 1] p", classes=2))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    images = pixels()
    expected = run(model.SerializeToString(), images, "p")
    np.testing.assert_allclose(probabilities(canonical, images)[:, 1:], expected, atol=1e-6)


# What a user states.


def test_a_stated_activation_is_used(text_model: Parse) -> None:
    tail = constants(least=0.01) + "p = HardSigmoid (z)"
    model = text_model(network(tail))
    stated = Statement(activation=Stated.SIGMOID)
    canonical = canonicalize(ir.from_proto(model), UNIT, stated)
    found = canonical.output
    assert (found.activation, found.basis) == (Activation.SIGMOID, Basis.STATED)
    assert "stated by the user" in found.decision
    images = pixels()
    expected = run(model.SerializeToString(), images, "p").clip(1e-7, 1 - 1e-7)
    np.testing.assert_allclose(probabilities(canonical, images), expected, atol=1e-6)


def test_a_statement_that_the_graph_bears_out_keeps_the_logits(text_model: Parse) -> None:
    found = class_output(text_model(network("p = Softmax (z)")), Statement("p", Stated.SOFTMAX))
    assert (found.logits, found.basis) == ("z", Basis.GRAPH)


CONTRADICTIONS = [
    ("p = Softmax (z)", Stated.LOGITS, 5),
    ("p = Softmax (z)", Stated.SIGMOID, 5),
    ("p = Sigmoid (z)", Stated.SOFTMAX, 5),
    ("p = Sigmoid (z)", Stated.LOGITS, 1),
    ("p = LogSoftmax (z)", Stated.SOFTMAX, 5),
    ("p = Identity (z)", Stated.SOFTMAX, 1),
]


@pytest.mark.parametrize(("tail", "stated", "classes"), CONTRADICTIONS)
def test_a_statement_against_the_graph_is_an_error(
    text_model: Parse, tail: str, stated: Stated, classes: int
) -> None:
    model = text_model(network(tail, f"float[N, {classes}] p", classes=classes))
    with pytest.raises(InvalidArgumentError) as caught:
        class_output(model, Statement(activation=stated))
    assert caught.value.field == "activation"


# Several outputs.

LOGITS_AND_FEATURES = network("", "float[N, 4] f, float[N, 5] z")
TWO_HEADS = network("y = Gemm <transB = 1> (f, vv)", "float[N, 5] z, float[N, 5] y")


def test_features_that_feed_the_logits_are_no_classes(text_model: Parse) -> None:
    found = class_output(text_model(LOGITS_AND_FEATURES))
    assert found.name == "z"
    assert "features" in found.decision


def test_two_heads_are_ambiguous(text_model: Parse) -> None:
    with pytest.raises(UnsupportedModelError, match=r"2 outputs.*'z'.*'y'.*--output"):
        class_output(text_model(TWO_HEADS))


AMBIGUOUS = {
    "two activations": network(
        "a = Softmax (z) y = Gemm <transB = 1> (f, vv) b2 = Softmax (y)",
        "float[N, 5] a, float[N, 5] b2",
    ),
    "an embedding by a linear layer": network(
        "e = Gemm <transB = 1> (f, vv) y = Gemm <transB = 1> (e, e2)",
        "float[N, 5] e, float[N, 5] y",
    ).replace("float[5, 4] vv,", "float[5, 4] vv, float[5, 5] e2,"),
    "a value beside": network(
        constants(first=[0], last=[1], axis=[1]) + "y = Slice (f, first, last, axis)",
        "float[N, 5] z, float[N, 1] y",
    ).replace("z = Gemm <transB = 1> (f, v, b)", "n = Relu (f) z = Gemm <transB = 1> (n, v, b)"),
}


@pytest.mark.parametrize("text", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_is_not_certain_is_an_error(text_model: Parse, text: str) -> None:
    with pytest.raises(UnsupportedModelError, match="--output"):
        class_output(text_model(text))


def test_a_named_output_settles_it(text_model: Parse) -> None:
    found = class_output(text_model(TWO_HEADS), Statement("y"))
    assert (found.name, found.decision.split(";")[0]) == ("y", "stated by the user")


def test_logits_and_their_probabilities_are_one_head(text_model: Parse) -> None:
    found = class_output(text_model(network("p = Softmax (z)", "float[N, 5] z, float[N, 5] p")))
    assert (found.name, found.logits) == ("p", "z")


def test_copies_count_once(text_model: Parse) -> None:
    model = text_model(network("p = Identity (z)", "float[N, 5] z, float[N, 5] p"))
    assert class_output(model).classes == 5


def test_an_unknown_output_offers_the_nearest(text_model: Parse) -> None:
    with pytest.raises(UnknownNameError, match="'y'") as caught:
        class_output(text_model(TWO_HEADS), Statement("yy"))
    assert caught.value.field == "output"


def test_an_output_of_another_shape_cannot_be_named(text_model: Parse) -> None:
    model = text_model(network("", "float[N, 5] z, float[N, 4, 8, 8] r"))
    assert class_output(model).name == "z"
    with pytest.raises(InvalidArgumentError, match="'r'"):
        class_output(model, Statement("r"))


def test_scores_without_a_batch_axis_are_no_binary_head(text_model: Parse) -> None:
    text = network(constants(axis=[0]) + "p = Squeeze (z, axis)", "float[5] p")
    model = text_model(text.replace("float[N, 3, 8, 8]", "float[1, 3, 8, 8]"))
    with pytest.raises(UnsupportedModelError, match="no class output"):
        class_output(model)


def test_a_long_chain_ends_the_search_not_the_server(text_model: Parse) -> None:
    steps = " ".join(f"r{i + 1} = Abs (r{i})" for i in range(3000))
    model = text_model(network(f"r0 = Softmax (z) {steps} p = Abs (r3000)"))
    try:
        assert class_output(model).name == "p"
    except HeatproofError as error:
        assert "activation" in error.message  # noqa: PT017  # either is sound
