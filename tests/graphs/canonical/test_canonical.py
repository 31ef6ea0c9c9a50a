"""Canonical models against NumPy preprocessing and bare ONNX Runtime on the original model."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedModelError
from heatproof.evaluators.images.preprocessing import (
    PRESETS,
    ChannelOrder,
    Layout,
    Preprocessing,
    Resize,
)
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.heads.signature import Activation

FloatArray = NDArray[np.float32]
Parse = Callable[[str], onnx.ModelProto]

# One multiply-add per pixel instead of scale, subtract, divide: at most two roundings apart
# (relative 2 ** -23 each), amplified by the few sums that follow.
TOLERANCE = 1e-5
UNIT = PRESETS["unit"]


def run(model: bytes, feeds: dict[str, np.ndarray]) -> FloatArray:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feeds)[0], np.float32)


def pixels(rows: int = 3, size: int = 8) -> FloatArray:
    return np.random.default_rng(7).random((rows, 3, size, size), np.float32)


def canonical_logits(canonical: CanonicalModel, images: FloatArray) -> FloatArray:
    return run(to_bytes(canonical.model), {canonical.input_name: images})


def original_logits(model: onnx.ModelProto, inputs: np.ndarray, *, one: bool = False) -> FloatArray:
    """Bare ONNX Runtime, row by row on request."""
    data, name = model.SerializeToString(), model.graph.input[0].name
    if not one:
        return run(data, {name: inputs})
    rows = [run(data, {name: inputs[i : i + 1]}) for i in range(len(inputs))]
    return np.concatenate([row.reshape(1, -1) for row in rows])


NCHW = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 8, 8] image) => (float[N, 5] scores)
<float[4, 3, 3, 3] w, float[5, 4] v>
{
    c = Conv <pads = [1, 1, 1, 1]> (image, w)
    r = Relu (c)
    p = GlobalAveragePool (r)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v)
}
"""


@pytest.mark.parametrize("order", list(ChannelOrder))
def test_scale_mean_std_and_channel_order_move_into_the_graph(
    text_model: Parse, order: ChannelOrder
) -> None:
    model = text_model(NCHW)
    wanted = Preprocessing(
        resize=Resize.STRETCH,
        scale=255.0,
        mean=(123.0, 117.0, 104.0),
        std=(58.0, 57.0, 56.0),
        channel_order=order,
    )
    images = pixels()
    ordered = images[:, ::-1] if order is ChannelOrder.BGR else images
    mean, std = (np.array(v).reshape(1, 3, 1, 1) for v in (wanted.mean, wanted.std))
    prepared = ((wanted.scale * ordered.astype(np.float64) - mean) / std).astype(np.float32)
    found = canonical_logits(canonicalize(ir.from_proto(model), wanted), images)
    np.testing.assert_allclose(found, original_logits(model, prepared), atol=TOLERANCE)


def test_the_canonical_input_is_rgb_float32_of_free_batch(text_model: Parse) -> None:
    canonical = canonicalize(ir.from_proto(text_model(NCHW)), PRESETS["imagenet"])
    (image,) = canonical.model.graph.inputs
    assert image.dtype == ir.DataType.FLOAT
    assert image.shape is not None
    assert [size if isinstance(size, int) else None for size in image.shape] == [None, 3, 8, 8]
    assert (canonical.height, canonical.width, canonical.classes) == (8, 8, 5)
    onnx.checker.check_model(to_bytes(canonical.model), full_check=True)


def test_the_argument_is_left_alone(text_model: Parse) -> None:
    model = ir.from_proto(text_model(NCHW))
    before = to_bytes(model)
    canonicalize(model, PRESETS["imagenet"])
    assert to_bytes(model) == before


def test_without_scaling_nothing_is_inserted(text_model: Parse) -> None:
    canonical = canonicalize(ir.from_proto(text_model(NCHW)), UNIT)
    assert next(iter(canonical.model.graph)).op_type == "Conv"


def test_channels_last_models_get_a_transposition(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 8, 8, 3] image) => (float[N, 5] scores)
        <float[4, 3, 3, 3] w, float[5, 4] v>
        {
            t = Transpose <perm = [0, 3, 1, 2]> (image)
            c = Conv (t, w)
            p = GlobalAveragePool (c)
            f = Flatten (p)
            scores = Gemm <transB = 1> (f, v)
        }""")
    images = pixels()
    found = canonical_logits(canonicalize(ir.from_proto(model), UNIT), images)
    expected = original_logits(model, np.ascontiguousarray(images.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_a_layout_that_contradicts_the_shape_is_refused(text_model: Parse) -> None:
    with pytest.raises(InvalidArgumentError, match="layout is nhwc, but"):
        canonicalize(ir.from_proto(text_model(NCHW)), replace(UNIT, layout=Layout.NHWC))


GREY = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 1, 8, 8] image) => (float[N, 4] scores)
<float[4, 1, 3, 3] w>
{
    c = Conv (image, w)
    p = GlobalAveragePool (c)
    scores = Flatten (p)
}
"""


def test_grey_models_see_the_luminance(text_model: Parse) -> None:
    model = text_model(GREY)
    images = pixels()
    grey = 0.299 * images[:, :1] + 0.587 * images[:, 1:2] + 0.114 * images[:, 2:]
    wanted = replace(UNIT, mean=(0.5,), std=(0.25,))
    found = canonical_logits(canonicalize(ir.from_proto(model), wanted), images)
    expected = original_logits(model, ((grey - 0.5) / 0.25).astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_three_means_for_one_channel_are_refused(text_model: Parse) -> None:
    with pytest.raises(InvalidArgumentError, match="mean has 3 values, but the model takes 1"):
        canonicalize(ir.from_proto(text_model(GREY)), PRESETS["imagenet"])


def test_half_precision_models_take_float32_and_give_float32(text_model: Parse) -> None:
    model = text_model(NCHW.replace("float[", "float16["))
    images = pixels()
    canonical = canonicalize(ir.from_proto(model), UNIT)
    expected = original_logits(model, images.astype(np.float16))
    assert canonical.model.graph.outputs[0].dtype == ir.DataType.FLOAT
    # ONNX Runtime may drop the rounding of the input to 11 bits, relative 2 ** -11.
    np.testing.assert_allclose(canonical_logits(canonical, images), expected, atol=1e-2)


def test_integer_models_get_the_nearest_integer(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (uint8[N, 3, 8, 8] image) => (float[N, 3] scores)
        {
            x = Cast <to = 1> (image)
            p = GlobalAveragePool (x)
            scores = Flatten (p)
        }""")
    integers = np.random.default_rng(3).integers(0, 256, (3, 3, 8, 8), np.uint8)
    images = integers.astype(np.float32) / np.float32(255)
    canonical = canonicalize(ir.from_proto(model), replace(UNIT, scale=255.0))
    expected = original_logits(model, integers)
    np.testing.assert_array_equal(canonical_logits(canonical, images), expected)


@pytest.mark.parametrize(
    ("last", "activation"),
    [
        ("Softmax <axis = 1>", Activation.SOFTMAX),
        ("Softmax <axis = -1>", Activation.SOFTMAX),
        ("LogSoftmax <axis = 1>", Activation.LOG_SOFTMAX),
        ("Sigmoid", Activation.SIGMOID),
    ],
)
def test_the_logits_behind_an_activation_are_the_output(
    text_model: Parse, last: str, activation: Activation
) -> None:
    plain = text_model(NCHW)
    ending = f"logits = Gemm <transB = 1> (f, v) scores = {last} (logits)"
    model = text_model(NCHW.replace("scores = Gemm <transB = 1> (f, v)", ending))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    assert (canonical.logits, canonical.activation) == ("logits", activation)
    images = pixels()
    np.testing.assert_array_equal(
        canonical_logits(canonical, images), original_logits(plain, images)
    )


def test_a_softmax_over_another_axis_is_refused(text_model: Parse) -> None:
    ending = "logits = Gemm <transB = 1> (f, v) scores = Softmax <axis = 0> (logits)"
    model = text_model(NCHW.replace("scores = Gemm <transB = 1> (f, v)", ending))
    with pytest.raises(UnsupportedModelError, match=r"'scores' lie in \[0, 1\].*--activation"):
        canonicalize(ir.from_proto(model), UNIT)


def test_class_maps_of_one_cell_are_flattened(text_model: Parse) -> None:
    model = text_model(
        GREY.replace("[N, 4] scores", "[N, 4, 1, 1] scores")
        .replace("p = Global", "scores = Global")
        .replace("scores = Flatten (p)", "")
    )
    canonical = canonicalize(ir.from_proto(model), UNIT)
    assert canonical_logits(canonical, pixels()).shape == (3, 4)


BATCH_ONE = {
    "reshape": """
        g (float[1, 3, 8, 8] image) => (float[1, 4] scores)
        <float[4, 3, 3, 3] w, int64[2] target = {1, -1}>
        { c = Conv (image, w) p = GlobalAveragePool (c) scores = Reshape (p, target) }""",
    "grouped reshape": """
        g (float[1, 3, 8, 8] image) => (float[1, 4] scores)
        <float[4, 3, 3, 3] w, int64[5] apart = {1, 2, 2, 6, 6}, int64[4] joined = {1, 4, 6, 6}>
        {
            c = Conv (image, w)
            a = Reshape (c, apart)
            t = Transpose <perm = [0, 2, 1, 3, 4]> (a)
            j = Reshape (t, joined)
            r = Relu (j)
            p = GlobalAveragePool (r)
            scores = Flatten (p)
        }""",
    "rows merged with heads": """
        g (float[1, 3, 8, 8] image) => (float[1, 4] scores)
        <float[4, 3, 3, 3] w, int64[3] heads = {2, 2, 36}, int64[4] back = {1, 4, 6, 6}>
        {
            c = Conv (image, w)
            h = Reshape (c, heads)
            s = Softmax <axis = 1> (h)
            j = Reshape (s, back)
            m = Mul (j, c)
            p = GlobalAveragePool (m)
            scores = Flatten (p)
        }""",
    "resize to sizes": """
        g (float[1, 3, 8, 8] image) => (float[1, 4] scores)
        <float[4, 3, 3, 3] w, int64[4] sizes = {1, 4, 13, 7}, float[4, 4, 3, 3] u>
        {
            c = Conv (image, w)
            z = Resize <mode = "linear"> (c, , , sizes)
            d = Conv (z, u)
            p = GlobalMaxPool (d)
            scores = Flatten (p)
        }""",
    "expand": """
        g (float[1, 3, 8, 8] image) => (float[1, 4] scores)
        <float[4, 3, 3, 3] w, int64[4] shape = {1, 4, 6, 6}>
        {
            c = Conv (image, w)
            p = GlobalAveragePool (c)
            e = Expand (p, shape)
            m = Mul (e, c)
            q = GlobalAveragePool (m)
            scores = Flatten (q)
        }""",
    "shape arithmetic": """
        g (float[1, 3, 8, 8] image) => (float[1, 4] scores)
        <float[4, 3, 3, 3] w, int64[1] zero = {0}, int64[1] rest = {-1}>
        {
            c = Conv (image, w)
            p = GlobalAveragePool (c)
            s = Shape (p)
            b = Gather (s, zero)
            target = Concat <axis = 0> (b, rest)
            scores = Reshape (p, target)
        }""",
    "declared free, baked all the same": """
        g (float[N, 3, 8, 8] image) => (float[N, 4] scores)
        <float[4, 3, 3, 3] w, int64[2] target = {1, -1}>
        { c = Conv (image, w) p = GlobalAveragePool (c) scores = Reshape (p, target) }""",
}


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("kind", BATCH_ONE)
def test_a_freed_batch_answers_like_single_rows(text_model: Parse, kind: str, opset: int) -> None:
    model = text_model(f'<ir_version: 10, opset_import: ["" : {opset}]>' + BATCH_ONE[kind])
    images = pixels()
    found = canonical_logits(canonicalize(ir.from_proto(model), UNIT), images)
    # Kernels may sum in another order for another batch size; the logits reach 17.
    np.testing.assert_allclose(
        found, original_logits(model, images, one=True), rtol=1e-6, atol=2e-5
    )


def test_a_batch_of_four_is_freed_too(text_model: Parse) -> None:
    text = BATCH_ONE["grouped reshape"].replace("float[1,", "float[4,").replace("{1, ", "{4, ")
    model = text_model('<ir_version: 10, opset_import: ["" : 18]>' + text)
    images = pixels(4)
    canonical = canonicalize(ir.from_proto(model), UNIT)
    expected = original_logits(model, images)
    np.testing.assert_allclose(canonical_logits(canonical, images[:3]), expected[:3], rtol=1e-5)


FIXED = {
    "takes the first row": """
        <float[4, 3, 3, 3] w, int64 zero = {0}, int64[2] target = {1, 4}>
        {
            c = Conv (image, w)
            p = GlobalAveragePool (c)
            f = Gather <axis = 0> (p, zero)
            scores = Reshape (f, target)
        }""",
    "mixes rows by transposition": """
        <float[4, 3, 3, 3] w, int64[2] flat = {1, 144}, float[144, 4] v>
        {
            c = Conv (image, w)
            t = Transpose <perm = [1, 0, 2, 3]> (c)
            f = Reshape (t, flat)
            scores = MatMul (f, v)
        }""",
    "normalizes over the batch": """
        <float[4, 3, 3, 3] w, int64[1] axes = {0}>
        {
            c = Conv (image, w)
            p = GlobalAveragePool (c)
            m = ReduceMean (p, axes)
            d = Div (p, m)
            r = Add (d, p)
            scores = Flatten (r)
        }""",
}


@pytest.mark.parametrize("kind", FIXED)
def test_a_batch_that_cannot_be_freed_is_refused(text_model: Parse, kind: str) -> None:
    head = '<ir_version: 10, opset_import: ["" : 18]>'
    signature = "g (float[1, 3, 8, 8] image) => (float[1, 4] scores)"
    model = text_model(head + signature + FIXED[kind])
    with pytest.raises(UnsupportedModelError, match="dynamic batch dimension"):
        canonicalize(ir.from_proto(model), UNIT)


PADDED = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 8, 8] image) => (float[N, 4] scores)
<float[4, 3, 3, 3] w, int64[8] pads = {0, 0, 1, 0, 0, 0, 2, 3}, float zero = {0}>
{
    x = Pad (image, pads, zero)
    c = Conv <pads = [1, 0, 0, 1], strides = [2, 2]> (x, w)
    p = GlobalMaxPool (c)
    scores = Flatten (p)
}
"""


def test_zero_pads_are_folded_into_the_convolution(text_model: Parse) -> None:
    model = text_model(PADDED)
    canonical = canonicalize(ir.from_proto(model), replace(UNIT, mean=(0.5,)))
    assert "Pad" not in {node.op_type for node in canonical.model.graph}
    images = pixels()
    expected = original_logits(model, images - np.float32(0.5))
    np.testing.assert_allclose(canonical_logits(canonical, images), expected, atol=TOLERANCE)


@pytest.mark.parametrize(
    "change",
    [
        ("float zero = {0}", "float zero = {1}"),
        ("Pad (", 'Pad <mode = "reflect"> ('),
        ("{0, 0, 1, 0, 0, 0, 2, 3}", "{0, 0, -1, 0, 0, 0, 2, 3}"),
        ("<pads = [1, 0, 0, 1], ", '<auto_pad = "SAME_UPPER", '),
    ],
)
def test_other_pads_stay(text_model: Parse, change: tuple[str, str]) -> None:
    model = text_model(PADDED.replace(*change))
    canonical = canonicalize(ir.from_proto(model), UNIT)
    assert "Pad" in {node.op_type for node in canonical.model.graph}
    images = pixels()
    found = canonical_logits(canonical, images)
    np.testing.assert_allclose(found, original_logits(model, images), atol=TOLERANCE)


def test_the_cam_tensor_is_the_last_feature_map_not_a_gate(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 8, 8] image) => (float[N, 5] scores)
        <float[4, 3, 3, 3] w, float[4, 4, 1, 1] gw, float[5, 4] v>
        {
            body = Conv (image, w)
            squeezed = GlobalAveragePool (body)
            excited = Conv (squeezed, gw)
            gate = Sigmoid (excited)
            last = Mul (gate, body)
            pooled = GlobalAveragePool (last)
            hidden = Conv (pooled, gw)
            f = Flatten (hidden)
            scores = Gemm <transB = 1> (f, v)
        }""")
    assert canonicalize(ir.from_proto(model), UNIT).cam_tensor == "last"


def test_any_size_becomes_the_wanted_one(text_model: Parse) -> None:
    model = text_model(NCHW.replace("[N, 3, 8, 8]", "[N, 3, H, W]"))
    canonical = canonicalize(ir.from_proto(model), replace(UNIT, height=12, width=10))
    assert (canonical.height, canonical.width) == (12, 10)
    with pytest.raises(InvalidArgumentError, match=r"set preprocessing\.height"):
        canonicalize(ir.from_proto(model), UNIT)


@pytest.mark.parametrize(
    ("signature", "says"),
    [
        ("(float[N, 7, 8, 8] image) => (float[N, 7, 8, 8] y)", r"no image input.*'image' FLOAT"),
        ("(float[N, 30] image) => (float[N, 30] y)", "no image input"),
        ("(float[N, 3, 8, 8] image) => (float[N, 3, 8, 8] y)", r"no class output.*'y' FLOAT"),
    ],
)
def test_models_that_are_no_image_classifiers_are_refused(
    text_model: Parse, signature: str, says: str
) -> None:
    text = f'<ir_version: 10, opset_import: ["" : 18]> g {signature} {{ y = Relu (image) }}'
    with pytest.raises(UnsupportedModelError, match=says):
        canonicalize(ir.from_proto(text_model(text)), UNIT)


def test_a_second_input_is_refused_with_the_list_of_inputs(text_model: Parse) -> None:
    model = text_model(
        NCHW.replace("image)", "image, float[N, 5] prior)").replace("(f, v)", "(f, v, prior)")
    )
    with pytest.raises(UnsupportedModelError, match=r"several inputs.*'prior'"):
        canonicalize(ir.from_proto(model), UNIT)
