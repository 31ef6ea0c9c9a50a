"""One worker process as the server sees it."""

import asyncio
import logging
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeAlias

import psutil

from heatproof.server.workers.messages import Assign, Cancel, Order, Report, WorkerSettings
from heatproof.server.workers.protocol import Done, Event, Failed, Task

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Died:
    """The worker is gone before its task has ended.

    Attributes:
        how: such as `died by SIGSEGV`.
        over_memory: whether the server killed it for its hunger.
        closed: whether the server ended it because it ends itself.
        fresh: whether the task was its first.
    """

    how: str
    over_memory: bool
    closed: bool
    fresh: bool


Signal: TypeAlias = Event[Any, Any] | Died


class WorkerProcess:
    """A running worker; runs one task at a time and is used in the event loop only.

    The process is started by exec, never by fork, and imports nothing of the caller's main module.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self._popen, self._connection = _launch(settings)
        self._usage = psutil.Process(self._popen.pid)
        self._tasks = 0
        self._over_memory = False
        self._closed = False
        self._signals: asyncio.Queue[Signal] | None = None
        self._ended = asyncio.Event()
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self.idle = asyncio.Event()
        self.idle.set()
        for loop in (self._read, self._write):
            threading.Thread(target=loop, name=f"worker-{self.pid}", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can take tasks."""
        return not self._ended.is_set()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def assign(self, task: Task[Any, Any]) -> asyncio.Queue[Signal]:
        """Starts a task; the queue ends with Done, Failed or Died."""
        self._tasks += 1
        signals: asyncio.Queue[Signal] = asyncio.Queue()
        self._signals = signals
        self.idle.clear()
        if self.alive:
            self._orders.put(Assign(self._tasks, task))
        else:
            self._deliver_death()
        return signals

    async def stop(self, grace: float) -> None:
        """Cancels the running task; kills the process if that takes longer than `grace` seconds."""
        if self.idle.is_set():
            return
        self._orders.put(Cancel(self._tasks))
        try:
            async with asyncio.timeout(grace):
                await self.idle.wait()
        except TimeoutError:
            _log.warning("worker %d ignores its cancellation and is killed", self.pid)
            self.kill()
            await self._ended.wait()

    def check_memory(self, limit: int) -> None:
        """Kills the process if it holds more than `limit` bytes of memory during a task."""
        if self.idle.is_set() or not self.alive:
            return
        with suppress(psutil.Error):
            if self._usage.memory_info().rss > limit:
                self._over_memory = True
                self.kill()

    def kill(self) -> None:
        """Ends the process at once."""
        with suppress(ProcessLookupError):
            self._popen.kill()

    async def close(self) -> None:
        """Ends the process at once and waits for its end; workers hold nothing worth saving."""
        self._closed = True
        self.kill()
        await self._ended.wait()

    def _write(self) -> None:
        """Sends orders one after the other; runs in its own thread, for a task may hold megabytes.

        The pipe takes only as much as the worker reads.
        """
        with suppress(OSError):  # a dead worker is noticed by its reader
            while (order := self._orders.get()) is not None:
                self._connection.send(order)

    def _read(self) -> None:
        """Forwards reports to the event loop until the process is gone; runs in its own thread."""
        try:
            while True:
                self._forward(self._deliver, self._connection.recv())
        except (EOFError, OSError):
            pass
        except Exception:  # noqa: BLE001 - unpickling has no common error; the worker pays
            _log.exception("worker %d sent something unreadable and is killed", self.pid)
        self.kill()
        self._popen.wait()
        self._orders.put(None)
        self._forward(self._end)

    def _forward(self, call: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the event loop has been closed
            self._loop.call_soon_threadsafe(call, *args)

    def _deliver(self, report: Report) -> None:
        if report.number != self._tasks or self._signals is None:
            return
        self._signals.put_nowait(report.event)
        if isinstance(report.event, Done | Failed):
            self._signals = None
            self.idle.set()

    def _end(self) -> None:
        self._ended.set()
        self._deliver_death()

    def _deliver_death(self) -> None:
        if self._signals is not None:
            how = _manner_of_death(self._popen.returncode)
            death = Died(how, self._over_memory, self._closed, fresh=self._tasks == 1)
            self._signals.put_nowait(death)
            self._signals = None
        self.idle.set()


def _launch(
    settings: WorkerSettings,
) -> "tuple[subprocess.Popen[bytes], Connection[Order, Report]]":
    ours, theirs = Pipe()
    with theirs:
        command = [sys.executable, "-P", "-m", "heatproof.server.workers", str(theirs.fileno())]
        popen = subprocess.Popen(  # noqa: S603 - our own module and a number
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
    ours.send(settings)
    return popen, ours


def _manner_of_death(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"died by {signal.Signals(-code).name}"
    except ValueError:
        return f"died by signal {-code}"
