from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from heatproof.client import Client
from tests.client import fakes
from tests.client.canned import png

POLICY = """
explainers = ["grad_cam"]
removals = ["black"]

[model.preprocessing]
preset = "imagenet"

[[checks]]
metric = { deletion = { grid = 7 } }
max = 0.9
"""


@pytest.fixture
def script() -> fakes.Script:
    return fakes.Script()


@pytest.fixture
def address(script: fakes.Script) -> Iterator[str]:
    """Address of a fake server that follows the script."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    fakes.add_services(server, script)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client.connect(address) as client:
        yield client


@pytest.fixture(autouse=True)
def no_server_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEATPROOF_SERVER", raising=False)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr("heatproof.client.clients.synchronous.time.sleep", slept.append)
    return slept


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"these bytes are no ONNX model, and only the server would mind")
    return path


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "sub/c.png")):
        (folder / name).write_bytes(png(grey=index))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "heatproof.toml"
    path.write_text(POLICY)
    return path
