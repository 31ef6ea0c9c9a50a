"""What a server tells of itself, and whether it starts without all of its sandbox."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from heatproof.server.workers.limits import TaskLimits
from heatproof.server.workers.local.sandbox.confinement import Confinement, Layer, Mode
from heatproof.server.workers.local.sandbox.probing import probe
from heatproof.v1 import (
    catalog_service_pb2,
    catalog_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
)
from tests.system.payloads import model_bytes, upload
from tests.system.serving import Served

REQUEST = catalog_service_pb2.GetServerInfoRequest()


def test_a_server_tells_versions_limits_and_the_sandbox(served: Served) -> None:
    info = served.catalog.GetServerInfo(REQUEST)

    assert {"heatproof", "onnxruntime"} <= set(info.packages)
    assert info.limit_seconds["inspect_seconds"] == TaskLimits().inspect_seconds
    assert info.worker_memory_bytes > 0
    offered = probe(Confinement(mode=Mode.AUTO))
    assert tuple(info.sandbox_layers) == offered.layers
    assert info.missing_sandbox_layers.keys() == offered.missing.keys()


@pytest.fixture
def without_seccomp(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a system that lacks libseccomp."""
    (tmp_path / "sitecustomize.py").write_text(
        "import ctypes\n"
        "class CDLL(ctypes.CDLL):\n"
        "    def __init__(self, name, *others, **named):\n"
        "        if 'seccomp' in str(name): raise OSError(name)\n"
        "        super().__init__(name, *others, **named)\n"
        "ctypes.CDLL = CDLL\n"
    )
    inherited = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), inherited]))}


def command(sandbox: str) -> list[str]:
    options = ["--embedded", "--no-preload", "--threads=1", f"--sandbox={sandbox}"]
    return [sys.executable, "-m", "heatproof.server", *options]


def test_a_server_that_requires_a_sandbox_does_not_start_without_a_layer(
    without_seccomp: Mapping[str, str],
) -> None:
    found = subprocess.run(
        command("require"),
        check=False,
        env=without_seccomp,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert "seccomp: libseccomp.so.2 is not installed; " in line
    assert "--sandbox auto" in line


@pytest.mark.parametrize(("sandbox", "missing"), [("auto", {"seccomp"}), ("off", set(Layer))])
def test_a_server_tells_which_layers_it_lacks_and_serves(
    without_seccomp: Mapping[str, str], sandbox: str, missing: set[str]
) -> None:
    with subprocess.Popen(
        command(sandbox),
        env=without_seccomp,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        with grpc.insecure_channel(json.loads(server.stdout.readline())["address"]) as channel:
            stub = catalog_service_pb2_grpc.CatalogServiceStub(channel)
            info = stub.GetServerInfo(REQUEST, timeout=60)
            models = model_service_pb2_grpc.ModelServiceStub(channel)
            stored = models.UploadModel(iter(upload(model_bytes())), timeout=60)
            rewrite: Any = {"mode": 2}
            rewritten = model_service_pb2.DownloadModelRequest(
                name=stored.name, layer_masking=rewrite
            )
            assert len(list(models.DownloadModel(rewritten, timeout=60))) > 1
        server.stdin.close()
        log = server.stderr.read()

    assert missing <= set(info.missing_sandbox_layers)
    assert ("without a layer" in log) is (sandbox == "auto")
