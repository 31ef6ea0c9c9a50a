"""Reports speak of models and images by the caller's names, whoever uploaded their bytes first."""

from pathlib import Path

import pytest

from heatproof.client import Client
from heatproof.client.documents.results import Report
from tests.system.payloads import model_bytes, png
from tests.system.serving import Served


@pytest.fixture(scope="module")
def client(served: Served) -> Client:
    return Client.connect(served.address)


def evaluated(client: Client, folder: Path, name: str) -> Report:
    """An evaluation of the same bytes under a name of its own."""
    (folder / f"{name}.onnx").write_bytes(model_bytes())
    images = folder / f"{name} images"
    images.mkdir()
    (images / f"{name}.png").write_bytes(png(seed=71))
    return client.evaluate(
        folder / f"{name}.onnx", images, preprocessing={"resize": "stretch"},
        metrics=[{"deletion": {"grid": 2, "steps": 2}}], explainers=[{"random": {"grid": 2}}],
        removals=["black"],
    )  # fmt: skip


def test_equal_bytes_go_by_the_names_of_whoever_asks(client: Client, tmp_path: Path) -> None:
    reports = {name: evaluated(client, tmp_path, name) for name in ("theirs", "ours")}
    for name, report in reports.items():
        assert [model.display_name for model in report.models] == [f"{name}.onnx"]
        assert report.dataset.display_name == f"{name} images"
        assert [image.display_name for image in report.images] == [f"{name}.png"]
    theirs, ours = reports.values()
    assert theirs.models[0].name == ours.models[0].name
    assert theirs.results[0].summary == ours.results[0].summary


def test_inspection_and_statements_keep_the_callers_name(client: Client, tmp_path: Path) -> None:
    for name in ("first.onnx", "second.onnx"):
        (tmp_path / name).write_bytes(model_bytes())
        assert client.inspect(tmp_path / name).display_name == name
        stated = client.inspect(tmp_path / name, activation="softmax")
        assert stated.display_name == name
