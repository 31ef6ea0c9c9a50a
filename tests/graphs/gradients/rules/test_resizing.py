"""Resizings: against autograd where torch has them, else against their own linearity.

A resizing is affine, y = R x + c. Running it on unit images gives R, and so R^T v.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray

from heatproof.graphs.gradients import differentiated

Array = NDArray[Any]
Check = Callable[..., None]

FLOOR = 'mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"'
TOLERANCE = 1e-5
"""Of float32, over sums of some ten terms of order 1."""


@pytest.mark.parametrize(
    ("attributes", "options"),
    [
        ('mode = "linear"', {"mode": "bilinear"}),
        (
            'mode = "linear", coordinate_transformation_mode = "align_corners"',
            {"mode": "bilinear", "align_corners": True},
        ),
        (FLOOR, {"mode": "nearest"}),
        ('mode = "cubic", cubic_coeff_a = -0.75', {"mode": "bicubic"}),
    ],
)
def test_resizes_agree_with_autograd(
    check: Check, attributes: str, options: dict[str, Any]
) -> None:
    check(
        f"s = Constant <value = int64[4] {{2, 3, 10, 7}}> ()  y = Resize <{attributes}> (x, , , s)",
        lambda x: F.interpolate(x, (10, 7), **options),
        (2, 3, 5, 6),
        dynamic=False,
    )
    check(
        "s = Constant <value = float[4] {1.0, 1.0, 2.0, 3.0}> ()"
        f"  y = Resize <{attributes}> (x, , s)",
        lambda x: F.interpolate(x, scale_factor=(2.0, 3.0), **options),
        (2, 3, 5, 4),
    )


SMALLER, LARGER, SAME = "int64[2] {4, 3}", "int64[2] {11, 9}", "int64[2] {7, 5}"
SIZES = {
    "antialias": ('mode = "linear", antialias = 1', SMALLER),
    "antialias cubic": ('mode = "cubic", antialias = 1', SMALLER),
    "not larger": ('mode = "linear", keep_aspect_ratio_policy = "not_larger"', LARGER),
    "not smaller": ('mode = "linear", keep_aspect_ratio_policy = "not_smaller"', SMALLER),
    "crop": ('mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize"', LARGER),
    "crop nearest": (
        'mode = "nearest", coordinate_transformation_mode = "tf_crop_and_resize"',
        SMALLER,
    ),
    "crop of equal size": (
        'mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize"',
        SAME,
    ),
    "crop beside the image": (
        (
            'mode = "linear", coordinate_transformation_mode = "tf_crop_and_resize",'
            " extrapolation_value = 3.0"
        ),
        LARGER,
    ),
    "symmetric": (
        'mode = "linear", coordinate_transformation_mode = "half_pixel_symmetric"',
        LARGER,
    ),
}
REGIONS = {"crop beside the image": "0.25, -0.5, 1.25, 0.75"}


@pytest.mark.parametrize("name", SIZES)
def test_resizes_to_a_size_have_their_transposes_as_gradients(
    rng: np.random.Generator, name: str
) -> None:
    attributes, sizes = SIZES[name]
    region = REGIONS.get(name, "0.1, 0.2, 0.9, 0.7")
    compare_with_unit_images(
        f"s = Constant <value = {sizes}> ()  r = Constant <value = float[4] {{{region}}}> ()"
        f"  y = Resize <axes = [2, 3], {attributes}> (x, r, , s)",
        rng,
        opset=19,
    )


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("scales", ["1.0, 1.0, 1.7, 0.6", "1.0, 1.0, 1.1, 1.1"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resizes_by_scales_have_their_transposes_as_gradients(
    rng: np.random.Generator, opset: int, scales: str, mode: str
) -> None:
    """A scale of 1.1 moves the elements of an axis of 7, although its length stays."""
    compare_with_unit_images(
        "r = Constant <value = float[8] {0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0}> ()"
        f"  s = Constant <value = float[4] {{{scales}}}> ()"
        f'  y = Resize <mode = "{mode}"> (x, r, s)',
        rng,
        opset=opset,
    )


def test_the_coordinates_of_old_exporters_of_tensorflow(rng: np.random.Generator) -> None:
    compare_with_unit_images(
        "r = Constant <value = float[8] {0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0}> ()"
        "  s = Constant <value = float[4] {1.0, 1.0, 2.0, 3.0}> ()"
        '  y = Resize <coordinate_transformation_mode = "tf_half_pixel_for_nn"> (x, r, s)',
        rng,
        opset=11,
    )


def compare_with_unit_images(body: str, rng: np.random.Generator, *, opset: int) -> None:
    head = f'<ir_version: 8, opset_import: ["" : {opset}]>'
    model = ir.from_onnx_text(
        f"{head} g (float[36, 1, 7, 5] x) => (float[a, b, c, d] y) {{ {body} }}"
    )
    units = np.concatenate([np.eye(35), np.zeros((1, 35))]).reshape(36, 1, 7, 5).astype(np.float32)
    (resized,) = session(ir.to_proto(model)).run(None, {"x": units})
    matrix = (resized[:-1] - resized[-1:]).reshape(35, -1)
    proto = ir.to_proto(differentiated(model, of="y", wrt="x"))
    onnx.checker.check_model(proto, full_check=True)
    v = rng.standard_normal(resized.shape).astype(np.float32)
    feeds = {"x": units, "output_gradient": v}
    (found,) = session(proto).run(["input_gradient"], feeds)
    expected = v.reshape(36, -1) @ matrix.T
    np.testing.assert_allclose(found.reshape(36, -1), expected, rtol=0, atol=TOLERANCE)


def session(proto: onnx.ModelProto) -> ort.InferenceSession:
    return ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
