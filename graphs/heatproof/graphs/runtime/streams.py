"""Runs batches beside each other, and beside whoever asks for them."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from heatproof.evaluators.errors import CancelledError
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.graphs.runtime.grouping import Grouping

_TURN_SECONDS: Final = 0.0005


def take_short_turns() -> None:
    """Has Python's threads take turns ten times as often, in a process that is there for passes.

    A stream that has run a pass waits for its turn before it can begin the next one.
    """
    sys.setswitchinterval(_TURN_SECONDS)


class Streams:
    """Threads that passes run in.

    Passes of sessions with one thread run side by side, one on each core: no thread waits for
    another inside an operator, and no score depends on how an operator is cut among threads.
    Several cores have one more pass than cores, so that none is idle while answers are handed out.
    Passes of sessions that use all cores run one at a time.

    Attributes:
        side_by_side: passes of one thread that run at once.
    """

    def __init__(self, cores: int) -> None:
        self.side_by_side = cores + (cores > 1)
        self._side_by_side = ThreadPoolExecutor(self.side_by_side, "stream")
        self._one_at_a_time = ThreadPoolExecutor(1, "all-cores")

    def submit(self, call: Callable[[], None], *, alone: bool) -> None:
        """Runs a call when its turn comes; `alone` if it uses all cores."""
        (self._one_at_a_time if alone else self._side_by_side).submit(call)


Answering = Callable[[Sequence[Batch]], list[Answers]]
"""Answers batches of one pass in one run."""


@dataclass(slots=True, eq=False)
class _Waiting:
    batch: Batch
    future: "Future[Answers]" = field(default_factory=Future)


class Lane:
    """Batches of one pass that wait for a core; a run takes as many as its session groups."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()

    def submit(
        self,
        batch: Batch,
        answer: Answering,
        streams: Streams,
        grouping: Grouping,
        *,
        alone: bool,
    ) -> "Future[Answers]":
        """Queues a batch.

        Args:
            batch: what the pass is run on.
            answer: runs it, perhaps with others that wait.
            streams: where it runs.
            grouping: how many batches a run takes.
            alone: whether a run uses all cores.
        """
        waiting = _Waiting(batch)
        with self._lock:
            self._waiting.append(waiting)
        streams.submit(partial(self._run, answer, grouping), alone=alone)
        return waiting.future

    def _run(self, answer: Answering, grouping: Grouping) -> None:
        """Runs what has waited longest; nothing if another run took it along."""
        with self._lock:
            if not self._waiting:
                return
            count = grouping.next(len(self._waiting))
            taken = [self._waiting.popleft() for _ in range(count)]
        wanted = [one for one in taken if one.future.set_running_or_notify_cancel()]
        if wanted[1:] and not _settled(wanted, answer):
            grouping.refute(count)
        grouping.release(count)
        for one in wanted:
            if not one.future.done():
                _settle([one], answer)


def _settled(several: Sequence[_Waiting], answer: Answering) -> bool:
    """Whether batches could be run together; else each is run alone, for one may be at fault."""
    try:
        _hand_out(several, answer)
    except CancelledError as error:
        _fail(several, error)
    except Exception:  # noqa: BLE001  # whichever it is, it comes again where it belongs
        return False
    return True


def _settle(one: Sequence[_Waiting], answer: Answering) -> None:
    try:
        _hand_out(one, answer)
    except Exception as error:  # noqa: BLE001  # whoever waits gets it
        _fail(one, error)


def _hand_out(several: Sequence[_Waiting], answer: Answering) -> None:
    found = answer([one.batch for one in several])
    for one, answers in zip(several, found, strict=True):
        one.future.set_result(answers)


def _fail(several: Sequence[_Waiting], error: Exception) -> None:
    for one in several:
        one.future.set_exception(error)
