"""Small networks in the forms that other exporters and tools write."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import AttributeProto, ModelProto, TensorProto, ValueInfoProto, numpy_helper

from tests.graphs.conftest import parse

STORED = {path.stem: path for path in sorted((Path(__file__).parent / "foreign").glob("*.onnx"))}
"""Files as exporters wrote them."""

FORMS: dict[str, Callable[[], ModelProto]] = {}

TAIL = """
    r = Relu (c)  p = GlobalAveragePool (r)  f = Flatten (p)
    scores = Gemm <transB = 1> (f, v, b)
"""


def form(build: Callable[[], ModelProto]) -> Callable[[], ModelProto]:
    FORMS[build.__name__] = build
    return build


def network(
    nodes: str = f"c = Conv <pads = [1, 1, 1, 1]> (image, w) {TAIL}",
    *,
    inputs: str = "float[N, 3, 8, 8] image",
    outputs: str = "float[N, 5] scores",
    weights: str = "float[4, 3, 3, 3] w, float[5, 4] v, float[5] b",
    opset: int = 17,
    imports: str = "",
    version: int = 9,
) -> ModelProto:
    return parse(f"""
        <ir_version: {version}, opset_import: ["" : {opset}{imports}]>
        g ({inputs}) => ({outputs}) <{weights}> {{ {nodes} }}""")


def tensor_info(name: str, shape: Iterable[int]) -> ValueInfoProto:
    info = ValueInfoProto(name=name)
    info.type.tensor_type.elem_type = TensorProto.FLOAT
    for size in shape:
        info.type.tensor_type.shape.dim.add(dim_value=size)
    return info


@form
def plain() -> ModelProto:
    return network()


@form
def nodes_of_one_name() -> ModelProto:
    """ONNX Runtime takes nodes without names, and several that an optimiser merged badly."""
    model = network()
    for node in model.graph.node:
        node.name = ""
    return model


@form
def domains_spelt_out() -> ModelProto:
    """Nodes of `ai.onnx` by its long name, imported twice."""
    model = network()
    model.opset_import.add(domain="ai.onnx", version=17)
    model.graph.node[1].domain = "ai.onnx"
    return model


@form
def operators_not_imported() -> ModelProto:
    """Optimisers add fused operators and forget the import of their domain."""
    return network(f"k = Conv <pads = [1, 1, 1, 1]> (image, w) c = com.microsoft.Gelu (k) {TAIL}")


@form
def weights_as_inputs() -> ModelProto:
    """Caffe2's zoo: before IR version 4 every initializer had to be an input as well."""
    model = network(version=3, opset=9)
    for tensor in model.graph.initializer:
        model.graph.input.append(tensor_info(tensor.name, tensor.dims))
    return model


@form
def inputs_that_nobody_reads() -> ModelProto:
    """keras2onnx leaves the learning phase behind, others a second image."""
    return network(inputs="float[N, 3, 8, 8] image, bool phase, float[N, 3, 8, 8] other")


@form
def batch_of_zero() -> ModelProto:
    """MXNet wrote 0 for a size that it left open."""
    model = network()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 0
    return model


@form
def every_size_open() -> ModelProto:
    """paddle2onnx with all sizes -1, and identities all over the place."""
    model = network(f"i = Identity (image) c = Conv <pads = [1, 1, 1, 1]> (i, w) {TAIL}")
    for value in (*model.graph.input, *model.graph.output):
        for size in value.type.tensor_type.shape.dim:
            if not size.HasField("dim_value") or size.dim_value == 8:
                size.dim_value = -1
    return model


@form
def channels_last() -> ModelProto:
    """tf2onnx: the image is transposed first, the shape of a reshape computed from the batch."""
    return network(
        """t = Transpose <perm = [0, 3, 1, 2]> (image) c = Conv <pads = [1, 1, 1, 1]> (t, w)
           r = Relu (c) p = GlobalAveragePool (r) s = Shape (p)
           n = Slice (s, zero, one, zero) k = Concat <axis = 0> (n, four) f = Reshape (p, k)
           scores = Gemm <transB = 1> (f, v, b)""",
        inputs="float[N, 8, 8, 3] image",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, int64[1] zero = {0}, "
        "int64[1] one = {1}, int64[1] four = {4}",
    )


@form
def nodes_out_of_order() -> ModelProto:
    model = network()
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _branches(then: str, other: str) -> ModelProto:
    return network(
        f"""k = Conv <pads = [1, 1, 1, 1]> (image, w) t = Identity (yes)
            c0, c1 = If (t) <then_branch = then () => {then}, else_branch = other () => {other}>
            c = Add (c0, c1) {TAIL}""",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, bool yes = {1}",
    )


@form
def branches_out_of_order() -> ModelProto:
    """Nodes in the wrong order inside a branch; values from outside returned, also twice."""
    return _branches(
        "(float[N, 4, 8, 8] y, float[N, 4, 8, 8] k) { y = Relu (z) z = Neg (k) }",
        "(float[N, 4, 8, 8] k, float[N, 4, 8, 8] k) { z1 = Neg (k) }",
    )


def branches_in_order() -> ModelProto:
    return _branches(
        "(float[N, 4, 8, 8] y, float[N, 4, 8, 8] i) { z = Neg (k) y = Relu (z) i = Identity (k) }",
        "(float[N, 4, 8, 8] i1, float[N, 4, 8, 8] i2) { i1 = Identity (k) i2 = Identity (k) }",
    )


@form
def shapes_that_lie() -> ModelProto:
    """Value infos of another batch or size, of values long gone, and without a type."""
    model = network()
    lies = [("r", [7, 9, 1, 1]), ("p", [1, 4, 9, 9]), ("gone", [3])]
    for name, shape in lies:
        model.graph.value_info.append(tensor_info(name, shape))
    model.graph.value_info.add(name="f")
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 3
    return model


@form
def output_without_a_type() -> ModelProto:
    model = network()
    model.graph.output[0].ClearField("type")
    return model


@form
def one_value_under_two_names() -> ModelProto:
    return network(
        f"c = Conv <pads = [1, 1, 1, 1]> (image, w) {TAIL} copy = Identity (scores)",
        outputs="float[N, 5] scores, float[N, 5] copy",
    )


@form
def two_names_for_an_inner_value() -> ModelProto:
    return network(
        """c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) p = GlobalAveragePool (r)
           f = Flatten (p) s = Gemm <transB = 1> (f, v, b)
           scores = Identity (s) copy = Identity (s)""",
        outputs="float[N, 5] scores, float[N, 5] copy",
    )


@form
def map_under_two_names() -> ModelProto:
    """A feature map is returned twice, and the image itself."""
    return network(
        f"""c = Conv <pads = [1, 1, 1, 1]> (image, w) {TAIL}
            map = Identity (r) seen = Identity (image)""",
        outputs="float[N, 5] scores, float[N, 4, 8, 8] r, float[N, 4, 8, 8] map, "
        "float[N, 3, 8, 8] seen",
    )


@form
def table_beside_the_scores() -> ModelProto:
    """Outputs that nobody computes: a constant, and the image itself."""
    return network(
        outputs="float[N, 5] scores, float[N, 3, 8, 8] image, float[7, 5] table",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, float[7, 5] table",
    )


@form
def one_output_twice() -> ModelProto:
    model = network()
    model.graph.output.append(model.graph.output[0])
    return model


@form
def one_output_three_times() -> ModelProto:
    model = network()
    for _ in range(2):
        model.graph.output.append(model.graph.output[0])
    return model


HEADLESS = "c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) p = GlobalAveragePool (r)"


@form
def classes_as_channels() -> ModelProto:
    """[N, C, 1, 1], as fully convolutional classifiers end."""
    return network(
        f"{HEADLESS} scores = Conv (p, u)",
        outputs="float[N, 5, 1, 1] scores",
        weights="float[4, 3, 3, 3] w, float[5, 4, 1, 1] u",
    )


@form
def classes_behind_the_image() -> ModelProto:
    """[N, 1, 1, C], as the same ends in TensorFlow."""
    return network(
        f"{HEADLESS} t = Transpose <perm = [0, 2, 3, 1]> (p) scores = MatMul (t, u)",
        outputs="float[N, 1, 1, 5] scores",
        weights="float[4, 3, 3, 3] w, float[4, 5] u",
    )


@form
def softmax_behind_the_image() -> ModelProto:
    return network(
        f"{HEADLESS} t = Transpose <perm = [0, 2, 3, 1]> (p) z = MatMul (t, u) "
        "scores = Softmax (z)",
        outputs="float[N, 1, 1, 5] scores",
        weights="float[4, 3, 3, 3] w, float[4, 5] u",
    )


@form
def weights_in_bfloat16() -> ModelProto:
    """Half the bytes, computed in float32."""
    names = ("w", "v", "b")
    casts = " ".join(f"{name}_wide = Cast <to = 1> ({name})" for name in names)
    nodes = f"{casts} c = Conv <pads = [1, 1, 1, 1]> (image, w_wide) {TAIL}"
    model = network(nodes.replace("(f, v, b)", "(f, v_wide, b_wide)"))
    for tensor in model.graph.initializer:
        narrow = numpy_helper.to_array(tensor).astype(ir.DataType.BFLOAT16.numpy())
        tensor.CopyFrom(numpy_helper.from_array(narrow, tensor.name))
    return model


@form
def scaler_of_core_ml() -> ModelProto:
    """An operator that ONNX Runtime knows up to opset 9, and ONNX never did."""
    return network(
        "s = ImageScaler <scale = 2.0, bias = [-0.5, 0.25, 0.1]> (image) "
        f"c = Conv <pads = [1, 1, 1, 1]> (s, w) {TAIL}",
        opset=9,
        version=4,
    )


@form
def sizes_below_zero_inside() -> ModelProto:
    model = network()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = -1
    model.graph.value_info.append(tensor_info("r", (-1, 4, -1, 8)))
    return model


@form
def scalar_output() -> ModelProto:
    """A temperature beside the scores, and the mean of the scores without axes."""
    return network(
        f"""c = Conv <pads = [1, 1, 1, 1]> (image, w) {TAIL}
            temperature = Identity (warm) first = ArgMax <axis = 1, keepdims = 0> (scores)""",
        outputs="float[N, 5] scores, float temperature, int64[N] first",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, float warm = {2.0}",
    )


@form
def operands_left_out() -> ModelProto:
    """Optional operands by empty names, in the middle and at the end."""
    return network(
        f"""k = Conv <pads = [1, 1, 1, 1]> (image, w, "") e = Clip (k, "", six)
            c = Resize <mode = "linear"> (e, "", scales, "") {TAIL}""",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, float six = {6.0}, "
        "float[4] scales = {1, 1, 2, 2}",
    )


@form
def things_unused() -> ModelProto:
    model = network()
    model.graph.initializer.append(numpy_helper.from_array(np.ones(2000, np.float32), "unused"))
    unused = model.functions.add(domain="f", name="Unused", input=["x"], output=["y"])
    unused.opset_import.add(domain="", version=17)
    unused.node.add(op_type="Relu", input=["x"], output=["y"])
    return model


@form
def doubles() -> ModelProto:
    """Keras and scikit-learn compute dense layers in float64."""
    model = network(
        """c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) p = GlobalAveragePool (r)
           f = Flatten (p) d = Cast <to = 11> (f) k = MatMul (d, v64)
           scores = Cast <to = 1> (k)""",
        weights="float[4, 3, 3, 3] w",
    )
    weights = np.random.default_rng(0).standard_normal((4, 5))
    model.graph.initializer.append(numpy_helper.from_array(weights, "v64"))
    return model


@form
def unnamed_constants() -> ModelProto:
    """The legacy exporter: large weights in Constant nodes, whose tensors have no name."""
    model = network(f"c = Conv <pads = [1, 1, 1, 1]> (image, w) {TAIL}", weights="float[5] b")
    shapes = {"w": (400, 3, 3, 3), "v": (5, 400)}
    for name, shape in shapes.items():
        weights = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        value = numpy_helper.from_array(weights)
        node = model.graph.node.add(op_type="Constant", output=[name])
        node.attribute.add(name="value", type=AttributeProto.TENSOR, t=value)
    model.graph.node.sort(key=lambda node: node.op_type != "Constant")
    return model


@form
def labels_and_maps() -> ModelProto:
    """skl2onnx behind a network: the label by its name, and a map of probabilities."""
    model = network(
        """c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) p = GlobalAveragePool (r)
           f = Flatten (p) s = Gemm <transB = 1> (f, v, b) scores = Softmax <axis = 1> (s)
           best = ArgMax <axis = 1, keepdims = 0> (scores)
           label = ai.onnx.ml.ArrayFeatureExtractor (names, best)
           map = ai.onnx.ml.ZipMap (scores)""",
        outputs="int64[A, B] label",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, "
        "int64[5] names = {10, 20, 30, 40, 50}",
        imports=', "ai.onnx.ml" : 2',
    )
    node = model.graph.node[-1]
    labels = [10, 20, 30, 40, 50]
    node.attribute.add(name="classlabels_int64s", type=AttributeProto.INTS, ints=labels)
    pairs = model.graph.output.add(name="map").type.sequence_type.elem_type.map_type
    pairs.key_type = TensorProto.INT64
    pairs.value_type.tensor_type.elem_type = TensorProto.FLOAT
    pairs.value_type.tensor_type.shape.SetInParent()
    return model


@form
def bytes_prepared_inside() -> ModelProto:
    """uint8, channels last; scaled inside the graph, as deployment tools write it."""
    return network(
        f"""x = Cast <to = 1> (image) t = Transpose <perm = [0, 3, 1, 2]> (x) u = Div (t, full)
            c = Conv <pads = [1, 1, 1, 1]> (u, w) {TAIL}""",
        inputs="uint8[N, 8, 8, 3] image",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, float full = {255.0}",
    )


@form
def integers_by_operator() -> ModelProto:
    """quantize_static in its old form: QLinearConv between two scales."""
    return network(
        f"""q = QuantizeLinear (image, s, z) k = QLinearConv <pads = [1, 1, 1, 1]>
            (q, s, z, w8, s, z8, s, z) c = DequantizeLinear (k, s, z) {TAIL}""",
        weights="float[5, 4] v, float[5] b, float s = {0.02}, uint8 z = {128}, int8 z8 = {0}, "
        f"int8[4, 3, 3, 3] w8 = {{{', '.join(str(n % 50 - 25) for n in range(108))}}}",
    )


@form
def integers_by_the_image() -> ModelProto:
    """quantize_dynamic: the scale is taken from each batch."""
    return network(
        f"""q, s, z = DynamicQuantizeLinear (image) k = ConvInteger <pads = [1, 1, 1, 1]> (q, w8, z)
            e = Cast <to = 1> (k) c = Mul (e, s) {TAIL}""",
        weights="float[5, 4] v, float[5] b, "
        f"uint8[4, 3, 3, 3] w8 = {{{', '.join(str(n % 50) for n in range(108))}}}",
    )


@form
def dropouts_and_scales() -> ModelProto:
    """Lightning and MXNet: inference dropouts that return their mask, and a scale of one."""
    return network(
        """c = Conv <pads = [1, 1, 1, 1]> (image, w) d, m = Dropout (c, half) r = Relu (d)
           p = GlobalAveragePool (r) f = Flatten (p) s = Gemm <transB = 1> (f, v, b)
           scores = Mul (s, one)""",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, float half = {0.5}, "
        "float one = {1.0}",
    )


@form
def probabilities_of_ultralytics() -> ModelProto:
    """Concat of one feature map, pool, dense layer and Softmax."""
    return network(
        """c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (image, w) g = Sigmoid (c)
           r = Mul (c, g) k = Concat <axis = 1> (r) p = GlobalAveragePool (k) f = Flatten (p)
           s = Gemm <transB = 1> (f, v, b) scores = Softmax <axis = 1> (s)""",
    )


@form
def fixed_batch() -> ModelProto:
    """Core ML: one image, and reshapes to constant sizes."""
    return network(
        """c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) p = GlobalAveragePool (r)
           f = Reshape (p, k) scores = Gemm <transB = 1> (f, v, b)""",
        inputs="float[1, 3, 8, 8] image",
        outputs="float[1, 5] scores",
        weights="float[4, 3, 3, 3] w, float[5, 4] v, float[5] b, int64[2] k = {1, 4}",
    )


ORACLES = {"batch_of_zero": plain, "branches_out_of_order": branches_in_order}
"""What the forms mean that ONNX Runtime itself cannot run; the weights are equal."""


def stored(name: str) -> ModelProto:
    return onnx.load(STORED[name])
