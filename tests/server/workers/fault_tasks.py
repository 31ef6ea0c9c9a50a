"""Tasks that misbehave, and what they do in the worker."""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from heatproof.evaluators.errors import InvalidImageError
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.limits import Amount, Effort
from heatproof.server.workers.protocol import Document, Task
from heatproof.server.workers.tasks import PredictMasked


@dataclass(frozen=True, slots=True)
class Count(Task[int, int]):
    """Emits the numbers below `to`; in the first attempts kills its worker at `deadly`."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:count"
    partial: ClassVar[Any] = int
    value: ClassVar[Any] = int

    to: int
    deadly: int = -1
    diary: Path = Path("/dev/null")
    deaths: int = 0


def count(task: Count, context: TaskContext) -> int:
    attempts = _written(task.diary)
    for number in range(task.to):
        context.report(f"number {number}", predictions=number)
        if number == task.deadly and attempts <= task.deaths:
            os.kill(os.getpid(), signal.SIGSEGV)
        context.emit(number)
    return os.getpid()


def _written(diary: Path) -> int:
    """Notes an attempt and counts those noted so far."""
    with diary.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len(diary.read_text().splitlines()) if diary.is_file() else 1


@dataclass(frozen=True, slots=True)
class CountOnPaper(Count):
    """Counts as a task does that writes files."""

    effort: ClassVar[Effort] = Effort.REWRITING


@dataclass(frozen=True, slots=True)
class CountOf(Count):
    """Counts as a task does that loads models, and whose words are kept or not."""

    models: frozenset[str] = frozenset()
    kept: bool = True

    def models_loaded(self) -> frozenset[str]:
        return self.models

    def is_kept(self) -> bool:
        return self.kept


@dataclass(frozen=True, slots=True)
class Refuse(Task[object, None]):
    """Raises a domain error."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:refuse"


def refuse(_task: Refuse, _bench: TaskContext) -> NoReturn:
    raise InvalidImageError("it is no image", field="images[3]", metadata={"image": "3"})


@dataclass(frozen=True, slots=True)
class Blunder(Task[object, None]):
    """Raises what nobody expects."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:blunder"


def blunder(_task: Blunder, _bench: TaskContext) -> NoReturn:
    message = "surprise"
    raise KeyError(message)


@dataclass(frozen=True, slots=True)
class Wait(Task[object, str]):
    """Works until it is cancelled; a deaf one does not listen, a busy one never rests."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:wait"
    value: ClassVar[Any] = str
    effort: ClassVar[Effort] = Effort.INSPECTION
    way_out: ClassVar[str] = "something shorter"

    deaf: bool = False
    busy: bool = False
    model_bytes: int = 0

    def amount(self) -> Amount:
        return Amount(model_bytes=self.model_bytes)


def wait(task: Wait, context: TaskContext) -> str:
    context.report("waiting")
    while task.deaf or not context.cancellation.cancelled:
        time.sleep(0 if task.busy else 0.005)  # stands for a native call
    context.cancellation.check()
    return "done"


@dataclass(frozen=True, slots=True)
class Eat(Task[object, int]):
    """Holds memory for as long as it can."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:eat"
    value: ClassVar[Any] = int

    mebibytes: int
    seconds: float = 60.0


def eat(task: Eat, context: TaskContext) -> int:
    context.report("eating")
    food = np.ones(task.mebibytes << 17)
    end = time.monotonic() + task.seconds
    while time.monotonic() < end:
        context.cancellation.check()
        time.sleep(0.005)
    return food.nbytes


@dataclass(frozen=True, slots=True)
class Pass(Task[object, str]):
    """Ends passes of a network at short intervals, and reports nothing."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:run_passes"
    value: ClassVar[Any] = str

    seconds: float


def run_passes(task: Pass, context: TaskContext) -> str:
    end = time.monotonic() + task.seconds
    while time.monotonic() < end:
        with context.cancellation.run(lambda: None):
            time.sleep(0.005)
    return "done"


@dataclass(frozen=True, slots=True)
class Flood(Task[bytes, None]):
    """Emits large parts and notes each in a file."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:flood"
    partial: ClassVar[Any] = bytes

    parts: int
    part_bytes: int
    diary: Path


def flood(task: Flood, context: TaskContext) -> None:
    for _ in range(task.parts):
        context.emit(bytes(task.part_bytes))
        _written(task.diary)


@dataclass(frozen=True, slots=True)
class Betray(Task[object, int]):
    """Sends its server these bytes in place of frames."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:betray"
    value: ClassVar[Any] = int

    sent: bytes


def betray(task: Betray, context: TaskContext) -> int:
    context.report("betraying")
    line: Any = context.send.func.__self__  # type: ignore[attr-defined] # a partial of the line's method
    written = 0
    while written < len(task.sent):
        written += os.write(line.connection.fileno(), task.sent[written:])
    time.sleep(60)
    return 0


@dataclass(frozen=True, slots=True)
class Trespass(Task[object, dict[str, str]]):
    """Tries everything that a worker must not do; its value is what came of each act."""

    executor: ClassVar[str] = "tests.server.workers.trespassing:trespass"
    value: ClassVar[Any] = dict[str, str]

    secret: Path
    blob: Path
    scratch: Path


@dataclass(frozen=True, slots=True)
class PredictUnchecked(Task[object, bytes]):
    """Predicts with a loader that opens whatever a model names."""

    executor: ClassVar[str] = "tests.server.workers.trespassing:predict_unchecked"
    value: ClassVar[Any] = Document("PredictResponse")

    task: PredictMasked


_hoard: list[np.ndarray] = []


@dataclass(frozen=True, slots=True)
class Hoard(Task[object, int]):
    """Leaves memory behind for the next task."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:hoard"
    value: ClassVar[Any] = int

    mebibytes: int


def hoard(task: Hoard, _bench: TaskContext) -> int:
    _hoard.append(np.ones(task.mebibytes << 17))
    return os.getpid()


@dataclass(frozen=True, slots=True)
class Multiply(Task[object, float]):
    """Multiplies matrices; its value is the share of the work that other threads did."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:multiply"
    value: ClassVar[Any] = float


def multiply(_task: Multiply, _bench: TaskContext) -> float:
    matrix = np.ones((1024, 1024))
    own, all_threads = time.thread_time(), time.process_time()
    for _ in range(4):
        _ = matrix @ matrix
    own, all_threads = time.thread_time() - own, time.process_time() - all_threads
    return 1 - own / all_threads


@dataclass(frozen=True, slots=True)
class Describe(Task[object, dict[str, object]]):
    """Tells how its worker lives."""

    executor: ClassVar[str] = "tests.server.workers.fault_tasks:describe"
    value: ClassVar[Any] = dict[str, int | str | bool]


def describe(_task: Describe, _bench: TaskContext) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "main": sys.modules["__main__"].__file__,
        "niceness": os.nice(0),
        "interrupts": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
    }
