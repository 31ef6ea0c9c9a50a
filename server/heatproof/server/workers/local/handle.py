"""One worker process as the server sees it."""

import asyncio
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from math import ceil
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Final, TypeAlias

import psutil

from heatproof.server.workers.limits import TaskLimits, WorkerSettings
from heatproof.server.workers.local.encoding import MalformedFrameError, decode_report, receive
from heatproof.server.workers.local.mailbox import Mailbox
from heatproof.server.workers.local.messages import (
    Assign,
    Begun,
    Cancel,
    Order,
    Pulse,
    Report,
)
from heatproof.server.workers.local.sandbox.confinement import Confinement
from heatproof.server.workers.protocol import DocumentCheck, Done, Event, Failed, Task

_log = logging.getLogger(__name__)

_SILENT: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""ONNX Runtime would send reports of its use; a worker says nothing to anybody but its server."""

_LINEAR_ALGEBRA: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
"""NumPy's and SciPy's libraries would sum in another order on other numbers of cores, and their
threads spin after each call on cores that passes need."""

_SPARE_PROCESSOR_SECONDS: Final = 60.0
"""Beside a task's seconds on every core: the clock of the server is to end it, not the kernel."""


class Cause(Enum):
    """Why a worker is gone."""

    ITSELF = auto()
    """It died of itself."""
    CLOSED = auto()
    """The server ends."""
    MEMORY = auto()
    """The workers together held too much memory, and this one most of it."""
    SILENCE = auto()
    """Its task showed no progress."""
    UNRESPONSIVE = auto()
    """It gave no sign of life."""
    DISOBEDIENCE = auto()
    """It went on working for a caller who was gone."""
    GARBAGE = auto()
    """It sent what no worker sends."""
    PROCESSOR = auto()
    """The kernel ended it, for its task took all the processor time that it may take."""


@dataclass(frozen=True, slots=True)
class Died:
    """The worker is gone before its task has ended.

    Attributes:
        how: such as `died by SIGSEGV`.
        cause: why.
        fresh: whether the task was its first.
    """

    how: str
    cause: Cause
    fresh: bool


Signal: TypeAlias = Event[Any, Any] | Begun | Died


class WorkerProcess:
    """A running worker; runs one task at a time and is used in the event loop only.

    The process is started by exec, never by fork, and imports nothing of the caller's main module.

    Attributes:
        models: names of the models that it has been told to load.
        idle: set while it has no task.
    """

    def __init__(
        self, settings: WorkerSettings, confinement: Confinement, check: DocumentCheck
    ) -> None:
        self._check = check
        self._loop = asyncio.get_running_loop()
        self._popen, self._connection = _launch(settings, confinement)
        self._usage = psutil.Process(self._popen.pid)
        self._tasks = 0
        self.models: frozenset[str] = frozenset()
        self._task: Task[Any, Any] | None = None
        self._cause: Cause | None = None
        self._mailbox: Mailbox[Signal] | None = None
        self._unheard = self._silent = self._stopped = 0.0
        self._passes = 0
        self._heard = self._begun = False
        self._ended = asyncio.Event()
        self._orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self.idle = asyncio.Event()
        self.idle.set()
        for loop in (self._read, self._write):
            threading.Thread(target=loop, name=f"worker-{self.pid}", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it can take tasks."""
        return self._cause is None and not self._ended.is_set()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def memory_bytes(self) -> int:
        """Memory that only its end would free: pages of files are left out."""
        try:
            info = self._usage.memory_info()
        except psutil.Error:
            return 0
        return int(info.rss) - int(getattr(info, "shared", 0))

    def assign(self, task: Task[Any, Any], seconds: float) -> Mailbox[Signal]:
        """Starts a task that may take so long; its signals end with Done, Failed or Died."""
        self._bound_processor(seconds)
        self._tasks, self._task = self._tasks + 1, task
        self.models |= task.models_loaded()
        mailbox: Mailbox[Signal] = Mailbox()
        self._mailbox = mailbox
        self._silent, self._passes, self._begun = 0.0, 0, False
        self.idle.clear()
        if self._ended.is_set():
            self._deliver_death()
        else:
            self._orders.put(Assign(self._tasks, task))
        return mailbox

    def _bound_processor(self, seconds: float) -> None:
        """Lets the kernel end the process, should nobody be there to end its task."""
        if not hasattr(self._usage, "rlimit"):  # of Linux alone
            return
        with suppress(psutil.Error, OSError):  # a dead worker is noticed by its reader
            used = self._usage.cpu_times()
            cores = len(self._usage.cpu_affinity())
            soft = ceil(used.user + used.system + cores * seconds + _SPARE_PROCESSOR_SECONDS)
            _, hard = self._usage.rlimit(psutil.RLIMIT_CPU)
            self._usage.rlimit(psutil.RLIMIT_CPU, (soft, hard))

    async def obeys(self, seconds: float) -> bool:
        """Cancels the running task and says whether it ends within this time."""
        if not self.idle.is_set():
            self._orders.put(Cancel(self._tasks))
            if self._mailbox is not None:
                self._mailbox.abandon()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.idle.wait()
        return self.idle.is_set()

    def watch(self, seconds: float, limits: TaskLimits) -> None:
        """Kills the process if it, or its task, has been silent for too long.

        Args:
            seconds: time since the last call.
            limits: how long is too long.
        """
        if not self.alive or (self._mailbox is not None and not self._mailbox.empty):
            return  # an unread signal: the silence is the reader's
        self._unheard += seconds
        self._silent += seconds if self._begun else 0.0
        self._stopped = self._stopped + seconds if self._is_stopped() else 0.0
        is_stopped = self._stopped > limits.stopped_seconds
        patience = limits.unresponsive_seconds if self._heard else limits.start_seconds
        if is_stopped or self._unheard > patience:
            state = "is stopped by a signal" if is_stopped else "gives no sign of life"
            _log.warning("worker %d %s and is replaced", self.pid, state)
            self.kill(Cause.UNRESPONSIVE)
        elif self._silent > limits.silence_seconds:
            _log.warning("worker %d shows no progress and is killed", self.pid)
            self.kill(Cause.SILENCE)

    def kill(self, cause: Cause) -> None:
        """Ends the process at once; the first cause counts."""
        self._cause = self._cause or cause
        if self._mailbox is not None:
            self._mailbox.open_to_all()
        with suppress(ProcessLookupError):
            self._popen.kill()

    async def close(self, cause: Cause = Cause.CLOSED) -> None:
        """Ends the process at once and waits for its end; workers hold nothing worth saving."""
        self.kill(cause)
        await self._ended.wait()

    def _is_stopped(self) -> bool:
        try:
            return bool(self._usage.status() == psutil.STATUS_STOPPED)
        except psutil.Error:
            return False

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
                self._pass_on(receive(self._connection))
        except (EOFError, OSError):
            pass
        except MalformedFrameError as error:
            _log.error("worker %d sent what no worker sends and is killed: %s", self.pid, error)
            self._cause = self._cause or Cause.GARBAGE
        with suppress(ProcessLookupError):
            self._popen.kill()
        self._popen.wait()
        self._orders.put(None)
        self._forward(self._end)

    def _pass_on(self, frame: bytes) -> None:
        mailbox, task, number = self._mailbox, self._task, self._tasks
        report = decode_report(frame, task, number, self._check)
        if report is None:
            return
        if not isinstance(report.event, Pulse) and mailbox is not None:
            mailbox.reserve(len(frame))
        self._forward(self._deliver, report)

    def _forward(self, call: Callable[..., None], *args: object) -> None:
        with suppress(RuntimeError):  # the event loop has been closed
            self._loop.call_soon_threadsafe(call, *args)

    def _deliver(self, report: Report) -> None:
        self._unheard, self._heard = 0.0, True
        if report.number != self._tasks or self._mailbox is None:
            return
        if isinstance(report.event, Pulse):
            self._silent = 0.0 if report.event.passes != self._passes else self._silent
            self._passes = report.event.passes
            return
        self._silent, self._begun = 0.0, True
        self._mailbox.put(report.event)
        if isinstance(report.event, Done | Failed):
            self._mailbox, self._begun = None, False
            self.idle.set()

    def _end(self) -> None:
        self._ended.set()
        self._deliver_death()

    def _deliver_death(self) -> None:
        if self._mailbox is not None:
            cause = self._cause or _own_cause(self._popen.returncode)
            how = _manner_of_death(self._popen.returncode, cause)
            self._mailbox.put(Died(how, cause, fresh=self._tasks == 1))
            self._mailbox = None
        self.idle.set()


def _own_cause(returncode: int | None) -> Cause:
    return Cause.PROCESSOR if returncode == -signal.SIGXCPU else Cause.ITSELF


def _launch(
    settings: WorkerSettings, confinement: Confinement
) -> "tuple[subprocess.Popen[bytes], Connection[Order, bytes]]":
    ours, theirs = Pipe()
    with theirs:
        arguments = (str(theirs.fileno()), confinement.text())
        command = [sys.executable, "-P", "-m", "heatproof.server.worker", *arguments]
        popen = subprocess.Popen(  # noqa: S603 - our own module, a number and settings
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, **_SILENT, **_LINEAR_ALGEBRA},
        )
    ours.send(settings)
    return popen, ours


def _manner_of_death(code: int | None, cause: Cause) -> str:
    if cause is Cause.UNRESPONSIVE:
        return "gave no sign of life"
    if cause is Cause.GARBAGE:
        return "sent what no worker sends"
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"died by {signal.Signals(-code).name}"
    except ValueError:
        return f"died by signal {-code}"
