"""Numbers that fit no tensor are refused by node and attribute, before they are computed with."""

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from onnx import numpy_helper

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.inspection.inspecting import inspect
from heatproof.graphs.preparation.geometry import check_attributes, check_sizes
from heatproof.graphs.preparation.preparing import prepared


def network(
    operator: str,
    constants: dict[str, np.ndarray] | None = None,
    inputs: tuple[str, ...] = ("image",),
    opset: int = 18,
    **attributes: object,
) -> onnx.ModelProto:
    """One operator between an image and scores."""
    model = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["" : {opset}]>
        g (float[N, 4, 16, 16] image) => (float scores) {{
            y = Cast <to = 1> (x)
            scores = Add (image, y)
        }}
        """)
    for name, value in (constants or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    node = ir.node(operator, [], attributes, name="bad")
    bad = ir.to_proto(node)
    bad.input.extend(inputs)
    bad.output[:] = ["x"]
    model.graph.node.insert(0, bad)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


W = {"w": np.ones((6, 4, 3, 3), np.float32)}
CONV = ("image", "w")
HUGE = 1 << 40


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


ATTRIBUTES = [
    ("Conv", CONV, {"strides": [0, 0]}, "strides"),
    ("Conv", CONV, {"strides": [-1, -1]}, "strides"),
    ("Conv", CONV, {"strides": [1]}, "strides must hold 2"),
    ("Conv", CONV, {"dilations": [0, 1]}, "dilations"),
    ("Conv", CONV, {"kernel_shape": [0, 0]}, "kernel_shape"),
    ("Conv", CONV, {"pads": [HUGE, 0, 0, 0]}, "pads"),
    ("Conv", CONV, {"pads": [-9, -9, -9, -9]}, "pads"),
    ("Conv", CONV, {"pads": [1, 1]}, "pads must hold 4"),
    ("Conv", CONV, {"group": 0}, "group"),
    ("Conv", CONV, {"group": -1}, "group"),
    ("Conv", CONV, {"group": 4}, "group 4 does not divide 6"),
    ("Conv", CONV, {"group": HUGE}, "group"),
    ("ConvTranspose", CONV, {"strides": [0, 0]}, "strides"),
    ("MaxPool", ("image",), {"kernel_shape": [0, 0]}, "kernel_shape"),
    ("MaxPool", ("image",), {"kernel_shape": [2, 2], "strides": [0, 0]}, "strides"),
    ("AveragePool", ("image",), {"kernel_shape": [-2, -2]}, "kernel_shape"),
    ("MaxPool", ("image",), {"kernel_shape": [HUGE, 2]}, "kernel_shape"),
    ("LpPool", ("image",), {"kernel_shape": [2, 2], "p": 0}, "p must"),
    ("LRN", ("image",), {"size": 0}, "size"),
    ("DepthToSpace", ("image",), {"blocksize": 0}, "blocksize"),
    ("SpaceToDepth", ("image",), {"blocksize": -1}, "blocksize"),
    ("Split", ("image",), {"num_outputs": 0}, "num_outputs"),
    ("Transpose", ("image",), {"perm": [0, 0, 1, 9]}, "perm"),
    ("Softmax", ("image",), {"axis": 4}, "axis 4"),
    ("Softmax", ("image",), {"axis": -5}, "axis -5"),
]


@pytest.mark.parametrize(("operator", "inputs", "attributes", "words"), ATTRIBUTES)
def test_attributes_that_fit_no_tensor_are_named(
    operator: str, inputs: tuple[str, ...], attributes: dict[str, object], words: str
) -> None:
    refused(network(operator, W, inputs, **attributes), operator, words)


CONSTANTS = [
    ("Resize", ("image", "", "", "k"), ints(1, 4, -4, -4), "sizes of at least 1"),
    ("Resize", ("image", "", "k"), np.zeros(4, np.float32), "finite scales"),
    ("Resize", ("image", "", "k"), np.full(4, np.nan, np.float32), "finite scales"),
    ("Resize", ("image", "", "k"), np.full(4, np.inf, np.float32), "finite scales"),
    ("Reshape", ("image", "k"), ints(1, -7, 4, 4), "sizes"),
    ("Reshape", ("image", "k"), ints(-1, -1, 16, 16), "sizes"),
    ("Expand", ("image", "k"), ints(1, 4, -16, 16), "sizes of at least 1"),
    ("Tile", ("image", "k"), ints(1, 1, -1, 1), "repeats"),
    ("Slice", ("image", "a", "b", "c", "k"), ints(0), "steps other than 0"),
    ("ConstantOfShape", ("k",), ints(-3), "sizes of at least 0"),
    ("Pad", ("image", "k"), ints(0, 0, -30, -30, 0, 0, 0, 0), "would have sizes"),
]


@pytest.mark.parametrize(("operator", "inputs", "constant", "words"), CONSTANTS)
def test_constants_that_fit_no_tensor_are_named(
    operator: str, inputs: tuple[str, ...], constant: np.ndarray, words: str
) -> None:
    others = {"a": ints(0), "b": ints(9), "c": ints(2)}
    constants = {name: value for name, value in others.items() if name in inputs}
    refused(network(operator, {**constants, "k": constant}, inputs), operator, words)


def refused(model: onnx.ModelProto, operator: str, words: str) -> None:
    with pytest.raises(InvalidModelError) as caught:
        inspect(ir.from_proto(model))
    assert f"({operator}): " in caught.value.message
    assert words in caught.value.message
    assert caught.value.metadata["node"] == "bad"
    assert caught.value.metadata["operator"] == operator


def test_what_is_at_its_bounds_is_let_through() -> None:
    model = ir.from_proto(
        onnx.parser.parse_model(
            """
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 4, 16, 16] image) => (float[N, 6, 1] scores)
        <float[6, 2, 3, 3] w = {108}, int64[3] shape = {0, 6, 1},
         int64[8] cut = {0, 0, -3, -3, 0, 0, -3, -3}>
        {
            a = Conv <group = 2, strides = [1, 1], dilations = [2, 2]> (image, w)
            b = Pad (a, cut)
            c = MaxPool <kernel_shape = [1, 1], strides = [5, 5]> (b)
            d = Softmax <axis = -4> (c)
            e = GlobalAveragePool (d)
            scores = Reshape (e, shape)
        }
        """.replace("{108}", "{" + ", ".join(["0.5"] * 108) + "}")
        )
    )
    check_attributes(model)
    check_sizes(prepared(model))
