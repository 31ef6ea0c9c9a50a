"""The lines of the pages that start a server start one, and those that name servers reach them."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.docs.code_blocks import BLOCKS
from tests.system.key_pairs import write_key_pair
from tests.system.payloads import model_bytes
from tests.system.serving import serving, settings_for

STARTS = ("heatproof serve", "python -m heatproof.server")
LINES = [
    (block.page, line.partition("  #")[0])
    for block in BLOCKS
    if block.language == "sh"
    for line in block.code.splitlines()
    if line.startswith(STARTS)
]


def test_pages_say_how_a_server_is_started() -> None:
    assert {page for page, _ in LINES} >= {"README.md", "docs/operations.md"}


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_line_that_starts_a_server_starts_one(page: str, line: str, tmp_path: Path) -> None:
    certificate, key = write_key_pair(tmp_path)
    for copy, original in (("server.pem", certificate), ("server.key", key)):
        shutil.copy(original, tmp_path / copy)
    shutil.copy(certificate, tmp_path / "clients.pem")
    here = line.replace(":50051", ":0").replace("/tmp/", f"{tmp_path}/")  # noqa: S108  # the page's
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HEATPROOF_DATA_DIR": str(tmp_path / "data"),
        "HEATPROOF_PRELOAD": "false",
    }
    if "--address" not in line:
        environment["HEATPROOF_ADDRESS"] = "127.0.0.1:0"
    command = ["bash", "-c", f"exec {here}"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            said = server.stderr.readline()
            assert "serving" in said, f"{page}: {said}{server.stderr.read()}"
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0
        finally:
            server.kill()


def test_every_kind_of_address_reaches_its_server(tmp_path: Path) -> None:
    (block,) = (one for one in BLOCKS if "--server grpcs://" in one.code)
    certificate, key = write_key_pair(tmp_path)
    shutil.copy(certificate, tmp_path / "ca.pem")
    (tmp_path / "model.onnx").write_bytes(model_bytes())
    tls = {"tls_certificate": certificate, "tls_key": key}
    with (
        serving(settings_for(tmp_path / "plain")) as plain,
        serving(settings_for(tmp_path / "tls", **tls)) as secret,
        serving(settings_for(tmp_path / "unix", address=f"unix:{tmp_path}/sock")),
    ):
        code = block.code.replace("grpcs://host:443", f"grpcs://{secret.address}")
        code = code.replace("host:50051", plain.address)
        code = code.replace("unix:/run/heatproof.sock", f"unix:{tmp_path}/sock")
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        script = ["bash", "-euc", code]
        done = subprocess.run(
            script, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("FLOAT [N, 3, 8, 8]") == 3
