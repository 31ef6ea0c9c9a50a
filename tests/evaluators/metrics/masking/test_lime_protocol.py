"""The LIME protocol, against least squares written out and on models that read a known place."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers import Lime
from heatproof.evaluators.metrics import LimeProtocol
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.regions import Grid, Quickshift, Segmentation, Slic
from heatproof.evaluators.removal import Black, Layer, RemovalOperator
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    case_of,
    facts,
    linear,
    pixels,
    planned,
    softmax,
)

WEIGHTS = np.random.default_rng(0).normal(0, 4e-3, (3, SIDE, SIDE))
OBJECT = np.zeros((SIDE, SIDE), np.bool_)
OBJECT[3:14, 5:22] = True


def scored(
    metric: LimeProtocol,
    model: ToyPredictor | None = None,
    objects: np.ndarray | None = OBJECT,
    *,
    removal: RemovalOperator | None = None,
    label: int | None = None,
) -> Outcome:
    predictor = model or linear(WEIGHTS)
    case = case_of(predictor, pixels(), removal=removal, object_mask=objects)
    assert case.given.sample is not None
    given = replace(case.given, sample=replace(case.given.sample, label=label))
    return ask(metric.score(replace(case, given=given)), predictor)


def probability(image: np.ndarray) -> float:
    logit = np.float32((WEIGHTS * image.astype(np.float64)).sum())
    return float(softmax(np.array([logit, 0, 0], np.float32))[0])


def fitted(shown: np.ndarray, values: np.ndarray, width: float, ridge: float) -> np.ndarray:
    """Weighted ridge regression as one system of least squares."""
    nearness = 1 - np.sqrt(shown.sum(axis=1) / shown.shape[1])
    roots = np.exp(-(nearness**2) / (4 * width**2))[:, None]
    rows = np.hstack([np.ones((len(shown), 1)), shown])
    penalty = np.sqrt(ridge) * np.eye(shown.shape[1] + 1)[1:]
    system = np.vstack([roots * rows, penalty])
    wanted = np.concatenate([roots[:, 0] * values, np.zeros(shown.shape[1])])
    return np.linalg.lstsq(system, wanted, rcond=None)[0][1:]


@given(st.integers(2, 5), st.integers(8, 40), st.integers(1, 30), st.floats(0.1, 3))
@settings(max_examples=20, deadline=None)
def test_scores_agree_with_an_independent_reading(
    side: int, samples: int, top: int, ridge: float
) -> None:
    image = pixels()
    edges = [SIDE * index // side for index in range(side + 1)]
    cells = [
        (slice(edges[row], edges[row + 1]), slice(edges[column], edges[column + 1]))
        for row in range(side)
        for column in range(side)
    ]

    def without(hidden: np.ndarray) -> np.ndarray:
        painted = image.copy()
        for index in hidden:
            painted[(slice(None), *cells[index])] = 0
        return painted

    clean = float((WEIGHTS * image.astype(np.float64)).sum())
    digest = case_of(linear(WEIGHTS), image).sample.digest
    drawn = generator(0, digest, "subsets/surrogate").random((samples, len(cells))) < 0.5
    drawn[0] = True
    read = probability if clean > 0 else lambda shown: (1 - probability(shown)) / 2
    values = np.array([read(without(np.flatnonzero(~row))) for row in drawn])
    coefficients = fitted(drawn.astype(float), values, 0.25, ridge)
    share = OBJECT.mean()
    wanted = np.array([OBJECT[cell].sum() - OBJECT[cell].size * share for cell in cells])
    cosine = coefficients @ wanted / np.linalg.norm(coefficients) / np.linalg.norm(wanted)
    count = top if len(cells) >= top else -(-len(cells) // 2)
    chosen = np.argsort(-coefficients)[:count]
    marked = np.zeros((SIDE, SIDE), np.bool_)
    for index in chosen:
        marked[cells[index]] = True
    left = float((WEIGHTS * without(chosen).astype(np.float64)).sum())

    found = scored(LimeProtocol(Grid(side), samples, ridge=ridge, top=top), label=0)
    assert found.score == pytest.approx(cosine, abs=1e-6)
    overlap = (marked & OBJECT).sum() / (marked | OBJECT).sum()
    assert found.parts["jaccard"] == pytest.approx(overlap, abs=1e-12)
    assert found.parts["ablation_hit"] == float(np.float32(left) >= 0)
    assert found.parts["n_zero_coverage"] == 0


def reading(mask: np.ndarray) -> ToyPredictor:
    """A model that averages what is inside of a mask."""
    return linear(np.where(mask, 1 / mask.sum(), 0.0) * np.ones((3, 1, 1)))


@pytest.mark.parametrize("regions", [Grid(8), Quickshift(2.0, 8.0), Slic(30, 100.0)])
@pytest.mark.parametrize("removal", [Black(), Layer()])
def test_a_model_that_reads_the_object_is_told_from_one_that_reads_the_rest(
    regions: Segmentation, removal: RemovalOperator
) -> None:
    metric = LimeProtocol(regions, samples=256, ridge=1e-3, top=8)
    within = scored(metric, reading(OBJECT), removal=removal)
    outside = scored(metric, reading(~OBJECT), removal=removal)
    assert isinstance(within.score, float)
    assert isinstance(outside.score, float)
    assert within.score > 0.7
    assert outside.score < within.score - 0.6  # segments of noise mix both
    assert within.parts["jaccard"] > outside.parts["jaccard"]  # type: ignore[operator]  # numbers both


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_the_rest_in_place_of_the_object_turns_the_sign(seed: int) -> None:
    objects = np.random.default_rng(seed).random((SIDE, SIDE)) < 0.3
    metric = LimeProtocol(Grid(4), samples=16)
    score, turned = (scored(metric, objects=mask).score for mask in (objects, ~objects))
    assert isinstance(score, float)
    assert turned == pytest.approx(-score, abs=1e-9)


def test_without_a_label_there_is_no_hit() -> None:
    missing = scored(LimeProtocol(Grid(4), samples=16)).parts["ablation_hit"]
    assert isinstance(missing, Undefined)
    assert missing.reason is Reason.NO_LABEL


def test_views_in_which_nothing_is_left_are_counted() -> None:
    """Of one pair of cells, a fourth of the samples hides both."""
    found = scored(LimeProtocol(Grid(2), samples=64), removal=Layer())
    digest = case_of(linear(WEIGHTS), pixels()).sample.digest
    drawn = generator(0, digest, "subsets/surrogate").random((64, 4)) < 0.5
    drawn[0] = True
    assert found.parts["n_zero_coverage"] == (~drawn.any(axis=1)).sum() > 0


@pytest.mark.parametrize(
    ("objects", "model", "regions", "reason"),
    [
        (None, None, Grid(4), Reason.NO_OBJECT),
        (0 & OBJECT, None, Grid(4), Reason.NO_OBJECT),
        (OBJECT | True, None, Grid(4), Reason.FULL_OBJECT),
        (OBJECT, linear(0 * WEIGHTS), Grid(4), Reason.NO_PLACE_EFFECT),
        (OBJECT, None, Grid(1), Reason.DEGENERATE),
        (np.tile(np.eye(8, dtype=np.bool_), (4, 4)), None, Grid(4), Reason.DEGENERATE),
    ],
)
def test_what_has_no_score_says_why(
    objects: np.ndarray | None, model: ToyPredictor | None, regions: Segmentation, reason: Reason
) -> None:
    marked = None if objects is None else objects.astype(np.bool_)
    score = scored(LimeProtocol(regions, samples=16), model, marked).score
    assert isinstance(score, Undefined)
    assert score.reason is reason


@pytest.mark.parametrize(
    ("regions", "field", "most"),
    [
        (Grid(57), "regions.grid.side", "at most 44"),
        (Slic(2100), "regions.slic.segments", "at most 2007"),
        (Grid(500), "regions.grid.side", "at most 224"),
    ],
)
def test_regions_that_are_too_many_for_a_linear_model_are_refused(
    regions: Segmentation, field: str, most: str
) -> None:
    for check in (
        lambda: LimeProtocol(regions).check(planned(facts(side=224))),
        lambda: Lime(regions).check(facts(side=224)),
    ):
        with pytest.raises(InvalidArgumentError, match=most) as caught:
            check()
        assert caught.value.field == field


def test_an_image_of_too_many_segments_has_a_status() -> None:
    """Quickshift tells only when it has seen the image."""
    noise = np.random.default_rng(0).random((3, 64, 64)).astype(np.float32)
    model = ToyPredictor(lambda image: image.mean(axis=(1, 2)), own=facts(side=64))
    finest = Quickshift(1.0, 0.5, 1.0)
    case = case_of(model, noise, object_mask=np.arange(64 * 64).reshape(64, 64) < 999)
    assert case.sample.regions(finest).cells > 2048
    for made in (
        ask(LimeProtocol(finest).score(case), model).score,
        ask(Lime(finest).explain(case.sample), model),
    ):
        assert isinstance(made, Undefined)
        assert made.reason is Reason.TOO_FINE
        assert "at most 2048" in made.detail
