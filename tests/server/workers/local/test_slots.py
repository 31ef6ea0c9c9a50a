"""Which of the workers of a place takes a task."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from heatproof.server.workers.local.handle import Cause, WorkerProcess
from heatproof.server.workers.local.slots import WorkerSlot
from tests.server.workers.fault_tasks import CountOf


@dataclass(eq=False)
class Process:
    """Stands for a process: it knows its models, and whether it lives."""

    number: int
    models: frozenset[str] = frozenset()
    alive: bool = True

    def kill(self, cause: Cause) -> None:
        assert cause is Cause.CLOSED
        self.alive = False


@dataclass
class Place:
    """A slot of such processes, by the order of their start."""

    started: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.slot = WorkerSlot(lambda: cast("WorkerProcess", self._start()))

    def _start(self) -> Process:
        self.started.append(Process(len(self.started)))
        return self.started[-1]

    def turn(self, models: str, *, kept: bool = True) -> int:
        """Runs a task of the models of these letters; which process had it."""
        task = CountOf(0, models=frozenset(models), kept=kept)
        process: Any = self.slot.worker(task)
        process.models |= task.models
        number: int = process.number
        return number

    def turns(self, *turns: str) -> list[int]:
        return [self.turn(models) for models in turns]

    @property
    def living(self) -> list[int]:
        return [process.number for process in self.started if process.alive]


@pytest.fixture
def place() -> Place:
    return Place()


def test_models_that_take_turns_keep_their_workers(place: Place) -> None:
    assert place.turns(*"abababab") == [0, 1] * 4


def test_two_models_and_both_take_three_workers(place: Place) -> None:
    assert place.turns("ab", "a", "ab", "b", "ab", "a", "ab", "b") == [0, 1, 0, 2, 0, 1, 0, 2]


def test_who_has_rested_longest_makes_room(place: Place) -> None:
    assert place.turns(*"abcd") == [0, 1, 2, 3]
    assert place.living == [0, 1, 2, 3]
    assert place.turns(*"ae") == [0, 4]
    assert place.living == [0, 2, 3, 4]
    assert place.turns(*"ab") == [0, 5]


def test_a_worker_that_rests_ends_in_time(place: Place) -> None:
    place.turns(*"ab")
    place.slot.rest(40.0, 60.0)
    place.turns(*"cb")
    place.slot.rest(40.0, 60.0)
    assert place.living == [1, 2]
    place.slot.rest(40.0, 60.0)
    assert place.living == [1]


def test_the_dead_are_neither_chosen_nor_kept(place: Place) -> None:
    place.turns(*"ab")
    for process in place.started:
        process.alive = False
    assert place.turns(*"ab") == [2, 3]
    place.slot.rest(0.0, 60.0)
    assert [cast("Any", process).number for process in place.slot.seated] == [3, 2]


def test_words_that_are_not_kept_go_where_most_models_are(place: Place) -> None:
    place.turns(*"ab")
    assert place.turn("a", kept=False) == 0
    assert place.turn("c", kept=False) == 0
    assert place.turn("a") == 2
    assert place.turn("ac") == 0
