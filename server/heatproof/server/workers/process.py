"""The inside of a worker process.

The main thread runs one task after the other. A control thread reads the server's messages: it
hands over tasks, cancels the running one, and ends the process when the server is gone.
"""

import functools
import logging
import os
import pickle
import pkgutil
import queue
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from heatproof.evaluators.errors import HeatproofError, InternalError, LimitExceededError
from heatproof.evaluators.plugins import load_plugins
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.server.workers.bench import Bench
from heatproof.server.workers.messages import Assign, Cancel, Order, Report, WorkerSettings
from heatproof.server.workers.protocol import Done, Event, Failed, Task

if TYPE_CHECKING:
    from heatproof.server.workers.shelf import Shelf

_OOM_SCORE: Final = "500"
"""Out of memory, the kernel shall choose a worker and never the server."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    assignment: Assign
    cancellation: Cancellation = field(default_factory=Cancellation)


def serve(connection: "Connection[Report, Order]") -> None:
    """Runs the tasks that come through `connection`; ends the process with the server."""
    settings = connection.recv()
    if not isinstance(settings, WorkerSettings):
        message = f"a worker is sent its settings first, not {settings}"
        raise TypeError(message)
    _give_way(settings.niceness)
    jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
    Thread(target=_control, args=(connection, jobs), name="control", daemon=True).start()
    open_shelf = functools.cache(functools.partial(_open_shelf, settings))
    if settings.preload:
        open_shelf()
    while True:
        _work(jobs.get(), connection, open_shelf)


def _open_shelf(settings: WorkerSettings) -> "Shelf":
    from heatproof.server.workers.shelf import Shelf  # noqa: PLC0415 - imports for seconds

    load_plugins()
    return Shelf(settings)


def _give_way(niceness: int) -> None:
    """Makes this process the one that suffers when something goes wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at a terminal is the server's
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(2, 1)  # the server's standard output carries its address
    os.nice(niceness)
    with suppress(OSError):  # other systems than Linux, or forbidden
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _control(connection: "Connection[Report, Order]", jobs: "queue.SimpleQueue[_Job]") -> None:
    latest: _Job | None = None
    try:
        while True:
            match connection.recv():
                case Assign() as assignment:
                    latest = _Job(assignment)
                    jobs.put(latest)
                case Cancel(number) if latest and latest.assignment.number == number:
                    latest.cancellation.cancel()
    except (EOFError, OSError):
        os._exit(0)  # the server is gone; a native call in the main thread must not delay this
    except Exception:  # noqa: BLE001 - a worker that cannot hear must not live on
        _log.exception("worker %d cannot read its orders", os.getpid())
        os._exit(1)


def _work(
    job: _Job, connection: "Connection[Report, Order]", open_shelf: "Callable[[], Shelf]"
) -> None:
    number = job.assignment.number

    def send(event: Event[Any, Any]) -> None:
        try:
            connection.send(Report(number, event))
        except OSError:
            os._exit(0)  # the server is gone

    outcome = _outcome(job, Bench(job.cancellation, send, open_shelf))
    try:
        send(outcome)
    except (pickle.PicklingError, AttributeError, TypeError, ValueError) as error:
        send(Failed(InternalError(f"a result cannot be sent: {error}")))


def _outcome(job: _Job, bench: Bench) -> Done[Any] | Failed:
    task = job.assignment.task
    try:
        execute: Callable[[Task[Any, Any], Bench], Any] = pkgutil.resolve_name(task.executor)
        return Done(execute(task, bench))
    except HeatproofError as error:
        return Failed(error)
    except MemoryError:
        return Failed(LimitExceededError(f"{type(task).__name__} ran out of memory"))
    except Exception as error:  # noqa: BLE001 - a task may fail in any way, its worker lives on
        _log.exception("%s failed", type(task).__name__)
        return Failed(InternalError(f"{type(task).__name__}: {type(error).__name__}: {error}"))
