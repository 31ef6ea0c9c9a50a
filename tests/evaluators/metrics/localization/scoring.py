"""Scores of a map by an object, without a model that matters."""

from dataclasses import replace
from functools import cache

import numpy as np

from heatproof.evaluators.images.boxes import PixelBox
from heatproof.evaluators.metrics import Case, Given, Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.sample import Sample
from tests.evaluators.toys import EVERYTHING, answer, linear, pixels, sample_of

MODEL = linear(np.full((3, 32, 32), 1e-3))


@cache
def _sample() -> Sample:
    return sample_of(MODEL, pixels())


def case(
    attribution: np.ndarray,
    objects: np.ndarray | None,
    *,
    seed: int = 0,
    boxes: tuple[PixelBox, ...] = (),
) -> Case:
    sample = replace(_sample(), seed=seed, boxes=boxes)
    return Case(EVERYTHING, MODEL.facts, Given(sample=sample, map=attribution, objects=objects))


def scored(
    metric: Metric,
    attribution: np.ndarray,
    objects: np.ndarray | None,
    *,
    seed: int = 0,
    boxes: tuple[PixelBox, ...] = (),
) -> Outcome:
    """Maps of any size: what is tested asks the model nothing."""
    procedure = metric.score(case(attribution, objects, seed=seed, boxes=boxes))
    return answer(procedure, _never)


def number(
    metric: Metric, attribution: np.ndarray, objects: np.ndarray | None, *, seed: int = 0
) -> float:
    score = scored(metric, attribution, objects, seed=seed).score
    assert isinstance(score, float)
    return score


def reason(metric: Metric, attribution: np.ndarray, objects: np.ndarray | None) -> Reason:
    score = scored(metric, attribution, objects).score
    assert isinstance(score, Undefined)
    return score.reason


def _never(query: object) -> Outcome:
    raise AssertionError(query)
