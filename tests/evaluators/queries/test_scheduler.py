import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import numpy as np
import pytest

from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.queries.procedure import (
    CHUNK,
    LazyImage,
    MaskedView,
    Prediction,
    Procedure,
    ask,
    predict,
    respond,
    together,
)
from heatproof.evaluators.queries.scheduler import Job
from tests.evaluators import toys
from tests.evaluators.toys import BATCH, SIDE, ToyPredictor, facts, linear, pixels, scheduler, view

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))


def job(seed: int, tasks: int = 3) -> Job[tuple[int, list[float]]]:
    found = yield [one(seed * 100 + index) for index in range(tasks)]
    again = yield [one(seed * 100 + 50)]
    return seed, [*found, *again]


def one(seed: int) -> Procedure[float]:
    answer = yield from predict(view(LazyImage.of(pixels(seed))))
    return float(answer.logits[0])


def test_results_come_in_the_order_of_the_jobs_even_if_later_ones_end_first() -> None:
    batcher = Batcher(linear(WEIGHTS))
    sizes = [9, 1, 5, 1, 1]
    jobs = (job(seed, size) for seed, size in enumerate(sizes))
    found = list(scheduler([batcher], 3).run(jobs))
    assert [seed for seed, _ in found] == [0, 1, 2, 3, 4]
    predictor = linear(WEIGHTS)
    for seed, logits in found:
        seeds = [*range(seed * 100, seed * 100 + sizes[seed]), seed * 100 + 50]
        expected = [float(np.float32(predictor._logits(pixels(own))[0])) for own in seeds]
        assert logits == expected


@pytest.mark.parametrize("window", [1, 2, 7])
def test_jobs_are_fetched_when_their_turn_comes_and_only_a_window_of_them(window: int) -> None:
    batcher = Batcher(linear(WEIGHTS))
    fetched: list[int] = []

    def jobs() -> Iterator[Job[tuple[int, list[float]]]]:
        for seed in range(12):
            fetched.append(seed)
            yield job(seed)

    given = 0
    for _ in scheduler([batcher], window).run(jobs()):
        assert len(fetched) <= given + window
        given += 1
    assert given == len(fetched) == 12


def test_batches_are_full_while_there_is_work() -> None:
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor)
    jobs = (job(seed) for seed in range(20))
    done = list(scheduler([batcher], 16).run(jobs))
    assert len(done) == 20
    assert batcher.rows_done == 80
    assert len(predictor.batches) <= 80 // BATCH + 2


def test_waiting_queries_stay_few_however_many_a_procedure_asks() -> None:
    batcher = Batcher(linear(WEIGHTS))
    waiting: list[int] = []
    drawn = 0

    def views() -> Iterator[MaskedView]:
        nonlocal drawn
        for seed in range(1000):
            drawn += 1
            yield view(LazyImage(str(seed), lambda: pixels(0)))

    def asking() -> Job[int]:
        found = yield [
            respond(views(), lambda answer: float(answer.probabilities[0])) for _ in range(1)
        ]
        return len(found[0].values)

    rounds = scheduler([batcher], 4, lambda: waiting.append(batcher.waiting))
    assert list(rounds.run(iter([asking()]))) == [1000]
    assert drawn == 1000
    assert max(waiting) <= CHUNK + BATCH


def test_many_procedures_are_started_only_as_batches_need_them() -> None:
    batcher = Batcher(linear(WEIGHTS))
    started: list[int] = []
    most = 0

    def tracked(index: int) -> Procedure[float]:
        started.append(index)
        return (yield from one(index))

    def asking() -> Job[int]:
        found = yield [tracked(index) for index in range(200)]
        return len(found)

    def watch() -> None:
        nonlocal most
        most = max(most, len(started) - batcher.rows_done)

    assert list(scheduler([batcher], 1, watch).run(iter([asking()]))) == [200]
    assert most <= 2 * BATCH


def test_procedures_and_jobs_that_ask_nothing_end_at_once() -> None:
    batcher = Batcher(linear(WEIGHTS))

    def silent() -> Procedure[int]:
        yield []
        yield from ()
        return 7

    def idle(seed: int) -> Job[int]:
        none = yield []
        found = yield [silent(), silent()]
        return seed + sum(found) + len(none)

    found = list(scheduler([batcher], 2).run(idle(seed) for seed in range(1200)))
    assert found == [seed + 14 for seed in range(1200)]  # and no recursion without end


def test_answers_that_are_known_do_not_nest_without_end() -> None:
    batcher = Batcher(linear(WEIGHTS))

    def asking() -> Procedure[int]:
        for _ in range(1500):
            answer = yield from predict(view(LazyImage.of(pixels(0))))
            assert isinstance(answer, Prediction)
        return 1

    def job() -> Job[int]:
        found = yield [asking()]
        return sum(found)

    assert list(scheduler([batcher], 1).run(iter([job()]))) == [1]
    assert batcher.rows_done == 1


def test_an_error_of_a_procedure_ends_the_run() -> None:
    batcher = Batcher(linear(WEIGHTS))

    def failing() -> Procedure[int]:
        yield from predict(view(LazyImage.of(pixels(0))))
        raise ZeroDivisionError

    def job() -> Job[int]:
        yield [failing()]
        return 0

    with pytest.raises(ZeroDivisionError):
        list(scheduler([batcher], 1).run(iter([job()])))


def test_procedures_side_by_side_share_batches_and_keep_their_results() -> None:
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor)

    def steps(seed: int, count: int) -> Procedure[list[float]]:
        found: list[float] = []
        for step in range(count):
            found += [(yield from one(seed * 100 + step))]
        return found

    def all_steps() -> Procedure[list[list[float]]]:
        return (yield from together(steps(seed, count) for seed, count in enumerate(COUNTS)))

    def whole() -> Job[list[list[float]]]:
        (found,) = yield [all_steps()]
        return list(found)

    (found,) = scheduler([batcher], 1).run(iter([whole()]))
    alone = [alone_asked(steps(seed, count)) for seed, count in enumerate(COUNTS)]
    assert found == alone
    assert len(predictor.batches) == max(COUNTS)


COUNTS = (3, 0, 1, 2)


def alone_asked(procedure: Procedure[list[float]]) -> list[float]:
    batcher = Batcher(linear(WEIGHTS))

    def job() -> Job[list[float]]:
        (found,) = yield [procedure]
        return list(found)

    (found,) = scheduler([batcher], 1).run(iter([job()]))
    return found


def test_parts_may_ask_for_nothing_or_fail() -> None:
    def silent() -> Procedure[int]:
        answers = yield from ask(list[MaskedView]())
        return len(answers)

    def failing() -> Procedure[int]:
        yield from ask([view(LazyImage.of(pixels(0)))])
        raise ZeroDivisionError

    assert toys.ask(together([silent(), silent()]), linear(WEIGHTS)) == [0, 0]
    assert toys.ask(together(list[Procedure[int]]()), linear(WEIGHTS)) == []
    with pytest.raises(ZeroDivisionError):
        toys.ask(together([silent(), failing()]), linear(WEIGHTS))


class Streams(ToyPredictor):
    """A linear toy that answers the batches under way in an order of its own."""

    def __init__(self, in_flight: int, *, reverse: bool) -> None:
        def logits(image: np.ndarray) -> np.ndarray:
            return np.array([(WEIGHTS * image.astype(np.float64)).sum(), 0.0, 0.0])

        super().__init__(logits, own=facts(in_flight=in_flight))
        self._reverse = reverse
        self.most = 0
        self._open: list[tuple[Future[Answers], ModelPass, Batch]] = []

    def submit(self, run: ModelPass, batch: Batch) -> "Future[Answers]":
        future: Future[Answers] = _Awaited(self._finish)
        self._open.append((future, run, batch))
        self.most = max(self.most, len(self._open))
        return future

    def _finish(self) -> None:
        waiting, self._open = self._open, []
        for future, run, batch in reversed(waiting) if self._reverse else waiting:
            future.set_result(self.answers(run, batch))


class _Awaited(Future[Answers]):
    """Runs what is open when somebody waits for it."""

    def __init__(self, finish: Callable[[], None]) -> None:
        super().__init__()
        self._finish = finish

    def result(self, timeout: float | None = None) -> Answers:
        if not self.done():
            self._finish()
        return super().result(timeout)


@pytest.mark.parametrize("in_flight", [1, 2, 3])
def test_several_batches_are_under_way_and_change_no_answer(in_flight: int) -> None:
    def results(predictor: ToyPredictor) -> list[object]:
        jobs = (job(seed, 9) for seed in range(8))
        return list(scheduler([Batcher(predictor)], 16).run(jobs))

    streams = Streams(in_flight, reverse=True)
    assert results(streams) == results(linear(WEIGHTS))
    assert streams.most == in_flight


def test_what_shares_a_batch_does_not_depend_on_who_answers_first() -> None:
    cut: list[list[bytes]] = []
    for reverse in (False, True):
        streams = Streams(3, reverse=reverse)
        found = scheduler([Batcher(streams)], 16).run(job(seed, 9) for seed in range(8))
        assert len(list(found)) == 8
        cut.append(sorted(batch.tobytes() for batch in streams.batches))
    assert cut[0] == cut[1]


def test_procedures_of_several_models_run_side_by_side() -> None:
    models = [linear(WEIGHTS, own=facts(model=f"models/{name}")) for name in "ab"]

    def asking() -> Procedure[list[float]]:
        views = [view(LazyImage.of(pixels(0)), model=one.facts.model) for one in models]
        answers = yield from ask(views)
        return [float(answer.logits[0]) for answer in answers]

    def whole() -> Job[list[float]]:
        (found,) = yield [asking()]
        return list(found)

    (found,) = scheduler([Batcher(one) for one in models], 1).run(iter([whole()]))
    assert found[0] == found[1]
    assert [len(one.batches) for one in models] == [1, 1]


class Unfinished(ToyPredictor):
    """Of three batches the first has ended, the second runs for a while, the third waits."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__(lambda _: np.zeros(3), own=facts(in_flight=3))
        self._error = error
        self.under_way: list[Future[Answers]] = []

    def submit(self, run: ModelPass, batch: Batch) -> "Future[Answers]":
        future: Future[Answers] = Future()
        place = len(self.under_way)
        self.under_way.append(future)
        if place < 2:
            future.set_running_or_notify_cancel()
        if place == 0 and self._error is not None:
            future.set_exception(self._error)
        elif place < 2:
            threading.Timer(0.2 * place, future.set_result, [self.answers(run, batch)]).start()
        return future

    @property
    def ends(self) -> list[str]:
        """How the batches stand."""
        return [
            "dropped" if future.cancelled() else "done" if future.done() else "under way"
            for future in self.under_way
        ]


def single(seed: int) -> Job[list[float]]:
    found = yield [one(seed)]
    return list(found)


def test_no_batch_runs_any_more_when_an_evaluation_has_failed() -> None:
    predictor = Unfinished(ZeroDivisionError("of the first batch"))
    with pytest.raises(ZeroDivisionError, match="of the first batch"):
        list(scheduler([Batcher(predictor)], 3 * BATCH).run(map(single, range(3 * BATCH))))
    assert predictor.ends == ["done", "done", "dropped"]


def test_no_batch_runs_any_more_when_nobody_wants_the_results() -> None:
    predictor = Unfinished()
    results = scheduler([Batcher(predictor)], 3 * BATCH).run(map(single, range(3 * BATCH)))
    assert next(results) == [0.0]
    assert predictor.ends == ["done", "under way", "under way"]
    results.close()
    assert predictor.ends == ["done", "done", "dropped"]
