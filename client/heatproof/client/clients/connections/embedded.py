"""A server of one's own, as a child process.

It is a process and no import, so that the client needs none of the server's packages, and scripts
without a main guard, notebooks and `python -` all work. The child ends when its standard input
closes, so it cannot outlive this process, however that ends.
"""

import contextlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, Final

from heatproof.client.clients.connections.addresses import Address
from heatproof.client.errors import ServerNotInstalledError, ServerStartError

START_SECONDS: Final = 60.0
"""Seconds within which the child must name its address."""

STOP_SECONDS: Final = 10.0
"""Seconds within which the child must end after its input has closed."""

LOG_TAIL: Final = 20
"""Lines of the child's log that an error shows."""

PACKAGES: Final = ("onnx_ir", "onnxruntime", "cv2", "scipy", "sqlalchemy", "pydantic_settings")
"""Modules that stand for the packages of the extra `server`."""


def require_server() -> None:
    """Makes sure that a server can be started here.

    Raises:
        ServerNotInstalledError: its packages are missing.
    """
    for module in ("heatproof.server", *PACKAGES):
        if importlib.util.find_spec(module) is None:
            raise ServerNotInstalledError(module)


class EmbeddedServer:
    """Starts a server that serves this process alone.

    Args:
        data_dir: folder that keeps models and results; None: one that vanishes with the server.

    Raises:
        ServerNotInstalledError: the server's packages are missing.
        ServerStartError: it did not come up; the message holds the end of its log.
    """

    def __init__(self, data_dir: Path | None = None) -> None:
        require_server()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._process = _start(data_dir, self._log)
        self._finalizer = weakref.finalize(self, _stop, self._process, self._log)
        try:
            self.address = Address.parse(self._announced())
        except BaseException:
            self.close()
            raise

    def failure(self) -> ServerStartError | None:
        """Why the server is gone; None while it lives or after `close`."""
        if not self._finalizer.alive or self._process.poll() is None:
            return None
        return self._post_mortem("the local server died")

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        if not self._finalizer.alive:
            return ""
        self._log.seek(0)
        log = self._log.read().decode(errors="replace")
        return "\n".join(log.splitlines()[-LOG_TAIL:])

    def close(self) -> None:
        """Ends the server and waits for it; does nothing the second time."""
        self._finalizer()

    def _announced(self) -> str:
        """The address that the child prints as its first line, `{"address": ...}`."""
        assert self._process.stdout is not None  # noqa: S101  # opened as a pipe below
        watchdog = threading.Timer(START_SECONDS, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        try:
            return str(json.loads(line)["address"])
        except (ValueError, KeyError, TypeError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            raise self._post_mortem("the local server did not start") from error

    def _post_mortem(self, fault: str) -> ServerStartError:
        tail = self.log_tail() or "it wrote no log"
        return ServerStartError(f"{fault} (exit code {self._process.poll()}):\n{tail}")


def _start(data_dir: Path | None, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P: a file of the user's folder must not shadow the server's packages.
    command = [sys.executable, "-P", "-m", "heatproof.server", "--embedded"]
    if data_dir is not None:
        command += ["--data-dir", str(data_dir)]
    return subprocess.Popen(  # noqa: S603  # our own interpreter and module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        # Ctrl-C is for this process: it cancels its evaluation, then closes the child's input.
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
    log.close()
