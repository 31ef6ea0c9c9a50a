from collections.abc import Iterator

import numpy as np
import pytest

from heatproof.evaluators.queries.batching import Packer
from heatproof.evaluators.queries.procedure import (
    CHUNK,
    MaskedView,
    Picture,
    Prediction,
    Procedure,
    ask,
    predict,
    respond,
    together,
)
from heatproof.evaluators.queries.scheduler import Job, Rounds, Task
from tests.evaluators import toys
from tests.evaluators.toys import BATCH, SIDE, linear, pixels

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))


def job(packer: Packer, seed: int, tasks: int = 3) -> Job[tuple[int, list[float]]]:
    found = yield [Task(packer, one(seed * 100 + index)) for index in range(tasks)]
    again = yield [Task(packer, one(seed * 100 + 50))]
    return seed, [*found, *again]


def one(seed: int) -> Procedure[float]:
    answer = yield from predict(MaskedView(Picture.of(pixels(seed))))
    return float(answer.logits[0])


def test_results_come_in_the_order_of_the_jobs_even_if_later_ones_end_first() -> None:
    packer = Packer(linear(WEIGHTS))
    sizes = [9, 1, 5, 1, 1]
    jobs = (job(packer, seed, size) for seed, size in enumerate(sizes))
    found = list(Rounds[tuple[int, list[float]]]((packer,), 3, lambda: None).run(jobs))
    assert [seed for seed, _ in found] == [0, 1, 2, 3, 4]
    predictor = linear(WEIGHTS)
    for seed, logits in found:
        seeds = [*range(seed * 100, seed * 100 + sizes[seed]), seed * 100 + 50]
        expected = [float(np.float32(predictor._logits(pixels(own))[0])) for own in seeds]
        assert logits == expected


@pytest.mark.parametrize("window", [1, 2, 7])
def test_jobs_are_fetched_when_their_turn_comes_and_only_a_window_of_them(window: int) -> None:
    packer = Packer(linear(WEIGHTS))
    fetched: list[int] = []

    def jobs() -> Iterator[Job[tuple[int, list[float]]]]:
        for seed in range(12):
            fetched.append(seed)
            yield job(packer, seed)

    given = 0
    for _ in Rounds[tuple[int, list[float]]]((packer,), window, lambda: None).run(jobs()):
        assert len(fetched) <= given + window
        given += 1
    assert given == len(fetched) == 12


def test_batches_are_full_while_there_is_work() -> None:
    predictor = linear(WEIGHTS)
    packer = Packer(predictor)
    jobs = (job(packer, seed) for seed in range(20))
    done = list(Rounds[tuple[int, list[float]]]((packer,), 16, lambda: None).run(jobs))
    assert len(done) == 20
    assert packer.rows_done == 80
    assert len(predictor.batches) <= 80 // BATCH + 2


def test_waiting_queries_stay_few_however_many_a_procedure_asks() -> None:
    packer = Packer(linear(WEIGHTS))
    waiting: list[int] = []
    drawn = 0

    def views() -> Iterator[MaskedView]:
        nonlocal drawn
        for seed in range(1000):
            drawn += 1
            yield MaskedView(Picture(str(seed), lambda: pixels(0)))

    def asking() -> Job[int]:
        found = yield [
            Task(packer, respond(views(), lambda answer: float(answer.probabilities[0])))
            for _ in range(1)
        ]
        return len(found[0].values)

    rounds = Rounds[int]((packer,), 4, lambda: waiting.append(packer.waiting))
    assert list(rounds.run(iter([asking()]))) == [1000]
    assert drawn == 1000
    assert max(waiting) <= CHUNK + BATCH


def test_many_procedures_are_started_only_as_batches_need_them() -> None:
    packer = Packer(linear(WEIGHTS))
    started: list[int] = []
    most = 0

    def tracked(index: int) -> Procedure[float]:
        started.append(index)
        return (yield from one(index))

    def asking() -> Job[int]:
        found = yield [Task(packer, tracked(index)) for index in range(200)]
        return len(found)

    def watch() -> None:
        nonlocal most
        most = max(most, len(started) - packer.rows_done)

    assert list(Rounds[int]((packer,), 1, watch).run(iter([asking()]))) == [200]
    assert most <= 2 * BATCH


def test_procedures_and_jobs_that_ask_nothing_end_at_once() -> None:
    packer = Packer(linear(WEIGHTS))

    def silent() -> Procedure[int]:
        yield []
        yield from ()
        return 7

    def idle(seed: int) -> Job[int]:
        none = yield []
        found = yield [Task(packer, silent()), Task(packer, silent())]
        return seed + sum(found) + len(none)

    found = list(Rounds[int]((packer,), 2, lambda: None).run(idle(seed) for seed in range(1200)))
    assert found == [seed + 14 for seed in range(1200)]  # and no recursion without end


def test_answers_that_are_known_do_not_nest_without_end() -> None:
    packer = Packer(linear(WEIGHTS))

    def asking() -> Procedure[int]:
        for _ in range(1500):
            answer = yield from predict(MaskedView(Picture.of(pixels(0))))
            assert isinstance(answer, Prediction)
        return 1

    def job() -> Job[int]:
        found = yield [Task(packer, asking())]
        return sum(found)

    assert list(Rounds[int]((packer,), 1, lambda: None).run(iter([job()]))) == [1]
    assert packer.rows_done == 1


def test_an_error_of_a_procedure_ends_the_run() -> None:
    packer = Packer(linear(WEIGHTS))

    def failing() -> Procedure[int]:
        yield from predict(MaskedView(Picture.of(pixels(0))))
        raise ZeroDivisionError

    def job() -> Job[int]:
        yield [Task(packer, failing())]
        return 0

    with pytest.raises(ZeroDivisionError):
        list(Rounds[int]((packer,), 1, lambda: None).run(iter([job()])))


def test_procedures_side_by_side_share_batches_and_keep_their_results() -> None:
    predictor = linear(WEIGHTS)
    packer = Packer(predictor)

    def steps(seed: int, count: int) -> Procedure[list[float]]:
        found: list[float] = []
        for step in range(count):
            found += [(yield from one(seed * 100 + step))]
        return found

    def all_steps() -> Procedure[list[list[float]]]:
        return (yield from together(steps(seed, count) for seed, count in enumerate(COUNTS)))

    def whole() -> Job[list[list[float]]]:
        (found,) = yield [Task(packer, all_steps())]
        return list(found)

    (found,) = Rounds[list[list[float]]]((packer,), 1, lambda: None).run(iter([whole()]))
    alone = [alone_asked(steps(seed, count)) for seed, count in enumerate(COUNTS)]
    assert found == alone
    assert len(predictor.batches) == max(COUNTS)


COUNTS = (3, 0, 1, 2)


def alone_asked(procedure: Procedure[list[float]]) -> list[float]:
    packer = Packer(linear(WEIGHTS))

    def job() -> Job[list[float]]:
        (found,) = yield [Task(packer, procedure)]
        return list(found)

    (found,) = Rounds[list[float]]((packer,), 1, lambda: None).run(iter([job()]))
    return found


def test_parts_may_ask_for_nothing_or_fail() -> None:
    def silent() -> Procedure[int]:
        answers = yield from ask(list[MaskedView]())
        return len(answers)

    def failing() -> Procedure[int]:
        yield from ask([MaskedView(Picture.of(pixels(0)))])
        raise ZeroDivisionError

    assert toys.ask(together([silent(), silent()]), linear(WEIGHTS)) == [0, 0]
    assert toys.ask(together(list[Procedure[int]]()), linear(WEIGHTS)) == []
    with pytest.raises(ZeroDivisionError):
        toys.ask(together([silent(), failing()]), linear(WEIGHTS))
