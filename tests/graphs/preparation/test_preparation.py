import resource
from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest

from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.preparation import prepared

Parse = Callable[[str], onnx.ModelProto]

MODELS = {
    "function": """
        <ir_version: 10, opset_import: ["" : 18, "local" : 1]>
        g (float[N, 3] x) => (float[N, 3] y) { y = local.twice (x) }
        <domain: "local", opset_import: ["" : 18]> twice (a) => (b) { b = Add (a, a) }""",
    "constant weights behind a cast": """
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3] x) => (float[N, 2] y)
        { k = Constant <value = float16[3, 2] {1, 2, 3, 4, 5, 6}> () w = Cast <to = 1> (k)
          y = MatMul (x, w) }""",
    "identities": """
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3] x) => (float[N, 3] y)
        { a = Identity (x) b = Relu (a) c = Identity (b)
          d = Cast <to = 1> (c) y = Identity (d) }""",
    "dropout of opset 18": """
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3] x) => (float[N, 3] y)
        { a = Relu (x) b = Dropout (a) y = Neg (b) }""",
    "dropout of opset 10": """
        <ir_version: 7, opset_import: ["" : 10]>
        g (float[N, 3] x) => (float[N, 3] y)
        { a = Relu (x) b, m = Dropout <ratio = 0.5> (a) y = Neg (b) }""",
    "dropout as the output": """
        <ir_version: 7, opset_import: ["" : 10]>
        g (float[N, 3] x) => (float[N, 3] y) { a = Relu (x) y = Dropout (a) }""",
    "unused nodes": """
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3] x) => (float[N, 3] y) <float[1] s = {2}>
        { a = Mul (x, s) b = Exp (a) y = Relu (x) }""",
    "view by the batch size": """
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3, 2] x) => (float[N, 6] y) <int64[1] zero = {0}, int64[1] rest = {-1}>
        { s = Shape (x) b = Gather (s, zero) t = Concat <axis = 0> (b, rest)
          y = Reshape (x, t) }""",
}
LEFT = {
    "function": ["Add"],
    "constant weights behind a cast": ["MatMul"],
    "identities": ["Relu"],
    "dropout of opset 18": ["Relu", "Neg"],
    "dropout of opset 10": ["Relu", "Neg"],
    "dropout as the output": ["Relu"],
    "unused nodes": ["Relu"],
    "view by the batch size": ["Reshape"],
}


@pytest.mark.parametrize("kind", MODELS)
def test_what_surrounds_the_network_is_gone_and_the_answer_is_the_same(
    text_model: Parse, kind: str
) -> None:
    model = text_model(MODELS[kind])
    plain = prepared(ir.from_proto(model))
    assert [node.op_type for node in plain.graph] == LEFT[kind]
    onnx.checker.check_model(to_bytes(plain), full_check=True)
    shape = [4, *(dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:])]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found, expected = (
        ort.InferenceSession(data, providers=["CPUExecutionProvider"]).run(["y"], {"x": x})[0]
        for data in (to_bytes(plain), model.SerializeToString())
    )
    np.testing.assert_array_equal(found, expected)


def test_inputs_and_outputs_keep_their_names_and_initializers_are_no_inputs(
    text_model: Parse,
) -> None:
    model = text_model("""
        <ir_version: 3, opset_import: ["" : 9]>
        g (float[N, 3] x, float[3] w) => (float[N, 3] y) <float[3] w = {1, 2, 3}>
        { y = Mul (x, w) }""")
    plain = prepared(ir.from_proto(model))
    assert [value.name for value in plain.graph.inputs] == ["x"]
    assert [value.name for value in plain.graph.outputs] == ["y"]


def test_nodes_get_unique_names(text_model: Parse) -> None:
    model = text_model("""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3] x) => (float[N, 3] y) { a = Relu (x) b = Exp (a) y = Neg (b) }""")
    for node in model.graph.node:
        node.name = "same"
    names = [node.name for node in prepared(ir.from_proto(model)).graph]
    assert len(set(names)) == 3


def test_declared_shapes_that_are_wrong_do_not_survive(text_model: Parse) -> None:
    model = text_model(
        '<ir_version: 10, opset_import: ["" : 18]> '
        "g (float[N, 3] x) => (float[N, 3] y) { a = Relu (x) y = Neg (a) }"
    )
    model.graph.value_info.append(onnx.ValueInfoProto(name="a"))
    tensor = model.graph.value_info[0].type.tensor_type
    tensor.elem_type = onnx.TensorProto.FLOAT
    tensor.shape.dim.add(dim_value=77)
    shapes = {v.name: v.shape for n in prepared(ir.from_proto(model)).graph for v in n.outputs}
    assert str(shapes["a"]) == "[N,3]"


@pytest.mark.parametrize(
    "body",
    [
        "big = ConstantOfShape (huge) z = Shape (big) c = Cast <to = 1> (z) y = Add (x, c)",
        "big = Expand (one, huge) z = Shape (big) c = Cast <to = 1> (z) y = Add (x, c)",
        "big = Tile (ones, huge) z = Shape (big) c = Cast <to = 1> (z) y = Add (x, c)",
        "big = Range (start, end, step) z = Cast <to = 1> (big) c = ReduceMax (z) y = Add (x, c)",
    ],
)
def test_constants_that_would_explode_are_not_computed(text_model: Parse, body: str) -> None:
    model = text_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 3] x) => (float[N, 3] y)
        <int64[3] huge = {{100000, 100000, 100000}}, float one = {{1}}, float[1, 1, 1] unit = {{1}},
         int64 start = {{0}}, int64 end = {{1000000000000}}, int64 step = {{1}}>
        {{ ones = Identity (unit) {body} }}""")
    plain = prepared(ir.from_proto(model))
    weights = [value.const_value for value in plain.graph.initializers.values()]
    assert sum(tensor.nbytes for tensor in weights if tensor is not None) < 1000


@pytest.mark.parametrize("first", ["float[4096] c0", "int64[2] c0 = {1, 2}"])
def test_vectors_that_double_and_double_do_not_fill_the_memory(
    text_model: Parse, first: str
) -> None:
    doubling = " ".join(f"c{i + 1} = Concat <axis = 0> (c{i}, c{i})" for i in range(40))
    model = text_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        g (float[N] x) => (float[M] y) <{first}>
        {{ {doubling} z = Cast <to = 1> (c40) m = ReduceMax (z) y = Add (x, m) }}""")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepared(ir.from_proto(model))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_open_sizes_of_outputs_keep_the_names_that_the_model_gave_them() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 8, opset_import: ["" : 18]>
        g (float[N, 3, 4, 4] x) => (float[N, 48] y)
        <int64[2] target = {-1, 48}> { y = Reshape(x, target) }"""
    )

    (output,) = prepared(model).graph.outputs

    assert output.shape is not None
    assert str(output.shape[0]) == "N"
    assert output.shape[1] == 48


def test_group_normalization_keeps_the_shape_where_the_batch_is_open() -> None:
    model = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[n, 4, 6, 5] x, float[4] s, float[4] b) => (y)
        { t = GroupNormalization <num_groups = 2> (x, s, b) y = Relu (t) }"""
    )
    nodes = list(prepared(model).graph)
    assert [node.op_type for node in nodes] == ["GroupNormalization", "Relu"]
    assert [str(node.outputs[0].shape) for node in nodes] == ["[n,4,6,5]"] * 2
