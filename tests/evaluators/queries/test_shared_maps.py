"""Maps that several procedures ask for are made once."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.explainers import Random, Saliency
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.passes import Weights
from heatproof.evaluators.queries.procedure import LazyImage, Procedure, SharedMap, predict
from heatproof.evaluators.queries.scheduler import Job, SharedMaps
from heatproof.evaluators.queries.targets import FixedClass
from tests.evaluators.toys import SIDE, case_of, linear, pixels, sample_of, scheduler, view

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))


def making(made: list[str], key: str) -> Procedure[str]:
    """Asks the model, once, and then another procedure, which may be shared in its turn."""
    made.append(key)
    answer = yield from predict(view(LazyImage.of(pixels(len(key)))))
    if len(key) > 1:
        (inner,) = yield [SharedMap(key[1:], partial(making, made, key[1:]))]
        return f"{key[0]}{inner}"
    return f"{key}{answer.logits.size}"


def asking(made: list[str], keys: list[str]) -> Procedure[list[str]]:
    return (yield [SharedMap(key, partial(making, made, key)) for key in keys])  # type: ignore[return-value]  # answers are any


def run(asked: list[list[str]], made: list[str]) -> list[Any]:
    def job() -> Iterator[Any]:
        found = yield [asking(made, keys) for keys in asked]
        return found

    jobs: Job[Any] = job()  # type: ignore[assignment]  # a generator
    (found,) = list(scheduler([Batcher(linear(WEIGHTS))], 1).run(iter([jobs])))
    return list(found)


def test_equal_maps_are_made_once_whoever_asks_for_them_in_what_order() -> None:
    made: list[str] = []
    found = run([["a", "b", "a"], ["b", "c"], ["cab", "a"]], made)
    assert found == [["a3", "b3", "a3"], ["b3", "c3"], ["cab3", "a3"]]
    assert sorted(made) == ["a", "ab", "b", "c", "cab"]


def test_maps_that_were_not_asked_for_lately_are_forgotten() -> None:
    maps, heard = SharedMaps(2), list[object]()
    for key in "abc":
        assert maps.ask(key, heard.append)
        assert not maps.ask(key, heard.append)
        maps.settle(key, key.upper())
    assert heard == ["A", "A", "B", "B", "C", "C"]
    assert not maps.ask("c", heard.append)
    assert heard[-1] == "C"
    assert maps.ask("a", heard.append)


def test_why_there_is_no_map_is_shared_too() -> None:
    maps, heard = SharedMaps(2), list[object]()
    reason = Undefined(Reason.NO_MAP, "none")
    assert maps.ask("a", heard.append)
    maps.settle("a", reason)
    assert not maps.ask("a", heard.append)
    assert heard == [reason, reason]


def test_samples_whose_maps_may_differ_are_told_apart() -> None:
    sample = sample_of(linear(WEIGHTS), pixels())
    others = [
        replace(sample, target=FixedClass(1)),
        replace(sample, weights=Weights(("first",))),
        replace(sample, seed=1),
        replace(sample, digest="ab"),
        replace(sample, place=1),
        replace(sample, facts=replace(sample.facts, model="models/other")),
        sample.moved(LazyImage("other", lambda: pixels(1)), sample.clean),
        sample.moved(sample.image, sample.clean),
    ]
    assert len({one.identity for one in (sample, *others)}) == 1 + len(others)
    assert replace(sample).identity == sample.identity


@pytest.mark.parametrize("explainer", [Saliency(), Random()])
def test_a_case_asks_for_the_map_of_its_explainer(explainer: Saliency | Random) -> None:
    case = case_of(linear(WEIGHTS), pixels(), explainer=explainer)
    (asked,) = next(case.explain(case.sample))
    assert isinstance(asked, SharedMap)
    assert asked.key == (explainer, case.sample.identity)
