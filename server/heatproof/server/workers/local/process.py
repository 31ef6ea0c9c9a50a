"""The inside of a worker process.

The main thread runs one task after the other. A control thread reads the server's messages: it
hands over tasks, cancels the running one, and ends the process when the server is gone.
"""

import functools
import logging
import os
import pkgutil
import queue
import resource
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from heatproof.evaluators.errors import HeatproofError, InternalError, LimitExceededError
from heatproof.evaluators.registry.plugins import load_plugins
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.streams import take_short_turns
from heatproof.server.library_loading import uncollected
from heatproof.server.workers.documents import WorkerDocuments
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.file_access import FileAccess, SharedFolder
from heatproof.server.workers.limits import WorkerSettings
from heatproof.server.workers.local.encoding import encode_report
from heatproof.server.workers.local.messages import (
    Assign,
    Begun,
    Cancel,
    Order,
    Pulse,
    Report,
)
from heatproof.server.workers.protocol import Done, Event, Failed, Task

if TYPE_CHECKING:
    from heatproof.server.workers.execution.model_cache import ModelCache

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    assignment: Assign
    cancellation: Cancellation = field(default_factory=Cancellation)


class _Line:
    """The worker's end of the pipe; any thread may send."""

    def __init__(self, connection: "Connection[Any, Order]") -> None:
        self.connection = connection
        self._lock = Lock()

    def send(self, number: int, event: Event[Any, Any] | Begun | Pulse) -> None:
        """Sends a report; ends the process when the server is gone.

        Raises:
            TypeError: a value has a type that has no encoding.
            ValueError: it is too large.
        """
        frame = encode_report(Report(number, event))
        try:
            with self._lock:
                self.connection.send_bytes(frame)
        except OSError:
            os._exit(0)


@dataclass(slots=True)
class _Agenda:
    """What the worker has to do.

    Attributes:
        jobs: the jobs that wait.
        latest: the job that came last.
    """

    jobs: "queue.SimpleQueue[_Job]" = field(default_factory=queue.SimpleQueue)
    latest: _Job | None = None

    def add(self, job: _Job) -> None:
        """Takes a job in."""
        self.latest = job
        self.jobs.put(job)

    def cancel(self, number: int) -> None:
        """Stops the latest job, if it has this number."""
        if self.latest is not None and self.latest.assignment.number == number:
            self.latest.cancellation.cancel()


def serve(connection: "Connection[Any, Order]", documents: WorkerDocuments) -> None:
    """Runs the tasks that come through `connection`; ends the process with the server."""
    settings = connection.recv()
    if not isinstance(settings, WorkerSettings):
        message = f"a worker is sent its settings first, not {settings}"
        raise TypeError(message)
    _give_way(settings.niceness)
    take_short_turns()
    line, agenda = _Line(connection), _Agenda()
    Thread(target=_control, args=(connection, agenda), name="control", daemon=True).start()
    Thread(
        target=_beat, args=(line, agenda, settings.pulse_seconds), name="pulse", daemon=True
    ).start()
    blobs = SharedFolder(settings.data_dir, settings.answers_dir)
    open_model_cache = functools.cache(functools.partial(_open_model_cache, settings, blobs))
    if settings.preload:
        open_model_cache()
    while True:
        try:
            job = agenda.jobs.get(timeout=settings.tidy_seconds)
        except queue.Empty:
            _tidy(open_model_cache)
        else:
            context = functools.partial(
                TaskContext, open_model_cache=open_model_cache, documents=documents, blobs=blobs
            )
            _work(job, line, open_model_cache, context)


def _tidy(open_model_cache: "functools._lru_cache_wrapper[ModelCache]") -> None:
    if open_model_cache.cache_info().currsize:
        open_model_cache().tidy()


def _beat(line: _Line, agenda: _Agenda, seconds: float) -> None:
    """Shows the server that this process lives, and how far its task is."""
    while True:
        job = agenda.latest
        number, passes = (job.assignment.number, job.cancellation.passes) if job else (0, 0)
        line.send(number, Pulse(passes))
        time.sleep(seconds)


def _open_model_cache(settings: WorkerSettings, blobs: FileAccess) -> "ModelCache":
    with uncollected():
        from heatproof.server.workers.execution.model_cache import ModelCache  # noqa: PLC0415 - imports for seconds

        load_plugins()
    return ModelCache(settings, blobs)


def _give_way(niceness: int) -> None:
    """Makes this process the one that suffers when something goes wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at a terminal is the server's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(2, 1)  # the server's standard output carries its address
    os.nice(niceness)


def _control(connection: "Connection[Any, Order]", agenda: _Agenda) -> None:
    try:
        while True:
            match connection.recv():
                case Assign() as assignment:
                    agenda.add(_Job(assignment))
                case Cancel(number):
                    agenda.cancel(number)
    except (EOFError, OSError):
        os._exit(0)  # the server is gone; a native call in the main thread must not delay this
    except Exception:  # noqa: BLE001 - a worker that cannot hear must not live on
        _log.exception("worker %d cannot read its orders", os.getpid())
        os._exit(1)


def _work(
    job: _Job,
    line: _Line,
    open_model_cache: "functools._lru_cache_wrapper[ModelCache]",
    context: Callable[..., TaskContext],
) -> None:
    send = functools.partial(line.send, job.assignment.number)
    send(Begun())
    if open_model_cache.cache_info().currsize:
        open_model_cache().begin_task()
    outcome = _outcome(job, context(cancellation=job.cancellation, send=send))
    try:
        send(outcome)
    except (TypeError, ValueError) as error:
        send(Failed(_defect(job.assignment.task, error)))


def _outcome(job: _Job, context: TaskContext) -> Done[Any] | Failed:
    task = job.assignment.task
    try:
        execute: Callable[[Task[Any, Any], TaskContext], Any] = pkgutil.resolve_name(task.executor)
        return Done(execute(task, context))
    except HeatproofError as error:
        return Failed(error)
    except MemoryError:
        return Failed(
            LimitExceededError(
                f"{type(task).__name__} ran out of memory; use {task.way_out}, or give the "
                "workers more"
            )
        )
    except Exception as error:  # noqa: BLE001 - a task may fail in any way, its worker lives on
        return Failed(_defect(task, error))


def _defect(task: Task[Any, Any], error: Exception) -> InternalError:
    """Logs a defect and tells the caller nothing but where to find it."""
    error_id = secrets.token_hex(8)
    name = type(task).__name__
    _log.error("%s failed, error id %s", name, error_id, exc_info=error)
    return InternalError(
        f"{name} failed; the server's log has the reason under error id {error_id}",
        metadata={"error_id": error_id},
    )
