"""The plug-in of the examples: built, installed, found by a server and used by every client."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.docs.code_blocks import BLOCKS, ROOT
from tests.system.docs.desk import lay_out
from tests.system.docs.pasting import paste_python, paste_shell

PAGE = "examples/plugin/README.md"
MODULE = ROOT / "examples" / "plugin" / "heatproof_top_share_drop.py"


@contextmanager
def serving_with(site: Path, data: Path) -> Iterator[str]:
    """A server process that finds the packages of a folder; yields its address."""
    options = ["--address", "127.0.0.1:0", "--data-dir", str(data), "--log-format", "json"]
    command = [sys.executable, "-m", "heatproof.server", *options]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            assert "address" in line, line
            threading.Thread(target=server.stderr.read, daemon=True).start()
            yield str(json.loads(line)["address"])
        finally:
            server.terminate()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where the plug-in is installed, built by the tools of this environment."""
    folder = tmp_path / "site"
    quiet = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(folder)]
    subprocess.run([*command, MODULE.parent], check=True, timeout=200)
    return folder


def test_the_plug_in_is_installed_listed_and_scored(site: Path, tmp_path: Path) -> None:
    desk = tmp_path / "desk"
    desk.mkdir()
    lay_out(desk)
    blocks = [block for block in BLOCKS if block.page == PAGE]
    shell = [block for block in blocks if block.language == "sh" and "pip" not in block.code]
    python = [block for block in blocks if block.language == "python"]
    with serving_with(site, tmp_path / "data") as address:
        said = paste_shell(shell, desk, address)
        assert said.count("top_share_drop") >= 3
        assert "6/6" in said
        assert "top_share_drop" in paste_python(python, desk, address)


def test_the_plug_in_is_the_metric_that_the_page_explains() -> None:
    (explained,) = (
        block.code
        for block in BLOCKS
        if block.page == "docs/extending.md" and "class TopShareDrop" in block.code
    )
    assert MODULE.read_text(encoding="utf-8").endswith(explained)
