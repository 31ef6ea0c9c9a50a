"""How many batches a run takes: the fastest count, and none that changes a bit."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidModelError
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.graphs.runtime.grouping import COUNTS, Grouping
from heatproof.graphs.runtime.sessions import Session
from heatproof.graphs.runtime.streams import Lane, Streams
from tests.graphs.evaluations.test_bit_equality import NETWORKS
from tests.graphs.runtime.test_streams import PASSES, PLAIN, batches, bits, predictor

Parse = Callable[[str], onnx.ModelProto]

PLENTY = 100
"""Batches that wait."""


def settled(
    seconds: Mapping[int, float], holds: Callable[[int], bool] = lambda _: True
) -> tuple[list[int], Grouping]:
    """Runs batches that take so long by count until nothing changes any more."""
    grouping, taken = Grouping(), list[int]()
    for _ in range(PLENTY):
        count = grouping.next(PLENTY)
        taken.append(count)
        grouping.note(count, seconds[count])
        if not grouping.is_proven(count):
            grouping.prove(count, holds=holds(count))
    return taken, grouping


@pytest.mark.parametrize(
    ("seconds", "chosen", "tried"),
    [
        ({1: 3.0, 2: 2.0, 4: 1.0}, 4, {2: 12, 4: 12}),
        ({1: 3.0, 2: 1.0, 4: 2.0}, 2, {2: 12, 4: 12}),
        ({1: 1.0, 2: 2.0, 4: 0.5}, 1, {2: 4, 4: 0}),  # once a run is too large, larger ones are
        ({1: 1.0, 2: 0.98, 4: 2.0}, 1, {2: 12, 4: 4}),
        ({1: 1.0, 2: 0.98, 4: 0.98}, 1, {2: 12, 4: 12}),  # hardly faster, and takes more memory
        ({1: 1.0, 2: 0.9, 4: 0.89}, 2, {2: 12, 4: 12}),
    ],
)
def test_the_fastest_count_is_used(
    seconds: Mapping[int, float], chosen: int, tried: Mapping[int, int]
) -> None:
    taken, grouping = settled(seconds)
    trials = taken[: 16 + sum(tried.values())]
    assert grouping.chosen == chosen
    assert set(taken[:16]) == {1}  # of a small evaluation
    assert {count: trials.count(count) for count in tried} == tried
    assert set(taken[len(trials) :]) == {chosen}


def test_single_slow_runs_choose_nothing() -> None:
    grouping = Grouping()
    rng = np.random.default_rng(0)
    for _ in range(PLENTY):
        count = grouping.next(PLENTY)
        grouping.note(count, (0.8 if count == 2 else 1.0) * (50.0 if rng.random() < 0.2 else 1.0))
        grouping.prove(count, holds=True)
    assert grouping.next(PLENTY) == 2


def test_a_count_is_proven_by_one_run_at_a_time() -> None:
    grouping = Grouping(fixed=4)
    assert [grouping.next(PLENTY) for _ in range(3)] == [4, 1, 1]
    grouping.release(4)  # cancelled, say
    assert grouping.next(PLENTY) == 4
    grouping.prove(4, holds=True)
    assert grouping.next(PLENTY) == 4


def test_no_run_takes_more_than_waits() -> None:
    _, grouping = settled({1: 3.0, 2: 2.0, 4: 1.0})
    assert [grouping.next(waiting) for waiting in range(1, 7)] == [1, 2, 2, 4, 4, 4]


def test_a_count_that_changes_bits_is_tried_once() -> None:
    taken, grouping = settled({1: 3.0, 2: 2.0, 4: 1.0}, holds=lambda count: count != 4)
    assert taken.count(4) == 1
    assert grouping.next(PLENTY) == 2


def test_nothing_is_chosen_before_all_counts_were_timed() -> None:
    grouping = Grouping()
    for _ in range(36):
        count = grouping.next(PLENTY)
        grouping.note(count, 1.0 / count)
        grouping.prove(count, holds=True)
        assert grouping.chosen == 1


def test_a_fixed_count_is_chosen_once_it_is_proven() -> None:
    grouping = Grouping(4)
    assert grouping.chosen == 1
    grouping.prove(4, holds=True)
    assert grouping.chosen == 4


def test_every_kind_of_pass_tells_how_it_is_run(text_model: Parse) -> None:
    model = predictor(text_model(NETWORKS["models/nchw"]), cores=2, grouped=4)
    assert model.ways_run() == frozenset()
    for run in (PASSES["plain"], PASSES["layer-masked"], PASSES["with gradient"]):
        for future in [model.submit(run, batch) for batch in batches(run, 2)]:
            future.result()
    told = {way.rpartition(" x 3 x 1")[0].rpartition(" ")[0] for way in model.ways_run()}
    assert told == {"plain", "layer-masked", "gradient"}
    assert {way.split()[1] for way in model.ways_run()} <= {"2", "8"}


@pytest.mark.parametrize("fixed", COUNTS)
def test_a_fixed_count_is_used_from_the_first_run_on_unless_it_changes_bits(fixed: int) -> None:
    grouping = Grouping(fixed)
    assert grouping.next(PLENTY) == fixed
    grouping.prove(fixed, holds=True)
    assert [grouping.next(PLENTY) for _ in range(PLENTY)] == [fixed] * PLENTY
    if fixed > 1:
        grouping.refute(fixed)
        assert grouping.next(PLENTY) == 1


def seen(monkeypatch: pytest.MonkeyPatch, *, shift: float = 0.0) -> list[int]:
    """Rows of every run from here on; those of several batches come out shifted."""
    run, rows = Session.run, list[int]()

    def running(
        session: Session, feeds: Mapping[str, NDArray[np.float32]], *arguments: object
    ) -> list[NDArray[np.float32]]:
        rows.append(len(feeds["image"]))
        found = run(session, feeds, *arguments)  # type: ignore[arg-type] # handed on as they came
        return [array + np.float32(shift * (rows[-1] > 2)) for array in found]

    monkeypatch.setattr(Session, "run", running)
    return rows


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", PASSES)
def test_batches_that_share_a_run_have_the_bits_of_each_alone(
    text_model: Parse, network: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, run = text_model(NETWORKS[network]), PASSES[kind]
    expected = bits(predictor(model, cores=1, grouped=1), run, 2)
    built = predictor(model, cores=1, grouped=4)
    bits(built, run, 2)  # proves the count
    rows = seen(monkeypatch)
    for _ in range(3):
        assert bits(built, run, 2) == expected
    assert 8 in rows


def test_bits_are_those_of_single_batches_where_larger_runs_have_others(
    text_model: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = text_model(NETWORKS["models/nchw"])
    expected = bits(predictor(model, cores=1, grouped=1), PLAIN, 2)
    built = predictor(model, cores=1, grouped=4)
    built.submit(PLAIN, next(batches(PLAIN, 2))).result()  # compares the rows of the model
    rows = seen(monkeypatch, shift=1e-6)
    assert [bits(built, PLAIN, 2) for _ in range(4)] == [expected] * 4
    assert rows.count(8) == 1


def test_time_in_which_a_run_does_not_work_chooses_no_count(
    text_model: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    built, run = predictor(text_model(NETWORKS["models/nchw"]), cores=1, grouped=0), Session.run

    def running(
        session: Session, feeds: Mapping[str, NDArray[np.float32]], *arguments: object
    ) -> list[NDArray[np.float32]]:
        """Single batches take work, others longer without any."""
        if len(feeds["image"]) > 2:
            time.sleep(0.05)
        else:
            end = time.thread_time() + 0.002
            while time.thread_time() < end:
                pass
        return run(session, feeds, *arguments)  # type: ignore[arg-type] # handed on as they came

    monkeypatch.setattr(Session, "run", running)
    hold: Future[None] = Future()
    built._sessions.streams.submit(lambda: hold.result(timeout=60), alone=False)
    shown = list(batches(PLAIN, 2)) * (PLENTY // 6)
    under_way = [built.submit(PLAIN, batch) for batch in shown]
    hold.set_result(None)
    for future in under_way:
        future.result(timeout=60)
    assert list(built.measured_run_sizes().values()) == [4]


def painted(value: float) -> Batch:
    return Batch(np.full((2, 3, 1, 1), value, np.float32))


class Counting:
    """Answers with the rows of the whole run; refuses runs with a batch of ones."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def __call__(self, several: Sequence[Batch]) -> list[Answers]:
        self.runs.append(len(several))
        if any(batch.images.all() for batch in several):
            raise InvalidModelError("one of them is at fault")
        return [Answers(batch.images[:, :, 0, 0]) for batch in several]


def test_a_batch_at_fault_fails_alone() -> None:
    streams, grouping, lane, answer = Streams(1), Grouping(fixed=4), Lane(), Counting()
    hold: Future[None] = Future()
    streams.submit(lambda: hold.result(timeout=60), alone=False)
    under_way = [
        lane.submit(painted(value), answer, streams, grouping, alone=False)
        for value in (0.0, 1.0, 0.0, 0.0)
    ]
    hold.set_result(None)
    with pytest.raises(InvalidModelError, match="at fault"):
        under_way[1].result(timeout=60)
    assert all(under_way[place].result(timeout=60).logits.shape == (2, 3) for place in (0, 2, 3))
    assert answer.runs == [4, 1, 1, 1, 1]


def test_batches_that_nobody_wants_any_more_are_not_run() -> None:
    streams, lane, answer = Streams(1), Lane(), Counting()
    hold: Future[None] = Future()
    streams.submit(lambda: hold.result(timeout=60), alone=False)
    under_way = [
        lane.submit(painted(0), answer, streams, Grouping(fixed=2), alone=False) for _ in range(4)
    ]
    assert under_way[1].cancel()
    hold.set_result(None)
    assert [one.result(timeout=60).logits.shape for one in under_way if one is not under_way[1]]
    assert answer.runs == [1, 2]
