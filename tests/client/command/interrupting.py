"""Interrupts the command while an evaluation runs."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def interrupted(arguments: Sequence[str], cwd: Path | None = None) -> int:
    """The exit code of a command that gets Ctrl-C once it tells of its evaluation."""
    process = subprocess.Popen(
        [sys.executable, "-m", "heatproof.client", *arguments],
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if line.startswith("evaluate"):
                break
        process.send_signal(signal.SIGINT)
        return process.wait(30)
