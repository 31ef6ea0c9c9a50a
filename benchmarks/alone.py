"""Times alternatives that would disturb each other: each has a process, and one works at a time.

Threads of an ONNX Runtime session spin for a while when a pass has ended, and take the processor
from whatever runs next in the same machine. Sessions in one process slow the shorter pass most.
"""

import multiprocessing
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import median
from typing import TypeAlias

Maker: TypeAlias = Callable[[], Callable[[], object]]
"""Makes a call in its own process; can be pickled."""

REST = 0.3
"""Seconds between two alternatives, in which threads cease to spin."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times longer an alternative takes than the first, over all rounds.

    Attributes:
        median: of the rounds' ratios.
        least: the smallest of them.
        most: the largest of them.
    """

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


def alternating(
    makers: Mapping[str, Maker], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of a call in each round by name: A B C A B C, after a call that is not counted.

    The clock may be `time.process_time`, which leaves out what other processes take.
    """
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        ends = {}
        for name, maker in makers.items():
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, maker, clock), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(ours.close)
            theirs.close()
            ends[name] = ours
        for end in ends.values():
            end.recv()  # ready: nobody's start is measured
        return _rounds(ends, rounds)


def ratios(seconds: Mapping[str, list[float]], first: str) -> dict[str, Ratio]:
    """Every alternative over the first, round by round."""
    found = {}
    for name, values in seconds.items():
        shares = [value / base for value, base in zip(values, seconds[first], strict=True)]
        found[name] = Ratio(median(shares), min(shares), max(shares))
    return found


def _rounds(ends: Mapping[str, Connection], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ends}
    for _ in range(rounds):
        for name, end in ends.items():
            time.sleep(REST)
            end.send(None)
            seconds[name].append(end.recv())
    return seconds


def _serve(end: Connection, maker: Maker, clock: Callable[[], float]) -> None:
    call = maker()
    call()
    end.send(None)
    while True:
        try:
            end.recv()
        except EOFError:
            return
        call()  # brings weights back into the caches
        start = clock()
        call()
        end.send(clock() - start)
