import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.external_data_helper
import pytest
from onnx import TensorProto, helper, numpy_helper  # noqa: TID251  # a bare graph of raw messages

from heatproof.client import Client, UsageError
from heatproof.client.clients.flows.models import Download
from heatproof.client.documents.model_files import CHUNK_BYTES, ModelFiles
from heatproof.client.documents.reading.external_data import external_locations
from heatproof.v1.model_service_pb2 import Gradient, LayerMasking
from tests.client import fakes

FULL = Path("/dev/full")


def external_tensor(name: str, location: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), name)
    onnx.external_data_helper.set_external_data(tensor, location)
    tensor.ClearField("raw_data")
    return tensor


def saved(path: Path, *tensors: TensorProto) -> Path:
    """A model that holds the tensors: the first as initializer, others in nodes of a subgraph."""
    nodes = [
        helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in tensors[1:]
    ]
    inner = helper.make_graph(nodes, "inner", [], [])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    graph = helper.make_graph([branch], "g", [], [], initializer=list(tensors[:1]))
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


def test_external_data_are_found_in_initializers_and_in_constants_of_subgraphs(
    tmp_path: Path,
) -> None:
    model = saved(
        tmp_path / "m.onnx", external_tensor("w", "w.data"), external_tensor("k", "k.data")
    )

    assert external_locations(model.read_bytes()) == ("k.data", "w.data")


def tensor_paths(descriptor: Any, held: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every way through the schema of ONNX to a tensor on which no message comes three times."""
    if descriptor.full_name == TensorProto.DESCRIPTOR.full_name:
        yield ()
        return
    held = (*held, descriptor.full_name)
    for field in descriptor.fields:
        inner = field.message_type
        if inner is not None and held.count(inner.full_name) < 2:
            yield from ((field, *rest) for rest in tensor_paths(inner, held))


def test_external_data_are_found_in_every_field_that_can_hold_a_tensor() -> None:
    paths = list(tensor_paths(onnx.ModelProto.DESCRIPTOR))
    assert len(paths) > 100
    for path in paths:
        model: Any = onnx.ModelProto()
        held = model
        for field in path:
            held = getattr(held, field.name)
            held = held.add() if field.is_repeated else held
        held.CopyFrom(external_tensor("w", "w.data"))
        assert external_locations(model.SerializeToString()) == ("w.data",), path


def test_a_model_without_external_data_has_no_locations(tmp_path: Path) -> None:
    inline = numpy_helper.from_array(np.zeros(4, np.float32), "w")

    assert external_locations(saved(tmp_path / "m.onnx", inline).read_bytes()) == ()
    assert external_locations(b"no model") == ()


def test_a_single_file_is_named_by_its_own_digest(model_file: Path) -> None:
    digest = hashlib.sha256(model_file.read_bytes()).hexdigest()

    assert ModelFiles.read(model_file).name == f"models/sha256-{digest}"
    assert ModelFiles.read(model_file.read_bytes()).name == f"models/sha256-{digest}"


def test_several_files_are_named_by_the_lines_of_their_digests(tmp_path: Path) -> None:
    model = saved(tmp_path / "m.onnx", external_tensor("w", "a.data"))
    (tmp_path / "a.data").write_bytes(b"weights")
    files = {"model.onnx": model.read_bytes(), "a.data": b"weights"}
    lines = "".join(
        f"{name} {hashlib.sha256(body).hexdigest()}\n" for name, body in sorted(files.items())
    )

    name = ModelFiles.read(model).name

    assert name == f"models/sha256-{hashlib.sha256(lines.encode()).hexdigest()}"


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link", ""])
def test_a_model_cannot_make_the_client_upload_files_outside_its_folder(
    tmp_path: Path, location: str
) -> None:
    (tmp_path / "secret").write_text("key")
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    model = saved(folder / "m.onnx", external_tensor("w", location))

    with pytest.raises(UsageError, match="outside its folder"):
        ModelFiles.read(model)


def test_missing_external_data_are_named_with_the_place_where_they_belong(tmp_path: Path) -> None:
    model = saved(tmp_path / "m.onnx", external_tensor("w", "w.data"))

    with pytest.raises(UsageError, match=r"w\.data.*does not exist"):
        ModelFiles.read(model)


def test_a_large_file_is_cut_into_chunks_that_the_contract_allows(tmp_path: Path) -> None:
    body = bytes(range(256)) * 8192 + b"tail"
    (tmp_path / "m.onnx").write_bytes(body)

    chunks = list(ModelFiles.read(tmp_path / "m.onnx").files[0].chunks(0))

    assert [len(chunk.data) for chunk in chunks] == [CHUNK_BYTES, CHUNK_BYTES, 4]
    assert [chunk.offset for chunk in chunks] == [0, CHUNK_BYTES, 2 * CHUNK_BYTES]
    assert b"".join(chunk.data for chunk in chunks) == body


def test_a_model_is_uploaded_once(client: Client, script: fakes.Script, model_file: Path) -> None:
    first = client.inspect(model_file)
    second = client.inspect(model_file)

    assert first.name == second.name
    assert len(script.calls["UploadModel"]) == 1
    assert script.uploaded["model.onnx"] == model_file.read_bytes()


def test_a_named_model_is_looked_up_and_never_read(
    client: Client, script: fakes.Script, model_file: Path
) -> None:
    name = client.inspect(model_file).name

    assert client.inspect(name).name == name
    assert len(script.calls["UploadModel"]) == 1


def test_lists_are_read_to_their_last_page(client: Client, model_file: Path) -> None:
    names = {client.inspect(model_file).name, client.inspect(b"another model").name}

    assert {model.name for model in client.models()} == names


def test_a_rewrite_is_written_with_its_external_data(
    client: Client, script: fakes.Script, model_file: Path, tmp_path: Path
) -> None:
    script.download = fakes.download(**{"model.onnx": b"rewritten", "w.data": b"weights"})
    target = tmp_path / "out" / "masked.onnx"

    client.rewrite(model_file, target, LayerMasking(mode=LayerMasking.MODE_STRICT))

    assert target.read_bytes() == b"rewritten"
    assert (target.parent / "w.data").read_bytes() == b"weights"
    asked = script.calls["DownloadModel"][0]
    assert asked.layer_masking.mode == LayerMasking.MODE_STRICT


def test_a_rewrite_replaces_an_older_one_but_no_file_of_the_model(
    client: Client, script: fakes.Script, model_file: Path, tmp_path: Path
) -> None:
    script.download = fakes.download(**{"model.onnx": b"rewritten", "net.onnx": b"weights"})
    original, target = model_file.read_bytes(), tmp_path / "out.onnx"
    target.write_bytes(b"older")
    for output in (model_file, target):
        with pytest.raises(UsageError, match=r"net\.onnx is a file of the model itself"):
            client.rewrite(model_file, output, Gradient())
    assert (model_file.read_bytes(), target.read_bytes()) == (original, b"older")
    assert len(script.calls["DownloadModel"]) == 1  # the first is refused before the work

    script.download = fakes.download(**{"model.onnx": b"rewritten", "out.onnx.data": b"weights"})
    client.rewrite(model_file, target, Gradient())

    assert target.read_bytes() == b"rewritten"
    assert script.calls["DownloadModel"][-1].file_name == "out.onnx"
    assert not list(tmp_path.glob(".heatproof-*"))


def test_a_rewrite_that_breaks_off_leaves_nothing(
    client: Client, script: fakes.Script, model_file: Path, tmp_path: Path
) -> None:
    script.download = fakes.download(**{"model.onnx": b"rewritten"})[:-1]

    with pytest.raises(Exception, match="ended early"):
        client.rewrite(model_file, tmp_path / "out.onnx", Gradient())

    assert not (tmp_path / "out.onnx").exists()


def test_a_rewrite_into_a_folder_is_refused_before_the_work(
    client: Client, script: fakes.Script, model_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="it is a folder"):
        client.rewrite(model_file, tmp_path, Gradient())
    assert not script.calls["DownloadModel"]


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "0").symlink_to(FULL)
    download = Download(tmp_path, frozenset())
    header, *chunks = fakes.download(**{"model.onnx": b"rewritten"})
    download.take(header)
    with pytest.raises(UsageError, match=r"cannot write to .*: No space left"):
        download.take(chunks[0])


def test_a_server_cannot_make_the_client_write_outside_the_target_folder(
    client: Client, script: fakes.Script, model_file: Path, tmp_path: Path
) -> None:
    script.download = fakes.download(**{"model.onnx": b"m", "../evil": b"x"})

    with pytest.raises(Exception, match="outside the target"):
        client.rewrite(model_file, tmp_path / "sub" / "out.onnx", Gradient())

    assert not (tmp_path / "evil").exists()
