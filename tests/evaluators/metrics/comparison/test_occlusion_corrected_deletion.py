from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.columns import Quantity
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import ImageResult, ImageScore, MetricResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import quantities_of, summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Centre, Random
from heatproof.evaluators.images.preprocessing import Preprocessing, Resize
from heatproof.evaluators.metrics import (
    Case,
    Given,
    OcclusionCorrectedDeletion,
    OcclusionRobustness,
    ScoreScale,
)
from heatproof.evaluators.metrics.comparison.random_orders import random_order
from heatproof.evaluators.metrics.functions.curves import Schedule
from heatproof.evaluators.outcomes import Outcome, Reason, Score, Undefined
from heatproof.evaluators.queries.procedure import Answer, LazyImage, MaskedView, Prediction, Query
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.removal import Black, Layer
from heatproof.evaluators.statistics.arms import ArmContrast
from heatproof.evaluators.statistics.bootstrap import bootstrap_t
from heatproof.evaluators.statistics.reductions import RatioOfMeans
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    answer,
    ask,
    case_of,
    facts,
    linear,
    pixels,
    planned,
)

CELLS = 4
METRIC = OcclusionCorrectedDeletion(grid=CELLS, steps=8, orders=10)

CellScore = Callable[[np.ndarray], float]
"""Class probability of the visible cells, a boolean array of 4 x 4."""


def prediction(probability: float) -> Prediction:
    shares = np.array([probability, 1 - probability])
    return Prediction(np.log(shares + 1e-300).astype(np.float32), shares, 1.0)


def scored(
    score: CellScore,
    attribution: np.ndarray,
    metric: OcclusionCorrectedDeletion | OcclusionRobustness = METRIC,
    digest: str = "ab",
) -> Outcome:
    """Runs a metric on a model that is given by its score of visible cells, in float64."""

    def respond(query: Query) -> Answer:
        assert isinstance(query, MaskedView)
        assert query.mask is not None
        return prediction(score(query.mask[::8, ::8]))

    clean = prediction(score(np.ones((CELLS, CELLS), np.bool_)))
    own = facts(classes=2)
    sample = Sample(own, LazyImage.of(pixels()), digest, 0, FixedClass(0), clean)
    given = Given(Black(), Centre(), sample, attribution.astype(np.float64))
    case = Case(metric.reads, own, given)
    return answer(metric.score(case), respond)


def additive(effects: np.ndarray, base: float = 0.1) -> CellScore:
    """Every visible cell adds its effect: order matters, interactions do not exist."""
    return lambda visible: base + float(effects[visible].sum())


def effects_of(seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).random((CELLS, CELLS)) ** 3
    spread: np.ndarray = drawn / drawn.sum() * 0.8
    return spread


def painted(cells: np.ndarray) -> np.ndarray:
    return np.kron(cells, np.ones((SIDE // CELLS, SIDE // CELLS)))


def number(score: Score) -> float:
    assert not isinstance(score, Undefined), score
    return score


def place_effect(outcome: Outcome) -> tuple[float, float]:
    """`RA - DA*`, and the least that counts."""
    parts = {name: number(outcome.parts[name]) for name in ("random_area", "oracle_area")}
    values = outcome.curves["random"].values
    error = number(outcome.parts["random_standard_error"])
    return parts["random_area"] - parts["oracle_area"], max(
        0.01 * abs(values[0] - values[-1]), 3 * error
    )


SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=Preprocessing(resize=Resize.NONE),
    metrics=(METRIC,),
    explainers=(Centre(),),
    removals=(Black(),),
)


def samples(outcomes: list[Outcome]) -> dict[str, Quantity]:
    """The data set's score under "", and its parts, before any interval is made."""
    (key,) = result_keys(SPEC)
    return quantities_of(key, tabulated(SPEC, results_of(outcomes)).results[0])


def results_of(outcomes: list[Outcome]) -> list[ImageResult]:
    return [
        ImageResult(f"{place:064d}", "", None, (), (ImageScore(0, o.score, o.parts, o.curves),))
        for place, o in enumerate(outcomes)
    ]


def over_data(outcomes: list[Outcome]) -> MetricResult:
    """The data set's result, as an evaluation summarizes it."""
    (result,) = summarize(SPEC, tabulated(SPEC, results_of(outcomes)))
    return result


def mixed(seed: int) -> list[tuple[CellScore, np.ndarray]]:
    """Images of different confidence and place effect, one of them blind to the place."""
    found: list[tuple[CellScore, np.ndarray]] = []
    ends = ((0.02, 0.3), (0.1, 0.5), (0.3, 0.75), (0.6, 0.95))
    for index, (base, clean) in enumerate(ends):
        effects = effects_of(seed + index) * (clean - base) / 0.8
        attribution = np.random.default_rng(seed + index).random((SIDE, SIDE))
        attribution += (index % 2) * painted(effects) * 20
        found.append((additive(effects, base), attribution))
    return [*found, (lambda visible: 0.1 + 0.3 * float(visible.mean()), found[0][1])]


def bearing(score: CellScore, lam: float) -> CellScore:
    """A model that bears occlusion better: what is lost is lost to the share `lam` alone."""
    return lambda visible: 1 - lam * (1 - score(visible))


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 999), st.floats(0.01, 1.0))
def test_bearing_occlusion_better_leaves_the_data_sets_score_and_changes_the_ratio(
    seed: int, lam: float
) -> None:
    images = mixed(seed)
    plain = samples([scored(score, attribution) for score, attribution in images])
    robust = samples([scored(bearing(score, lam), attribution) for score, attribution in images])
    for name in ("", "control_uniform", "control_rolled"):
        one, other = plain[name].arm, robust[name].arm
        assert one.scored.tolist() == other.scored.tolist() == [True] * 4 + [False]
        assert other.estimate() == pytest.approx(one.estimate(), abs=1e-9)
    ratios = [abs(found["ratio"].arm.estimate()) for found in (plain, robust)]
    if lam < 0.9 and ratios[0] > 1e-3:
        assert ratios[1] < ratios[0]


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 999), st.floats(0.01, 1.0))
def test_bearing_occlusion_better_leaves_the_score_of_an_image(seed: int, lam: float) -> None:
    for score, attribution in mixed(seed):
        plain, robust = scored(score, attribution), scored(bearing(score, lam), attribution)
        if isinstance(plain.score, Undefined):
            assert robust.score.__class__ is Undefined
        else:
            assert number(robust.score) == pytest.approx(plain.score, abs=1e-9)


def test_a_data_sets_score_is_the_ratio_of_the_sums_over_the_images_scored() -> None:
    outcomes = [scored(score, attribution) for score, attribution in mixed(5)]
    sums = {
        name: sum(number(outcome.parts[f"{name}_area"]) for outcome in outcomes[:-1])
        for name in ("random", "deletion", "oracle")
    }
    expected = (sums["random"] - sums["deletion"]) / (sums["random"] - sums["oracle"])
    result = over_data(outcomes)
    assert result.summary.value == pytest.approx(expected, abs=1e-12)
    assert result.summary.scored == len(outcomes) - 1
    assert result.summary.undefined == {"NO_PLACE_EFFECT": 1}
    # The image without a place effect has areas, which must not enter.
    assert number(outcomes[-1].parts["random_area"]) > 0.2
    assert result.parts["random_area"].scored == len(outcomes)


def drops_of(score: CellScore) -> np.ndarray:
    """What the score loses when one cell alone is removed."""

    def drop(cell: int) -> float:
        visible = np.ones(CELLS * CELLS, np.bool_)
        visible[cell] = False
        return score(np.ones((CELLS, CELLS), np.bool_)) - score(visible.reshape(CELLS, CELLS))

    return np.array([drop(cell) for cell in range(CELLS * CELLS)]).reshape(CELLS, CELLS)


def marginal_drops_of(score: CellScore, steps: int = 8, digest: str = "ab") -> np.ndarray:
    """Each cell's mean drop along the random orders, written out."""
    own = facts(classes=2)
    sample = Sample(own, LazyImage.of(pixels()), digest, 0, FixedClass(0), prediction(0.5))
    schedule = Schedule.even(GridCells(SIDE, SIDE, CELLS), steps, Black())
    total = np.zeros(CELLS * CELLS)
    for index in range(METRIC.orders):
        order = random_order(sample, schedule, f"order/{index}")
        visible = np.ones(CELLS * CELLS, np.bool_)
        for block in np.split(order, steps):
            before = score(visible.reshape(CELLS, CELLS))
            visible[block] = False
            total[block] += (before - score(visible.reshape(CELLS, CELLS))) / block.size
    return total.reshape(CELLS, CELLS)


@pytest.mark.parametrize("seed", range(5))
def test_a_map_of_the_models_own_single_cell_drops_scores_one(seed: int) -> None:
    score = additive(effects_of(seed))
    drops = drops_of(score)
    assert scored(score, painted(drops)).score == 1
    assert number(scored(score, painted(-drops)).score) < 0


def interacting(seed: int) -> CellScore:
    """Cells that help and hinder one another, so that the two oracles differ."""
    rng = np.random.default_rng(seed)
    alone, together = rng.normal(0.2, 0.3, 16), rng.normal(0, 0.25, (16, 16))

    def score(visible: np.ndarray) -> float:
        seen = visible.ravel().astype(np.float64)
        return float(1 / (1 + np.exp(1 - alone @ seen - seen @ together @ seen)))

    return score


def test_a_map_in_the_order_of_the_better_oracle_scores_one() -> None:
    better = set()
    for seed in range(12):
        score = interacting(seed)
        oracles = {
            "single_drop_area": scored(score, painted(drops_of(score))),
            "marginal_drop_area": scored(score, painted(marginal_drops_of(score))),
        }
        for name, outcome in oracles.items():
            if isinstance(outcome.score, Undefined):
                continue
            areas = {name: number(outcome.parts[name]) for name in oracles}
            assert number(outcome.parts["oracle_area"]) == min(areas.values())
            if areas[name] == min(areas.values()):
                better.add(name)
                assert outcome.score == 1
            else:
                assert number(outcome.score) < 1
    assert better == {"single_drop_area", "marginal_drop_area"}


def test_redundant_evidence_is_not_lost() -> None:
    # Either of two cells suffices, so that no single removal tells anything.
    def either(visible: np.ndarray) -> float:
        return 0.9 if visible[0, 1] or visible[2, 3] else 0.1

    assert (drops_of(either) == 0).all()
    evidence = np.zeros((CELLS, CELLS))
    evidence[0, 1] = evidence[2, 3] = 1
    outcomes = [scored(either, painted(evidence), digest=str(index)) for index in range(40)]
    found = [outcome.score for outcome in outcomes if not isinstance(outcome.score, Undefined)]
    assert len(found) == len(outcomes)
    # Where a cell of the two was never the last to go, the map beats the oracle.
    assert min(found) == pytest.approx(1, abs=1e-12)
    assert sum(value == pytest.approx(1, abs=1e-12) for value in found) > 30


def test_ties_among_the_drops_do_not_part_map_and_oracle() -> None:
    effects = np.zeros((CELLS, CELLS))
    effects[1, 2] = 0.6
    assert scored(additive(effects), painted(effects)).score == 1


def test_a_place_blind_model_has_a_status_and_a_ratio_of_zero() -> None:
    outcome = scored(lambda visible: 0.2 + 0.7 * visible.mean(), pixels(3)[0].astype(np.float64))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_PLACE_EFFECT
    assert number(outcome.parts["ratio"]) == pytest.approx(0, abs=1e-12)
    assert isinstance(outcome.parts["control_uniform"], Undefined)
    assert isinstance(outcome.parts["control_rolled"], Undefined)


def test_a_constant_model_has_a_status() -> None:
    outcome = scored(lambda _: 0.5, pixels(3)[0].astype(np.float64))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_PLACE_EFFECT


def test_the_areas_are_those_of_curves_written_out() -> None:
    effects, attribution = effects_of(3), np.random.default_rng(9).random((CELLS, CELLS))
    score = additive(effects)
    outcome = scored(score, painted(attribution))

    def area(order: np.ndarray) -> float:
        values = []
        for count in range(0, 17, 2):
            visible = np.ones(16, np.bool_)
            visible[order[:count]] = False
            values.append(score(visible.reshape(CELLS, CELLS)))
        return sum((a + b) / 2 / 8 for a, b in pairwise(values))

    own = number(outcome.parts["deletion_area"])
    assert own == pytest.approx(area(np.argsort(-attribution.ravel())), abs=1e-12)
    oracle = number(outcome.parts["oracle_area"])
    assert oracle == pytest.approx(area(np.argsort(-effects.ravel())), abs=1e-12)
    robustness = number(outcome.parts["random_area"])
    assert number(outcome.score) == pytest.approx(
        (robustness - own) / (robustness - oracle), abs=1e-12
    )
    assert number(outcome.parts["ratio"]) == pytest.approx(1 - own / robustness, abs=1e-12)


def test_random_orders_average_to_what_an_additive_model_loses_at_random() -> None:
    # For an additive model the mean curve falls linearly from 1 to base / s(x).
    effects = effects_of(3)
    metric = OcclusionRobustness(grid=CELLS, steps=16, orders=150)
    outcome = scored(additive(effects), painted(effects), metric)
    assert number(outcome.score) == pytest.approx((1 + 0.1 / 0.9) / 2, abs=0.025)


def test_orders_are_the_same_for_both_metrics_and_all_maps() -> None:
    score = additive(effects_of(3))
    first = scored(score, pixels(1)[0].astype(np.float64))
    second = scored(score, pixels(2)[0].astype(np.float64))
    robustness = scored(score, pixels(1)[0], OcclusionRobustness(CELLS, 8, 10))
    assert first.parts["random_area"] == second.parts["random_area"]
    clean = score(np.ones((CELLS, CELLS), np.bool_))
    assert number(robustness.score) == pytest.approx(
        number(first.parts["random_area"]) / clean, abs=1e-12
    )
    assert first.parts["oracle_area"] == second.parts["oracle_area"]
    assert first.parts["control_uniform"] == second.parts["control_uniform"]


def test_orders_differ_between_images() -> None:
    score = additive(effects_of(3))
    attribution = pixels(1)[0].astype(np.float64)
    one = scored(score, attribution, digest="aa")
    other = scored(score, attribution, digest="bb")
    assert one.parts["random_area"] != other.parts["random_area"]


def test_the_uniform_control_is_no_better_than_random_on_average() -> None:
    score, attribution = additive(effects_of(3)), pixels(1)[0].astype(np.float64)
    found = [
        number(scored(score, attribution, digest=str(index)).parts["control_uniform"])
        for index in range(25)
    ]
    # standard error about .07
    assert abs(np.mean(found)) < 0.2


def test_the_rolled_control_keeps_the_values_and_moves_all_of_them() -> None:
    # A single hot cell: rolled away, the first step removes a cell without effect.
    effects = np.zeros((CELLS, CELLS))
    effects[1, 1] = 0.8
    outcome = scored(additive(effects), painted(effects), OcclusionCorrectedDeletion(4, 16, 10))
    assert outcome.score == 1
    assert outcome.curves["rolled"].values[1] == outcome.curves["rolled"].values[0]
    assert number(outcome.parts["control_rolled"]) < 1


def test_an_unconfident_image_is_not_scored() -> None:
    outcome = scored(lambda visible: 0.0009 * visible.mean(), pixels(3)[0].astype(np.float64))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.NO_CONFIDENCE


def test_a_constant_map_is_degenerate() -> None:
    outcome = scored(additive(effects_of(3)), np.ones((SIDE, SIDE)))
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.DEGENERATE


def test_a_place_effect_within_three_standard_errors_is_none() -> None:
    # Noise that no order explains: a hash of the visible cells.
    def noisy(visible: np.ndarray) -> float:
        seed = int.from_bytes(np.packbits(visible).tobytes(), "big")
        return 0.5 + float(np.random.default_rng(seed).normal(0, 0.02))

    reasons = set()
    for index in range(30):
        attribution = np.random.default_rng(index).random((SIDE, SIDE))
        outcome = scored(noisy, attribution, digest=str(index))
        effect, least = place_effect(outcome)
        assert isinstance(outcome.score, Undefined) == (effect <= least)
        if isinstance(outcome.score, Undefined):
            reasons.add(outcome.score.reason)
            assert outcome.parts["control_uniform"] == outcome.score
    assert Reason.NO_PLACE_EFFECT in reasons


def test_an_oracle_that_misses_what_the_map_knows_is_weak() -> None:
    # Any of eight cells suffices: ten orders cannot tell them from the rest, the map can.
    group = np.zeros((CELLS, CELLS), np.bool_)
    group[:2] = True

    def any_of_eight(visible: np.ndarray) -> float:
        return 0.9 if (visible & group).any() else 0.1

    outcomes = [
        scored(any_of_eight, painted(group * 1.0), digest=str(index)) for index in range(40)
    ]
    weak = [o for o in outcomes if isinstance(o.score, Undefined)]
    assert weak
    assert {o.score.reason for o in weak if isinstance(o.score, Undefined)} == {Reason.WEAK_ORACLE}
    assert samples(outcomes)[""].arm.count == len(outcomes) - len(weak)


def test_the_parts_that_reductions_name_are_there() -> None:
    for scale in ScoreScale:
        metric = OcclusionCorrectedDeletion(CELLS, 8, 10, scale)
        parts: Mapping[str, Score] = scored(
            additive(effects_of(3)), pixels(1)[0] * 1.0, metric
        ).parts
        assert parts.keys() == metric.part_reductions.keys()
        for reduction in (metric.reduction, *metric.part_reductions.values()):
            if isinstance(reduction, RatioOfMeans):
                names = {*reduction.numerator, *reduction.denominator} - {""}
                assert names <= parts.keys()


def test_the_reduction_of_one_image_gives_that_images_score() -> None:
    outcome = scored(additive(effects_of(3)), pixels(1)[0].astype(np.float64))

    def of(reduction: RatioOfMeans) -> float:
        a, b, c, d = (
            number(outcome.parts[name]) if name else 0.0
            for name in reduction.numerator + reduction.denominator
        )
        return (a - b) / (c - d)

    assert isinstance(METRIC.reduction, RatioOfMeans)
    assert of(METRIC.reduction) == number(outcome.score)
    for name in ("ratio", "control_uniform", "control_rolled"):
        reduction = METRIC.part_reductions[name]
        assert isinstance(reduction, RatioOfMeans)
        assert of(reduction) == pytest.approx(number(outcome.parts[name]), abs=1e-12)


def test_the_logit_margin_is_not_bent_by_the_temperature() -> None:
    weights = np.random.default_rng(4).normal(0.2, 1, (3, SIDE, SIDE)) * 1e-2

    def at(temperature: float, scale: ScoreScale) -> float:
        def logits(image: np.ndarray) -> np.ndarray:
            first = (weights * image.astype(np.float64)).sum()
            return np.array([first, 0.3 * first**2 / 4, -1.0]) / temperature

        predictor = ToyPredictor(logits)
        metric = OcclusionCorrectedDeletion(CELLS, 8, 10, scale)
        case = case_of(predictor, pixels(5), pixels(6)[0], explainer=Random())
        return number(ask(metric.score(case), predictor).score)

    # float32 logits
    margins = [at(temperature, ScoreScale.LOGIT_MARGIN) for temperature in (0.3, 1.0, 3.0)]
    assert margins == pytest.approx([margins[0]] * 3, abs=1e-4)
    shares = [at(temperature, ScoreScale.PROBABILITY) for temperature in (0.3, 1.0, 3.0)]
    assert max(shares) - min(shares) > 0.01


def test_the_margin_is_to_the_highest_other_logit_and_of_a_sigmoid_the_logit() -> None:
    answer = Prediction(np.array([2.0, 5.0, 3.5], np.float32), np.full(3, 1 / 3), 1.0)
    image = LazyImage.of(pixels())
    for kind, target, expected in [("softmax", 1, 1.5), ("softmax", 0, -3.0), ("sigmoid", 2, 3.5)]:
        sample = Sample(facts(probabilities=kind), image, "ab", 0, FixedClass(target), answer)
        assert sample.margin(answer) == expected


def test_normalized_deletion_is_the_area_of_the_scaled_mean_of_scaled_curves() -> None:
    outcomes = [scored(score, attribution) for score, attribution in mixed(7)]
    curves = [
        np.array(outcome.curves["deletion"].values)
        for outcome in outcomes
        if not isinstance(outcome.score, Undefined)
    ]
    mean = np.mean([curve / curve.max() for curve in curves], axis=0)
    expected = np.trapezoid((mean - mean.min()) / (mean.max() - mean.min()), dx=1 / 8)
    found = over_data(outcomes).parts["normalized_deletion"]
    assert found.value == pytest.approx(float(expected), abs=1e-12)
    assert found.interval is None
    assert found.scored == len(curves)


def test_the_interval_of_the_uniform_control_covers_0_as_often_as_it_says() -> None:
    # 64 data sets of 10 images, cut from one pool in four ways: a right interval of 95 % misses
    # three times, and one that never misses is too wide.
    attribution = pixels(1)[0].astype(np.float64)
    pool = [
        scored(additive(effects_of(place)), attribution, digest=str(place)) for place in range(160)
    ]
    misses = 0
    for run in range(64):
        order = np.random.default_rng(run // 16).permutation(len(pool)).reshape(16, 10)
        arm = samples([pool[place] for place in order[run % 16]])["control_uniform"].arm
        (found,) = bootstrap_t([ArmContrast((arm,))], seed=0)
        assert found is not None
        lower, upper = found.limit(0.025), found.limit(0.975)
        assert lower is not None
        assert upper is not None
        misses += not lower <= 0 <= upper
    assert 1 <= misses <= 6


@pytest.mark.parametrize("metric", [METRIC, OcclusionRobustness(4, 8)])
def test_small_cells_are_refused_with_layer_masking_only(
    metric: OcclusionCorrectedDeletion | OcclusionRobustness,
) -> None:
    metric.check(planned(facts(), Black()))
    with pytest.raises(InvalidArgumentError, match="at most 2") as caught:
        metric.check(planned(facts(), Layer()))
    assert caught.value.field == "grid"
    type(metric)(grid=2, steps=4).check(planned(facts(), Layer()))
    type(metric)(grid=14).check(planned(facts(side=224), Layer()))


def test_what_is_predicted_is_what_is_asked_at_most() -> None:
    predictor = linear(np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE)))
    case = case_of(predictor, pixels(), pixels(4)[0], explainer=Random())
    asked: list[Query] = []

    def respond(query: Query) -> Answer:
        asked.append(query)
        return case.sample.clean

    answer(METRIC.score(case), respond)
    masks = {
        query.mask.tobytes()
        for query in asked
        if isinstance(query, MaskedView)
        if query.mask is not None
    }
    ends = 2  # the clean and the empty image
    assert len(masks) - ends <= METRIC.cost(case).views


def test_models_that_never_fall_are_robust() -> None:
    predictor = ToyPredictor(lambda image: np.array([1.0, 0, 0]) + 0 * image.sum())
    outcome = ask(OcclusionRobustness(2, 4).score(case_of(predictor, pixels())), predictor)
    assert number(outcome.score) == pytest.approx(1, abs=1e-12)
