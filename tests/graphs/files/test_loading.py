from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidModelError,
    LimitExceededError,
    UnsupportedOperatorError,
)
from heatproof.graphs.files.limits import Limits
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.files.saving import save_model
from heatproof.graphs.preparation import prepared

Store = Callable[[onnx.ModelProto | bytes], Path]


def with_external(model: onnx.ModelProto, name: str, **entries: str) -> onnx.ModelProto:
    """The model with one initializer moved to external data described by `entries`."""
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return model


def weights_of(model: onnx.ModelProto, name: str) -> np.ndarray:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    return onnx.numpy_helper.to_array(tensor)


def test_a_sound_model_loads(tiny: onnx.ModelProto, store: Store) -> None:
    model = load_model(store(tiny))
    assert [node.op_type for node in model.graph] == [node.op_type for node in tiny.graph.node]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"this is not a model at all", "no ONNX protobuf"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "no ONNX"),
    ],
)
def test_bytes_that_are_no_model_are_refused(store: Store, data: bytes, says: str) -> None:
    with pytest.raises(InvalidModelError, match=says):
        load_model(store(data))


def test_a_truncated_model_is_refused(tiny: onnx.ModelProto, store: Store) -> None:
    with pytest.raises(InvalidModelError, match="cut off"):
        load_model(store(tiny.SerializeToString()[:-20]))


def test_a_graph_without_nodes_is_refused(tiny: onnx.ModelProto, store: Store) -> None:
    del tiny.graph.node[:]
    with pytest.raises(InvalidModelError, match="no ONNX graph with nodes"):
        load_model(store(tiny))


def test_the_checker_has_its_say(tiny: onnx.ModelProto, store: Store) -> None:
    tiny.graph.node[1].input[0] = "nowhere"
    with pytest.raises(InvalidModelError, match="topologically"):
        load_model(store(tiny))


@pytest.mark.parametrize("version", [6, onnx.defs.onnx_opset_version() + 1])
def test_opsets_outside_the_range_are_refused(
    tiny: onnx.ModelProto, store: Store, version: int
) -> None:
    tiny.opset_import[0].version = version
    with pytest.raises(InvalidModelError, match=f"opset {version}; supported are 7 to"):
        load_model(store(tiny))


def test_an_unknown_domain_is_refused_with_node_and_domain(
    tiny: onnx.ModelProto, store: Store
) -> None:
    tiny.graph.node[1].domain = "acme"
    tiny.graph.node[1].name = "strange"
    tiny.opset_import.add(domain="acme", version=1)
    with pytest.raises(UnsupportedOperatorError, match=r"'strange'.*acme\.Relu"):
        load_model(store(tiny))


def test_an_operator_newer_than_its_opset_is_refused(tiny: onnx.ModelProto, store: Store) -> None:
    tiny.graph.node[1].op_type = "Gelu"  # from opset 20
    with pytest.raises(UnsupportedOperatorError, match=r"ai\.onnx\.Gelu \(opset 18\)"):
        load_model(store(tiny))


def test_operators_that_open_files_are_refused(tiny: onnx.ModelProto, store: Store) -> None:
    tiny.graph.node[1].domain = "com.microsoft"
    tiny.graph.node[1].op_type = "EPContext"
    tiny.opset_import.add(domain="com.microsoft", version=1)
    with pytest.raises(UnsupportedOperatorError, match="EPContext"):
        load_model(store(tiny))


FUNCTIONS = """
<ir_version: 10, opset_import: ["" : 18, "local" : 1]>
g (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) { y = local.f0 (x) }
"""


def function_tower(height: int) -> onnx.ModelProto:
    """Functions that each call the next one twice: 2 ** height nodes when inlined."""
    text = FUNCTIONS
    for level in range(height):
        inner = f"local.f{level + 1}" if level + 1 < height else "Relu"
        text += (
            f'<domain: "local", opset_import: ["" : 18, "local" : 1]> f{level} (a) => (c) '
            f"{{ b = {inner} (a)  c = {inner} (b) }}\n"
        )
    return onnx.parser.parse_model(text)


def test_local_functions_load_and_are_inlined(store: Store) -> None:
    assert len(prepared(load_model(store(function_tower(3)))).graph) == 8


def test_functions_that_explode_are_refused(store: Store) -> None:
    with pytest.raises(LimitExceededError, match="nodes once its functions are inlined"):
        load_model(store(function_tower(30)))


def test_functions_that_call_themselves_are_refused(store: Store) -> None:
    model = function_tower(2)
    model.functions[1].node[0].op_type, model.functions[1].node[0].domain = "f0", "local"
    with pytest.raises(InvalidModelError, match="calls itself"):
        load_model(store(model))


def test_deep_nesting_is_refused(store: Store) -> None:
    model = onnx.ModelProto(ir_version=10)
    model.opset_import.add(version=18)
    model.graph.output.add(name="y")
    graph = model.graph
    for _ in range(10):
        node = graph.node.add(op_type="If", input=["flag"], output=["y"])
        attribute = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH)
        graph = attribute.g
    with pytest.raises(LimitExceededError, match="nested more than 8 deep"):
        load_model(store(model))


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (replace(Limits(), max_bytes=100), "at most 100"),
        (replace(Limits(), max_nodes=4), "5 nodes"),
        (replace(Limits(), max_operands=12), "13 inputs and outputs of nodes"),
        (replace(Limits(), max_entries=50), "more than 50 entries beside its weights"),
        (replace(Limits(), max_tensor_bytes=431), r"'w' has 432 bytes"),
    ],
)
def test_limits_are_named(tiny: onnx.ModelProto, store: Store, limits: Limits, says: str) -> None:
    with pytest.raises(LimitExceededError, match=says):
        load_model(store(tiny), limits=limits)


def test_deep_graphs_in_defaults_of_functions_are_refused(store: Store) -> None:
    model = function_tower(1)
    attribute = model.functions[0].attribute_proto.add(name="g", type=onnx.AttributeProto.GRAPH)
    for _ in range(10):
        node = attribute.g.node.add(op_type="If")
        attribute = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH)
    attribute.g.SetInParent()
    with pytest.raises(LimitExceededError, match=r"deep at functions\[0\]\.attribute_proto"):
        load_model(store(model))


def test_deep_types_are_refused(tiny: onnx.ModelProto, store: Store) -> None:
    kind = tiny.graph.value_info.add(name="v").type
    for _ in range(10):
        kind = kind.sequence_type.elem_type
    kind.tensor_type.elem_type = onnx.TensorProto.FLOAT
    with pytest.raises(LimitExceededError, match="types are nested more than 8 deep"):
        load_model(store(tiny))


def calling(calls: int, weights: int) -> onnx.ModelProto:
    """A function with a constant of `weights` bytes that is called again and again."""
    text = FUNCTIONS.replace("y = local.f0 (x)", "")
    text += '<domain: "local", opset_import: ["" : 18]> f0 (a) => (b) { b = Add (a, k) }'
    model = onnx.parser.parse_model(text)
    names = ["x", *(f"t{call}" for call in range(calls - 1)), "y"]
    for a, b in pairwise(names):
        model.graph.node.add(op_type="f0", input=[a], output=[b], domain="local")
    constant = onnx.NodeProto(op_type="Constant", output=["k"])
    attribute = constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR)
    attribute.t.CopyFrom(onnx.numpy_helper.from_array(np.zeros(weights, np.uint8)))
    model.functions[0].node.insert(0, constant)
    return model


def test_constants_of_functions_are_counted_at_every_call(store: Store) -> None:
    limits = replace(Limits(), max_copied_bytes=10_000)
    load_model(store(calling(1, 50_000)), limits=limits)
    with pytest.raises(LimitExceededError, match=r"1\d{4} bytes more than its file once"):
        load_model(store(calling(3, 5_000)), limits=limits)


def test_operands_of_functions_are_counted_at_every_call(store: Store) -> None:
    model = calling(3, 10)
    model.functions[0].node[1].op_type = "Sum"
    model.functions[0].node[1].input.extend(["a"] * 1000)
    with pytest.raises(LimitExceededError, match="has 3018 inputs and outputs of nodes once"):
        load_model(store(model), limits=replace(Limits(), max_operands=3000))


@pytest.mark.parametrize(
    "node",
    [
        "Conv <strides = [0, 1]> (image, w)",
        "Conv <dilations = [1, -1]> (image, w)",
        "Conv <group = 0> (image, w)",
        "DepthToSpace <blocksize = 0> (image)",
        "MaxPool <kernel_shape = [0, 3]> (image)",
    ],
)
def test_steps_that_are_not_positive_are_refused_by_name(store: Store, node: str) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> g (float[N, 4, 8, 8] image) => (float[N, 5] y) '
        f"<float[4, 4, 1, 1] w = {{{', '.join(['1'] * 16)}}}> {{ y = {node} }}"
    )
    model.graph.node[0].name = "wrong"
    name = node[node.index("<") + 1 : node.index(" =")]
    with pytest.raises(InvalidModelError, match=f"'wrong' .*: {name} must be positive"):
        load_model(store(model))


def test_documentation_is_bounded(tiny: onnx.ModelProto, store: Store) -> None:
    tiny.metadata_props.add(key="notes", value="x" * 5000)
    with pytest.raises(LimitExceededError, match="strip documentation and metadata"):
        load_model(store(tiny), limits=replace(Limits(), max_graph_bytes=4000))


def test_dimensions_are_bounded(tiny: onnx.ModelProto, store: Store) -> None:
    tiny.graph.initializer[0].dims.extend([1] * 100)
    with pytest.raises(InvalidModelError, match="'w' has 104 dimensions"):
        load_model(store(tiny))


def test_what_is_held_for_training_is_dropped(tiny: onnx.ModelProto, store: Store) -> None:
    tiny.training_info.add().algorithm.node.add(op_type="Adam", domain="ai.onnx.preview.training")
    load_model(store(tiny))


def test_a_tensor_shorter_than_its_shape_is_refused(tiny: onnx.ModelProto, store: Store) -> None:
    tensor = tiny.graph.initializer[0]
    array = onnx.numpy_helper.to_array(tensor)
    tensor.ClearField("float_data")
    tensor.raw_data = array.tobytes()[:-4]
    with pytest.raises(InvalidModelError, match="has 428 bytes, its shape needs 432"):
        load_model(store(tiny))


def test_a_tensor_with_too_few_typed_elements_is_refused(
    tiny: onnx.ModelProto, store: Store
) -> None:
    del tiny.graph.initializer[0].float_data[-1:]
    with pytest.raises(InvalidModelError):
        load_model(store(tiny))


@pytest.mark.parametrize("location", ["weights.bin", "./weights.bin", "a/../weights.bin"])
def test_external_data_resolve_only_against_the_upload(
    tiny: onnx.ModelProto, store: Store, tmp_path: Path, location: str
) -> None:
    weights = weights_of(tiny, "w")
    blob = tmp_path / "0123abcd"
    blob.write_bytes(b"head" + weights.tobytes())
    path = store(with_external(tiny, "w", location=location, offset="4", length="432"))
    if ".." in location:
        with pytest.raises(InvalidModelError, match="leaves the folder"):
            load_model(path, external={"weights.bin": blob})
        return
    model = load_model(path, external={"weights.bin": blob})
    stored = model.graph.initializers["w"].const_value
    assert stored is not None
    np.testing.assert_array_equal(stored.numpy(), weights)


@pytest.mark.parametrize(
    "location", ["/etc/hostname", "../secret", "C:\\secret", "C:secret", "a\\b", "", "a\0b"]
)
def test_locations_that_could_reach_other_files_are_refused(
    tiny: onnx.ModelProto, store: Store, location: str
) -> None:
    path = store(with_external(tiny, "w", location=location))
    with pytest.raises(InvalidModelError, match="external data location"):
        load_model(path)


def test_a_file_beside_the_model_is_not_read_unless_uploaded(
    tiny: onnx.ModelProto, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_bytes(weights_of(tiny, "w").tobytes())
    path = store(with_external(tiny, "w", location="weights.bin"))
    with pytest.raises(InvalidModelError, match=r"'weights.bin', which was not uploaded.*other"):
        load_model(path, external={"other": tmp_path / "weights.bin"})


def test_a_symbolic_link_is_refused(tiny: onnx.ModelProto, store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(bytes(432))
    link = tmp_path / "link"
    link.symlink_to(target)
    path = store(with_external(tiny, "w", location="w.bin"))
    with pytest.raises(InvalidModelError, match=r"'w.bin' is not a regular file"):
        load_model(path, external={"w.bin": link})


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"offset": "1"}, "which has 432 bytes"),
        ({"offset": "-8"}, "whole numbers"),
        ({"offset": "many"}, "whole numbers"),
        ({"offset": "\u0660"}, "whole numbers"),
        ({"offset": "0_0"}, "whole numbers"),
        ({"length": "9" * 5000}, "whole numbers"),
        ({"length": "100"}, "needs 432 bytes of external data, its length says 100"),
    ],
)
def test_external_data_must_lie_inside_their_file(
    tiny: onnx.ModelProto, store: Store, tmp_path: Path, entries: dict[str, str], says: str
) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(bytes(432))
    path = store(with_external(tiny, "w", location="w.bin", **entries))
    with pytest.raises(InvalidModelError, match=says):
        load_model(path, external={"w.bin": blob})


def test_large_external_data_are_mapped_and_saved_into_one_file(
    tiny: onnx.ModelProto, store: Store, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(64, 3, 3, 3)).astype(np.float32)
    tensor = tiny.graph.initializer[0]
    tensor.CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
    tensor2 = onnx.numpy_helper.from_array(rng.normal(size=(5, 64)).astype(np.float32), "v")
    tiny.graph.initializer[1].CopyFrom(tensor2)
    blob = tmp_path / "blob"
    blob.write_bytes(weights.tobytes())
    model = load_model(store(with_external(tiny, "w", location="d")), external={"d": blob})
    stored = model.graph.initializers["w"].const_value
    assert isinstance(stored, ir.Tensor)
    assert not stored.numpy().flags.owndata
    save_model(model, tmp_path / "saved.onnx")
    saved = onnx.load(tmp_path / "saved.onnx", load_external_data=False)
    np.testing.assert_array_equal(weights_of(saved, "w"), weights)


def test_weights_above_the_threshold_are_saved_to_a_second_file(
    tiny: onnx.ModelProto, tmp_path: Path
) -> None:
    weights = np.arange(64 * 27, dtype=np.float32).reshape(64, 3, 3, 3)
    tiny.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
    save_model(ir.from_proto(tiny), tmp_path / "big.onnx", max_embedded=100)
    data = tmp_path / "big.onnx.data"
    model = load_model(tmp_path / "big.onnx", external={"big.onnx.data": data})
    stored = model.graph.initializers["w"].const_value
    assert stored is not None
    np.testing.assert_array_equal(stored.numpy(), weights)


def test_a_saved_file_is_the_model_whatever_the_size_and_type_of_its_weights(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    weights = {
        "large": rng.normal(size=(64, 70)).astype(np.float32),
        "small": rng.normal(size=3).astype(np.float32),
        "half": rng.normal(size=(9000,)).astype(np.float16),
        "bytes": rng.integers(0, 255, (300, 50), np.uint8),
        "texts": np.array(["a" * 5000, "b"], object),
        "longs": rng.integers(0, 9, (1, 1000), np.int64),
    }
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> g (float[N] x) => (float[N] y) { y = Relu (x) }'
    )
    for name, array in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    save_model(ir.from_proto(model), tmp_path / "saved.onnx")
    saved = onnx.load(tmp_path / "saved.onnx")
    onnx.checker.check_model(saved)
    assert [node.op_type for node in saved.graph.node] == ["Relu"]
    assert saved.opset_import == model.opset_import
    found = {one.name: onnx.numpy_helper.to_array(one) for one in saved.graph.initializer}
    assert found.keys() == weights.keys()
    for name, array in weights.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name].astype(array.dtype), array)
    assert not list(tmp_path.glob("*.partial"))


def test_half_precision_weights_load(store: Store) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> '
        "g (float16[N] x) => (float16[N] y) <float16[1] s = {2}> { y = Mul (x, s) }"
    )
    stored = load_model(store(model)).graph.initializers["s"].const_value
    assert stored is not None
    assert stored.dtype == ir.DataType.FLOAT16


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
def test_mutated_bytes_never_raise_anything_foreign(
    tiny: onnx.ModelProto, store: Store, data: st.DataObject
) -> None:
    mutated = bytearray(tiny.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(mutated)) | st.just(len(mutated)))
    try:
        prepared(load_model(store(bytes(mutated[:cut]))))
    except HeatproofError as error:
        assert error.message  # noqa: PT017 -- either outcome is fine, a foreign error is not
