"""Every measure of agreement against a reading of its formula, its laws, and what has no score."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from skimage.metrics import structural_similarity

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import plan
from heatproof.evaluators.evaluation.requirements import reads_of_images
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Centre, GradCam, Occlusion, Random, Saliency, Supplied
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import Frame, FramedMap, SourceImage
from heatproof.evaluators.metrics import METRICS, Case, Given, Metric
from heatproof.evaluators.metrics.agreement.maps.map_agreement import CellAgreement, MapAgreement
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.registry.registry import Reads
from tests.evaluators.toys import SIDE, ask, facts, linear, pixels, planned, sample_of

GRID, SHARE = 4, 0.3
CELL, TOP = SIDE // GRID, 4
"""Pixels along each side of a cell; floor(0.3 * 16) cells."""

PREDICTOR = linear(np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE)))
NAMES = sorted(name for name in METRICS if name.startswith("agreement_"))


def metric_of(name: str, **options: Any) -> MapAgreement:
    """The metric with small cells."""
    made: Any = METRICS[name](**{"other": Supplied("b"), **options})
    if isinstance(made, CellAgreement):
        made = replace(made, grid=GRID)
    return replace(made, share=SHARE) if hasattr(made, "share") else made


def outcome_of(metric: Metric, own: np.ndarray, other: np.ndarray | None) -> Outcome:
    maps = {} if other is None else {"b": other.astype(np.float64)}
    sample = sample_of(PREDICTOR, pixels(), **maps)
    held = Given(sample=sample, map=own.astype(np.float64), models=("models/toy",))
    return ask(metric.score(Case(metric.reads, PREDICTOR.facts, held)), PREDICTOR)


def agreement(name: str, own: np.ndarray, other: np.ndarray) -> float:
    found = outcome_of(metric_of(name), own, other).score
    assert not isinstance(found, Undefined), found
    return found


def drawn(seed: int) -> np.ndarray:
    """Signed values, without ties."""
    return np.random.default_rng(seed).normal(size=(SIDE, SIDE))


def sums(made: np.ndarray) -> np.ndarray:
    return np.array(
        [
            made[row : row + CELL, column : column + CELL].sum()
            for row in range(0, SIDE, CELL)
            for column in range(0, SIDE, CELL)
        ]
    )


def top(made: np.ndarray) -> list[int]:
    return [int(cell) for cell in np.argsort(-np.abs(sums(made)))[:TOP]]


def signed(made: np.ndarray) -> list[tuple[int, bool]]:
    return [(cell, bool(sums(made)[cell] > 0)) for cell in top(made)]


def common(a: list[Any], b: list[Any]) -> float:
    return len(set(a) & set(b)) / TOP


def placed(a: list[Any], b: list[Any]) -> float:
    return sum(mine == theirs for mine, theirs in zip(a, b, strict=True)) / TOP


def pairs(a: np.ndarray, b: np.ndarray) -> float:
    mine, theirs = sums(a), sums(b)
    same = [(mine[i] < mine[j]) == (theirs[i] < theirs[j]) for i, j in combinations(range(16), 2)]
    return float(np.mean(same))


def discounted(a: np.ndarray, b: np.ndarray) -> float:
    gains = sums(b).clip(0)
    places = np.log2(np.arange(16) + 2.0)
    reached = (gains[np.argsort(-sums(a))] / places).sum()
    return float(reached / (np.sort(gains)[::-1] / places).sum())


def scaled(made: np.ndarray) -> np.ndarray:
    positive = made.clip(0)
    return np.asarray((positive - positive.min()) / (positive.max() - positive.min()))


def window(a: np.ndarray, b: np.ndarray) -> float:
    return float(
        structural_similarity(
            scaled(a), scaled(b), gaussian_weights=True, use_sample_covariance=False,
            sigma=1.5, data_range=1.0, full=True,
        )[1].mean()
    )  # fmt: skip


ORACLES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "agreement_spearman": lambda a, b: stats.spearmanr(a.ravel(), b.ravel()).statistic,
    "agreement_pearson": lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1],
    "agreement_cosine": lambda a, b: (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()),
    "agreement_kendall": lambda a, b: stats.kendalltau(sums(a), sums(b)).statistic,
    "agreement_ssim": window,
    "agreement_top_k": lambda a, b: common(top(a), top(b)),
    "agreement_sign": lambda a, b: common(signed(a), signed(b)),
    "agreement_rank": lambda a, b: placed(top(a), top(b)),
    "agreement_signed_rank": lambda a, b: placed(signed(a), signed(b)),
    "agreement_pairwise_rank": pairs,
    "agreement_ndcg": discounted,
}
SYMMETRIC = sorted(set(NAMES) - {"agreement_ndcg"})
SIGNED_ONLY = ("agreement_spearman", "agreement_pearson", "agreement_cosine", "agreement_kendall")


def test_every_measure_has_an_oracle() -> None:
    assert sorted(ORACLES) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mixed", [0.0, 0.5, 0.9])
def test_the_score_is_the_formula_written_out(name: str, mixed: float) -> None:
    for seed in range(4):
        own, noise = drawn(seed), drawn(seed + 100)
        other = mixed * own + (1 - mixed) * noise
        assert agreement(name, own, other) == pytest.approx(ORACLES[name](own, other), abs=1e-9)


@pytest.mark.parametrize("name", ["agreement_rank", "agreement_signed_rank", "agreement_sign"])
def test_ranks_and_signs_are_told_apart(name: str) -> None:
    """Cells 0 to 3 lead in both maps; the last two change places, and one changes its sign."""
    heights = np.zeros((2, 16))
    heights[:, :6] = [[9, 8, 7, 6, 1, 2], [9, -8, 6, 7, 2, 1]]
    own, other = (np.kron(row.reshape(4, 4), np.ones((CELL, CELL))) for row in heights)
    expected = {"agreement_rank": 2 / 4, "agreement_signed_rank": 1 / 4, "agreement_sign": 3 / 4}
    assert agreement(name, own, other) == expected[name]
    assert agreement("agreement_top_k", own, other) == 1


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 100))
def test_a_map_agrees_wholly_with_itself_whatever_its_unit(
    name: str, seed: int, unit: float
) -> None:
    own = drawn(seed)
    assert agreement(name, own, own) == 1
    assert agreement(name, own, own * unit) == 1


@pytest.mark.parametrize("name", SYMMETRIC)
@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6))
def test_agreement_is_symmetric_but_for_gains(name: str, seed: int) -> None:
    own, other = drawn(seed), drawn(seed + 1)
    assert agreement(name, own, other) == pytest.approx(agreement(name, other, own), abs=1e-12)


@pytest.mark.parametrize("name", SIGNED_ONLY)
def test_the_inverse_disagrees_wholly(name: str) -> None:
    assert agreement(name, drawn(0), -drawn(0)) == pytest.approx(-1, abs=1e-12)


def test_the_inverse_shares_the_top_cells_and_none_of_their_signs() -> None:
    own = drawn(0)
    assert agreement("agreement_top_k", own, -own) == 1
    assert agreement("agreement_rank", own, -own) == 1
    assert agreement("agreement_sign", own, -own) == 0
    assert agreement("agreement_signed_rank", own, -own) == 0
    assert agreement("agreement_pairwise_rank", own, -own) == 0


def test_random_maps_share_as_many_top_cells_as_the_part_says() -> None:
    metric = metric_of("agreement_top_k")
    found = [outcome_of(metric, drawn(seed), drawn(seed + 500)) for seed in range(200)]
    chances = {outcome.parts["chance"] for outcome in found}
    assert chances == {TOP / 16}
    scores = [float(outcome.score) for outcome in found if isinstance(outcome.score, float)]
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores) - TOP / 16) < 4 * error


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["own", "other"])
def test_a_constant_map_agrees_with_nothing(name: str, which: str) -> None:
    flat = np.full((SIDE, SIDE), 0.5)
    maps = (flat, drawn(0)) if which == "own" else (drawn(0), flat)
    found = outcome_of(metric_of(name), *maps).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.DEGENERATE


@pytest.mark.parametrize("name", ["agreement_kendall", "agreement_ssim", "agreement_ndcg"])
def test_maps_of_which_nothing_is_compared_have_a_status(name: str) -> None:
    """Stripes within a cell, which all cells have alike; maps without a positive value."""
    stripes = np.where(np.arange(SIDE) % 2 == 0, 1.0, -1.0) * np.ones((SIDE, SIDE))
    other = stripes if name == "agreement_kendall" else -np.abs(drawn(1))
    found = outcome_of(metric_of(name), drawn(0), other).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.DEGENERATE


def test_a_missing_or_unsound_second_map_has_a_status() -> None:
    missing = outcome_of(metric_of("agreement_spearman"), drawn(0), None).score
    assert isinstance(missing, Undefined)
    assert missing.reason is Reason.NO_MAP
    broken = drawn(1)
    broken[3, 3] = np.nan
    found = outcome_of(metric_of("agreement_spearman"), drawn(0), broken).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.NOT_FINITE


@pytest.mark.parametrize("name", NAMES)
def test_the_cost_is_one_explanation_of_the_second_explainer(name: str) -> None:
    for other in (Saliency(), Occlusion(8, 8), Centre()):
        metric = metric_of(name, other=other)
        assert metric.cost(planned(facts())).views == other.cost(facts())
        assert metric.passes(facts()) == other.passes(facts())
    assert metric_of(name).reduction.range == (
        Range(-1, 1) if name in {*SIGNED_ONLY, "agreement_ssim"} else Range(0, 1)
    )


SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(metric_of("agreement_spearman"),),
    explainers=(Saliency(),),
)
NAMED = Inventory.of([KnownImage("x", maps=frozenset({"b"}))])


@pytest.mark.parametrize(
    ("metric", "fault", "field"),
    [
        (metric_of("agreement_pearson", other=Occlusion(64)), "patch", "other.occlusion.patch"),
        (metric_of("agreement_pearson", other=Random(0)), "grid", "other.random.grid"),
        (replace(metric_of("agreement_top_k"), share=0.0), "share", "share"),
        (replace(metric_of("agreement_kendall"), grid=40), "grid is 40", "grid"),
        (metric_of("agreement_pearson", other=Supplied("c")), "a map named 'c'", "map_name"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_its_path(
    metric: MapAgreement, fault: str, field: str
) -> None:
    spec = replace(SPEC, metrics=(metric,))
    with pytest.raises(InvalidArgumentError, match=fault) as caught:
        plan(spec, {"models/toy": facts()}, NAMED)
    assert caught.value.field == f"metrics[0].{metric.name}.{field}"


def test_a_second_explainer_is_asked_what_the_model_must_be_able_to_do() -> None:
    metric = metric_of("agreement_spearman", other=GradCam())
    assert metric.passes(facts()) == GradCam().passes(facts())


def test_an_evaluation_hands_over_the_supplied_second_map() -> None:
    assert Reads.MAPS in reads_of_images(SPEC)
    values = np.random.default_rng(3).random((SIDE, SIDE), np.float32)
    image = SourceImage(
        "ab",
        "x",
        (pixels() * 255).astype(np.uint8).transpose(1, 2, 0).copy(),
        attribution_maps={"b": FramedMap(Frame.MODEL_INPUT, values)},
    )
    (found,) = evaluate(SPEC, [image], {"models/toy": PREDICTOR}, lambda _: None)
    sample = sample_of(PREDICTOR, image.pixels.transpose(2, 0, 1).astype(np.float32) / 255)
    own = ask(Saliency().explain(sample), PREDICTOR)
    assert isinstance(own, np.ndarray)
    expected = stats.spearmanr(own.ravel(), values.ravel()).statistic
    assert found.scores[0].score == pytest.approx(expected, abs=1e-9)
