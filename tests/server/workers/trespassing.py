"""What a worker does that a hostile model has taken over."""

import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from heatproof.graphs.files import loading
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.explanations import predict_masked
from tests.server.workers.fault_tasks import PredictUnchecked, Trespass


def trespass(task: Trespass, _bench: TaskContext) -> dict[str, str]:
    return {name: _outcome(act) for name, act in (forbidden(task) | allowed(task)).items()}


def _outcome(act: Callable[[], object]) -> str:
    try:
        act()
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"


def forbidden(task: Trespass) -> dict[str, Callable[[], object]]:
    """Every act must fail in a sandbox, and succeeds outside of one."""
    server = os.getppid()
    return {
        "read a secret": task.secret.read_bytes,
        "read it by another way": Path(f"/proc/self/root{task.secret}").read_bytes,
        "read the users": Path("/etc/passwd").read_bytes,
        "list a folder": lambda: list(task.secret.parent.iterdir()),
        "read the server's environment": Path(f"/proc/{server}/environ").read_bytes,
        "read the server's memory": lambda: Path(f"/proc/{server}/mem").open("rb").close(),
        "write beside the data": lambda: task.secret.with_name("new").write_bytes(b"x"),
        "overwrite a secret": lambda: os.close(os.open(task.secret, os.O_WRONLY)),
        "overwrite a blob": lambda: os.close(os.open(task.blob, os.O_WRONLY)),
        "truncate a blob": lambda: os.truncate(task.blob, task.blob.stat().st_size),
        "rename a blob": lambda: task.blob.rename(task.blob),
        "make a folder": lambda: task.secret.with_name("folder").mkdir(),
        "link to a secret": lambda: (task.scratch / "link").symlink_to(task.secret),
        "hold a secret fast": lambda: (task.scratch / "hard").hardlink_to(task.secret),
        "open a secret to all": lambda: task.secret.chmod(0o600),
        "give a secret away": lambda: os.chown(task.secret, os.getuid(), os.getgid()),
        "date a secret back": lambda: os.utime(task.secret, (1, 1)),
        "open a TCP socket": lambda: socket.socket().close(),
        "open a UDP socket": lambda: socket.socket(type=socket.SOCK_DGRAM).close(),
        "open a Unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "open a netlink socket": lambda: socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM
        ).close(),
        "run a program": lambda: subprocess.run(["/bin/true"], check=True),
        "run a shell": lambda: subprocess.run("true", shell=True, check=True),  # noqa: S602
        "fork": _fork,
        "signal the server": lambda: os.kill(server, 0),
        "take all memory": lambda: np.empty(8 << 30, np.uint8),
    }


def allowed(task: Trespass) -> dict[str, Callable[[], object]]:
    """What a worker does every day."""
    return {
        "read a blob": task.blob.read_bytes,
        "write into scratch": lambda: (task.scratch / "file").write_bytes(b"x"),
        "make a folder in scratch": (task.scratch / "folder").mkdir,
        "start a thread": lambda: threading.Thread(target=int).start(),
        "signal itself": lambda: os.kill(os.getpid(), 0),
        "read the kind of processor": Path("/proc/cpuinfo").read_bytes,
    }


def _fork() -> None:
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def predict_unchecked(task: PredictUnchecked, context: TaskContext) -> bytes:
    """Puts a loader without any check in the place of ours: the first line has fallen."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "_load", lambda path, *_: _naive(path))
        return predict_masked(task.task, context)


def _naive(path: Path) -> ir.Model:
    return ir.from_proto(onnx.load(path, load_external_data=False))
