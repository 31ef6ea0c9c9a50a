"""A server that another process starts for itself and that ends with it."""

import asyncio
import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from heatproof.server.settings import LONGEST_SOCKET_PATH, Settings, variable


@contextmanager
def settings(options: Mapping[str, Any]) -> Iterator[Settings]:
    """Completes the options with a private socket and a temporary data directory.

    Answers of models outlast it, in the folder that a user has for what can be made anew.
    """
    with tempfile.TemporaryDirectory(prefix="heatproof-") as folder:  # of mode 0700
        private = {"address": _address(Path(folder)), "data_dir": Path(folder) / "data"}
        usual: dict[str, Any] = {
            "log_level": "warning",
            "drain_seconds": 2.0,
            "share_workers": True,
        }
        if "data_dir" not in options:
            usual["reserve_bytes"] = 0  # what is temporary is deleted as a whole
            usual |= _lasting_answers()
        unset = {name: usual[name] for name in usual if variable(name) not in os.environ}
        yield Settings(**{**unset, **private, **options})


def _lasting_answers() -> dict[str, Any]:
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if not home.is_absolute():  # unset, or of no use by the standard of these variables
            home = Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        return {"answers_bytes": 0}
    return {"answers_dir": home / "heatproof" / "answers"}


def _address(folder: Path) -> str:
    path = folder / "socket"
    is_short = len(os.fsencode(path)) <= LONGEST_SOCKET_PATH
    return f"unix:{path}" if is_short else "127.0.0.1:0"


def announce(address: str) -> None:
    """Tells the parent where to dial."""
    sys.stdout.write(json.dumps({"address": address}) + "\n")
    sys.stdout.flush()


def watch_stdin(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    """Sets `stopping` when standard input ends, as it does when the parent dies in any way."""

    def wait() -> None:
        # Read by its descriptor: a buffered read would be waited for at the interpreter's end.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        loop.call_soon_threadsafe(stopping.set)

    threading.Thread(target=wait, name="stdin", daemon=True).start()
