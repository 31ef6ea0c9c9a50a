"""External tensors wherever a model can hold one: nothing but the uploaded files is ever read."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest
from onnx import AttributeProto, ModelProto, TensorProto

from heatproof.evaluators.errors import HeatproofError, InvalidModelError, LimitExceededError
from heatproof.graphs.files import loading
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.files.saving import save_model
from heatproof.graphs.files.walking import find
from heatproof.graphs.preparation import prepared

Store = Callable[[onnx.ModelProto | bytes], Path]
Field = Any  # a descriptor of protobuf

MEBIBYTE = 1 << 20
SECRET = np.arange(40, 80, dtype=np.uint8)


def tensor_paths(descriptor: Any, held: tuple[str, ...] = ()) -> Iterator[tuple[Field, ...]]:
    """Every way through the schema to a tensor on which no kind of message comes three times."""
    if descriptor.full_name == TensorProto.DESCRIPTOR.full_name:
        yield ()
        return
    held = (*held, descriptor.full_name)
    for field in descriptor.fields:
        inner = field.message_type
        if inner is not None and held.count(inner.full_name) < 2:
            for rest in tensor_paths(inner, held):
                yield (field, *rest)


PATHS = list(tensor_paths(ModelProto.DESCRIPTOR))
NAMES = [".".join(field.name for field in path) for path in PATHS]


def planted(model: ModelProto, path: tuple[Field, ...]) -> TensorProto:
    """A new tensor at a path of a model."""
    message: Any = model
    for field in path:
        held = getattr(message, field.name)
        held = held.add() if field.is_repeated else held
        held.SetInParent()
        if isinstance(message, AttributeProto):
            message.name = "planted"
            message.type = getattr(AttributeProto, KINDS[field.name])
        message = held
        if isinstance(message, onnx.NodeProto):
            message.op_type = "Identity"
    assert isinstance(message, TensorProto)
    return message


KINDS = {
    "t": "TENSOR",
    "tensors": "TENSORS",
    "g": "GRAPH",
    "graphs": "GRAPHS",
    "sparse_tensor": "SPARSE_TENSOR",
    "sparse_tensors": "SPARSE_TENSORS",
}


def outside(tensor: TensorProto, location: str, count: int = SECRET.size) -> TensorProto:
    """The tensor as `count` bytes of external data."""
    tensor.name, tensor.data_type = "planted", TensorProto.UINT8
    tensor.dims[:] = [count]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def test_the_schema_is_one_that_the_walk_follows() -> None:
    assert {"graph.initializer", "functions.attribute_proto.t"} <= set(NAMES)
    assert {"graph.sparse_initializer.values", "training_info.algorithm.initializer"} <= set(NAMES)
    assert "graph.node.attribute.g.node.attribute.sparse_tensor.indices" in NAMES
    assert {field.name for path in PATHS for field in path if path[-2:-1] and field.containing_type
            is AttributeProto.DESCRIPTOR} == KINDS.keys()  # fmt: skip
    assert not any(field.message_type.GetOptions().map_entry for path in PATHS for field in path)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_the_walk_finds_a_tensor_in_every_field_that_can_hold_one(path: tuple[Field, ...]) -> None:
    model = ModelProto()
    tensor = planted(model, path)
    (found,) = find(model, TensorProto)
    assert found.message is tensor
    named = [field.name + "[0]" * field.is_repeated for field in path]
    assert found.place == ".".join(named)


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_an_external_tensor_that_was_not_uploaded_is_refused_wherever_it_sits(
    tiny: ModelProto, store: Store, tmp_path: Path, path: tuple[Field, ...]
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET.tobytes())
    outside(planted(tiny, path), str(secret))
    with pytest.raises(InvalidModelError, match=r"external data location .* is absolute"):
        load_model(store(tiny))


@pytest.mark.parametrize("path", PATHS, ids=NAMES)
def test_an_uploaded_tensor_is_no_fault_wherever_it_sits(
    tiny: ModelProto, store: Store, tmp_path: Path, path: tuple[Field, ...]
) -> None:
    """What else may be wrong with a node that holds it is another matter."""
    (tmp_path / "blob").write_bytes(SECRET.tobytes())
    outside(planted(tiny, path), "secret")
    try:
        load_model(store(tiny), external={"secret": tmp_path / "blob"})
    except HeatproofError as error:
        assert "external" not in error.message  # noqa: PT017 -- either outcome is fine


@pytest.mark.parametrize("named", ["absolute", "beside"])
def test_nobody_learns_whether_a_file_exists(
    tiny: ModelProto, store: Store, tmp_path: Path, named: str
) -> None:
    (tmp_path / "there").write_bytes(SECRET.tobytes())
    faults = []
    for name in ("there", "none!"):
        model = onnx.ModelProto()
        model.CopyFrom(tiny)
        location = str(tmp_path / name) if named == "absolute" else name
        outside(model.graph.initializer.add(), location)
        with pytest.raises(InvalidModelError) as caught:
            load_model(store(model))
        faults.append(caught.value.message.replace(name, "NAME"))
    assert faults[0] == faults[1]


FUNCTION = """
<ir_version: 10, opset_import: ["" : 18, "local" : 1]>
g (float[N, 40] x) => (float[N, 40] y) { y = local.f (x) }
<domain: "local", opset_import: ["" : 18]>
f (a) => (b) { k = Constant () kf = Cast <to = 1> (k) b = Add (a, kf) }
"""


def with_a_default(location: str) -> ModelProto:
    """A function whose constant is the default of its attribute, which lies outside."""
    model = onnx.parser.parse_model(FUNCTION)
    function = model.functions[0]
    constant = function.node[0].attribute.add(name="value", type=AttributeProto.TENSOR)
    constant.ref_attr_name = "held"
    default = function.attribute_proto.add(name="held", type=AttributeProto.TENSOR)
    outside(default.t, location)
    return model


def test_a_default_of_a_function_reads_no_file_of_the_server(store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET.tobytes())
    with pytest.raises(InvalidModelError, match="is absolute"):
        load_model(store(with_a_default(str(secret))))


def test_a_default_of_a_function_reads_its_uploaded_file(store: Store, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(SECRET.tobytes())
    model = load_model(store(with_a_default("k")), external={"k": tmp_path / "blob"})
    graph = prepared(model).graph
    constants = [value.const_value for value in graph.initializers.values()]
    assert len(constants) == 1
    assert constants[0] is not None
    np.testing.assert_array_equal(constants[0].numpy(), SECRET.astype(np.float32))


TEXTS = {
    "initializer": """
        g (float[N, 40] x) => (float[N, 40] y) <uint8[40] k> { kf = Cast <to = 1> (k)
        y = Add (x, kf) }""",
    "attribute": """
        g (float[N, 40] x) => (float[N, 40] y) { k = Constant () kf = Cast <to = 1> (k)
        y = Add (x, kf) }""",
    "subgraph": """
        g (float[N, 40] x, bool c) => (float[N, 40] y) { y = If (c) <
        then_branch = a () => (t) { k = Constant () kf = Cast <to = 1> (k) t = Add (x, kf) },
        else_branch = b () => (e) { e = Identity (x) }> }""",
}


def in_place(where: str, location: str, count: int) -> ModelProto:
    """A model with an external tensor of `count` bytes in a place where ONNX allows one."""
    if where == "default":
        model = with_a_default(location)
        model.functions[0].attribute_proto[0].t.dims[0] = count
        return model
    header = '<ir_version: 10, opset_import: ["" : 18]>'
    model = onnx.parser.parse_model(header + TEXTS[where].replace("40", str(count)))
    if where == "initializer":
        tensor = model.graph.initializer.add()
        outside(tensor, location, count).name = "k"
        return model
    graph = model.graph if where == "attribute" else model.graph.node[0].attribute[0].g
    constant = graph.node[0].attribute.add(name="value", type=AttributeProto.TENSOR)
    outside(constant.t, location, count)
    return model


PLACES = ["initializer", "attribute", "subgraph", "default"]


@pytest.mark.parametrize("where", PLACES)
def test_the_parsed_model_is_checked_too(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Planted fault: the check of the bytes overlooks everything."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(8000))
    monkeypatch.setattr(loading, "_check_tensor", lambda *_: None)
    with pytest.raises(InvalidModelError, match="which was not uploaded"):
        load_model(store(in_place(where, str(secret), 8000)))


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("count", [5000, 2 * MEBIBYTE])
def test_no_file_is_opened_after_loading(
    store: Store, tmp_path: Path, where: str, count: int
) -> None:
    content = np.random.default_rng(0).integers(0, 255, count + 7, np.uint8)
    blob = tmp_path / "blob"
    blob.write_bytes(content.tobytes())
    source = in_place(where, "k", count)
    tensor = next(one.message for one in find(source, TensorProto) if one.message.external_data)
    tensor.external_data.add(key="offset", value="7")
    model = load_model(store(source), external={"k": blob})
    blob.unlink()
    blob.symlink_to("/etc/passwd")
    save_model(model, tmp_path / "saved.onnx")
    saved = onnx.load(tmp_path / "saved.onnx", load_external_data=False)
    found = [one.message for one in find(saved, TensorProto) if one.message.dims == [count]]
    assert [one.data_location for one in found] == [TensorProto.DEFAULT]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(found[0]), content[7:])


def test_packed_elements_are_read_from_their_file(store: Store, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, 15, 9001)
    pairs = np.append(numbers, 0).reshape(-1, 2)
    (tmp_path / "blob").write_bytes((pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8).tobytes())
    model = in_place("initializer", "k", 9001)
    model.opset_import[0].version = 21
    tensor = model.graph.initializer[0]
    tensor.data_type = TensorProto.UINT4
    stored = load_model(store(model), external={"k": tmp_path / "blob"}).graph.initializers["k"]
    assert stored.const_value is not None
    assert stored.const_value.dtype == ir.DataType.UINT4
    np.testing.assert_array_equal(stored.const_value.numpy().astype(np.int64), numbers)


@pytest.mark.parametrize("make", ["folder", "missing", "fifo", "link"])
def test_only_regular_files_are_opened(
    tiny: ModelProto, store: Store, tmp_path: Path, make: str
) -> None:
    path = tmp_path / "blob"
    makers = {"folder": path.mkdir, "fifo": lambda: os.mkfifo(path)}
    makers |= {"link": lambda: path.symlink_to("/dev/zero"), "missing": lambda: None}
    makers[make]()
    with pytest.raises(InvalidModelError, match="'k' is not a regular file") as caught:
        load_model(store(tiny), external={"k": path})
    assert str(path) not in caught.value.message


def test_a_location_is_given_once(tiny: ModelProto, store: Store, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"")
    with pytest.raises(InvalidModelError, match="'k' was uploaded twice"):
        load_model(store(tiny), external={"k": tmp_path / "blob", "./k": tmp_path / "blob"})


def test_sparse_tensors_are_refused_with_their_place(tiny: ModelProto, store: Store) -> None:
    node = tiny.graph.node.add(op_type="Constant", output=["k"])
    attribute = node.attribute.add(name="sparse_value", type=AttributeProto.SPARSE_TENSOR)
    attribute.sparse_tensor.values.CopyFrom(onnx.numpy_helper.from_array(SECRET, "v"))
    with pytest.raises(InvalidModelError, match=r"graph.node\[5\].attribute\[0\].sparse_tensor"):
        load_model(store(tiny))


def test_tensors_that_share_a_file_many_times_are_refused(
    tiny: ModelProto, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "blob").write_bytes(bytes(4 * MEBIBYTE))
    for index in range(100):
        outside(tiny.graph.initializer.add(), "k", 4 * MEBIBYTE).name = f"w{index}"
    with pytest.raises(LimitExceededError, match="many share the same external data"):
        load_model(store(tiny), external={"k": tmp_path / "blob"})
