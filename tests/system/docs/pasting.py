"""Runs code of the pages as a reader pastes it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.system.docs.code_blocks import ROOT, CodeBlock

SHELL = """set -euo pipefail
heatproof() { command heatproof "$@" || [ $? -eq 1 ]; }  # 1 is a verdict, and no failure
"""


def paste_shell(blocks: Sequence[CodeBlock], desk: Path, server: str) -> str:
    """Runs blocks in one shell, with a server that runs, and returns what they print."""
    script = SHELL + "".join(reached(server, block.code) for block in blocks)
    return _pasted(["bash", "-c", script], desk, HEATPROOF_SERVER=server)


def paste_python(blocks: Sequence[CodeBlock], desk: Path, server: str) -> str:
    """Runs blocks as cells of one notebook and returns what they print."""
    programs = [(block.page, block.line, reached(server, block.code)) for block in blocks]
    (desk / "programs.json").write_text(json.dumps(programs))
    return _pasted([sys.executable, "-m", "tests.system.docs.notebook", "programs.json"], desk)


def reached(server: str, code: str) -> str:
    """The code with the address of a server that runs; the README's program starts its own."""
    for address in ("127.0.0.1:50051", "localhost:50051"):
        code = code.replace(address, server)
    if "examples/models" in code:
        return code
    connected = f'Client.connect("{server}")'
    return code.replace("await AsyncClient.embedded()", f"Async{connected}").replace(
        "Client.embedded()", connected
    )


def _pasted(command: list[str], desk: Path, **variables: str) -> str:
    """Runs a command at the desk, with the tools of this environment."""
    tools = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": tools, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(
        command,
        cwd=desk,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
