"""The presets whose score is an area, against readings one image at a time."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import (
    Abpc,
    Deletion,
    Insertion,
    Irof,
    LerfDeletion,
    Metric,
    MorfDeletion,
    PixelFlipping,
    RegionPerturbation,
    Selectivity,
    Srg,
)
from heatproof.evaluators.metrics.functions.curves import (
    CurveScale,
    PerturbationCurve,
    share_counts,
    steps_until,
)
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.regions import Grid, Patches, Pixels, Quickshift, Slic
from heatproof.evaluators.removal import Black, Layer
from tests.evaluators.metrics.faithfulness.readings import (
    Reading,
    falling,
    logit,
    probability,
    ranking,
    squares,
    trapezoid,
)
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    case_of,
    facts,
    linear,
    pixels,
    planned,
)

WEIGHTS = np.random.default_rng(11).uniform(0, 6e-3, (3, SIDE, SIDE))
IMAGE = pixels()
MAP = np.random.default_rng(3).random((SIDE, SIDE))
SEGMENTS = Slic(segments=9, compactness=100.0)
EXACT = 1e-12
"""Equal float32 logits; softmax and sums in another order."""


def scored(metric: Metric, attribution: np.ndarray = MAP, **options: object) -> Outcome:
    predictor = linear(WEIGHTS)
    return ask(metric.score(case_of(predictor, IMAGE, attribution, **options)), predictor)  # type: ignore[arg-type]  # options of case_of


def number(outcome: Outcome) -> float:
    assert isinstance(outcome.score, float)
    return outcome.score


def morf_area(labels: np.ndarray, steps: int, read: Reading = probability) -> float:
    """Area under the curve of removing the most relevant first, written out."""
    order = ranking(labels, MAP)
    counts = [i * len(order) // steps for i in range(steps + 1)]
    values = falling(linear(WEIGHTS), IMAGE, labels, order, counts, read=read)
    return trapezoid([count / len(order) for count in counts], values)


def lerf_area(labels: np.ndarray, steps: int, read: Reading = probability) -> float:
    """The same with the least relevant first; `n - floor(i n / steps)` of them."""
    order = ranking(labels, MAP)[::-1]
    cells = len(order)
    counts = [cells - i * cells // steps for i in range(steps, -1, -1)]
    values = falling(linear(WEIGHTS), IMAGE, labels, order, counts, read=read)
    return trapezoid([count / cells for count in counts], values)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (PixelFlipping(steps=9), morf_area(squares(1), 9)),
        (PixelFlipping(Patches(4), steps=9), morf_area(squares(4), 9)),
        (Selectivity(), morf_area(squares(8), 16)),
        (Selectivity(steps=5), morf_area(squares(8), 5)),
        (Selectivity(output=Output.LOGIT), morf_area(squares(8), 16, logit)),
        (MorfDeletion(regions=Grid(4), steps=7), morf_area(squares(8), 7)),
        (LerfDeletion(regions=Grid(4), steps=7), lerf_area(squares(8), 7)),
        (
            Srg(regions=Grid(4), steps=7),
            lerf_area(squares(8), 7) - morf_area(squares(8), 7),
        ),
        (
            Abpc(regions=Grid(4), steps=5, output=Output.LOGIT),
            lerf_area(squares(8), 5, logit) - morf_area(squares(8), 5, logit),
        ),
        (Deletion(4, 7, output=Output.LOGIT), morf_area(squares(8), 7, logit)),
        (Deletion(steps=7, regions=Patches(8)), morf_area(squares(8), 7)),
        (Insertion(steps=7, regions=Patches(8)), lerf_area(squares(8), 7)),
    ],
    ids=repr,
)
def test_areas_are_those_of_removing_regions_one_image_at_a_time(
    metric: Metric, expected: float
) -> None:
    assert number(scored(metric)) == pytest.approx(expected, abs=EXACT)


def test_pixels_of_an_additive_model_have_the_closed_form_of_their_sorted_weights() -> None:
    # y is the sum over visible pixels, so that point k keeps all but the k largest of them
    contributions = (WEIGHTS * IMAGE).sum(axis=0)
    sizes = np.sort(contributions.ravel())[::-1]
    kept = sizes.sum() - np.concatenate([[0], np.cumsum(sizes)])
    expected = (kept[0] / 2 + kept[1:-1].sum() + kept[-1] / 2) / sizes.size
    metric = PixelFlipping(steps=1000, output=Output.LOGIT)
    counts = [i * sizes.size // 1000 for i in range(1001)]
    coarse = trapezoid([count / sizes.size for count in counts], [kept[k] for k in counts])
    # float32 logits
    assert number(scored(metric, contributions)) == pytest.approx(coarse, rel=1e-6)
    assert coarse == pytest.approx(expected, rel=1e-3)


def test_region_perturbation_of_an_additive_model_has_a_closed_form() -> None:
    contributions = (WEIGHTS * IMAGE).sum(axis=0)
    of_cells = np.array([contributions[squares(8) == cell].sum() for cell in range(16)])
    taken = np.concatenate([[0], np.cumsum(np.sort(of_cells)[::-1])])
    for cells in (1, 5, 16):
        metric = RegionPerturbation(cells=cells, output=Output.LOGIT)
        expected = taken[: cells + 1].mean()
        found = scored(metric, contributions)
        assert number(found) == pytest.approx(expected, rel=1e-5)  # float32 logits
        curve = found.curves["region_perturbation"]
        assert curve.fractions == tuple(k / cells for k in range(cells + 1))
        assert curve.values == pytest.approx(taken[: cells + 1], rel=1e-5, abs=1e-6)


def test_region_perturbation_of_an_image_with_fewer_regions_stays_empty() -> None:
    # four flat quarters are at most a few segments
    flat = np.repeat(np.repeat(np.array([[0.2, 0.9], [0.5, 0.7]]), 16, 0), 16, 1)
    image = np.stack([flat] * 3).astype(np.float32)
    predictor = linear(WEIGHTS)
    metric = RegionPerturbation(Slic(segments=4), cells=12)
    case = case_of(predictor, image, MAP)
    outcome = ask(metric.score(case), predictor)
    cells = case.sample.regions(Slic(segments=4)).cells
    assert cells < 12
    values = outcome.curves["region_perturbation"].values
    assert values[0] == 0
    assert set(values[cells:]) == {values[-1]}
    assert outcome.score == pytest.approx(np.mean(values))


def test_irof_is_one_less_the_relative_area_one_segment_a_step() -> None:
    predictor = linear(WEIGHTS)
    case = case_of(predictor, IMAGE, MAP)
    kind = SEGMENTS
    outcome = ask(Irof(kind).score(case), predictor)
    labels = case.sample.regions(kind).labels
    order = ranking(labels, MAP)
    counts = range(len(order) + 1)
    values = falling(predictor, IMAGE, labels, order, counts)
    area = trapezoid([count / len(order) for count in counts], values)
    assert outcome.score == pytest.approx(1 - area / values[0], abs=EXACT)
    assert outcome.parts["mean_of_ratios"] == outcome.score
    assert outcome.parts["area"] == pytest.approx(area, abs=EXACT)
    assert outcome.parts["clean"] == values[0]


def test_irof_of_a_constant_model_is_zero() -> None:
    predictor = ToyPredictor(lambda _: np.array([1.0, 0, 0]))
    outcome = ask(Irof(Grid(4)).score(case_of(predictor, IMAGE, MAP)), predictor)
    assert outcome.score == pytest.approx(0, abs=EXACT)


@pytest.mark.parametrize("output", Output)
def test_irof_of_an_unconfident_image_has_a_status(output: Output) -> None:
    def logits(_: np.ndarray) -> np.ndarray:
        return np.array([-9.0, -9.0, -9.0]) if output is Output.LOGIT else np.zeros(3)

    predictor = ToyPredictor(logits, own=facts(classes=3))
    case = case_of(predictor, IMAGE, MAP)
    outcome = ask(Irof(Grid(4), output=output).score(case), predictor)
    if output is Output.LOGIT:
        assert isinstance(outcome.score, Undefined)
        assert outcome.score.reason is Reason.NO_CONFIDENCE
    else:
        assert isinstance(outcome.score, float)


STEPPED = [
    Deletion(4, 8),
    Insertion(4, 8),
    MorfDeletion(regions=Grid(4), steps=8),
    LerfDeletion(regions=Grid(4), steps=8),
    PixelFlipping(steps=8),
    Srg(regions=Grid(4), steps=8),
]


@pytest.mark.parametrize("until", [0.125, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("metric", STEPPED[:4], ids=lambda metric: metric.name)
def test_until_takes_the_area_of_the_beginning_alone(metric: Metric, until: float) -> None:
    whole = scored(metric).curves[metric.name]
    ended = changed(metric, until=until)
    fine = np.linspace(0, until, 20_001)
    values = np.interp(fine, whole.fractions, whole.values)
    expected = trapezoid(fine.tolist(), values.tolist()) / until
    # the fine grid misses the corners
    assert number(scored(ended)) == pytest.approx(expected, abs=1e-6)
    shown = scored(ended).curves[metric.name]
    points = steps_until(8, until) + 1
    assert shown.fractions == pytest.approx(whole.fractions[:points])
    assert shown.values == whole.values[:points]


def changed(metric: Metric, **parameters: object) -> Metric:
    made: Metric = replace(metric, **parameters)  # type: ignore[type-var, arg-type]  # every metric is a dataclass
    return made


def test_until_asks_for_no_more_than_it_needs() -> None:
    for metric in (LerfDeletion(regions=Grid(4), steps=8), MorfDeletion(regions=Grid(4), steps=8)):
        for until, most in ((0.25, 2), (0.3, 3), (1.0, 7)):
            ended = changed(metric, until=until)
            predictor = linear(WEIGHTS)
            case = case_of(predictor, IMAGE, MAP)
            assert ended.cost(case).views == most


@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=12),
    st.floats(0.01, 0.99),
)
def test_means_of_both_parts_make_up_the_area(values: list[float], share: float) -> None:
    trace = PerturbationCurve(np.linspace(0, 1, len(values)), np.array(values), 0)
    begun, ended = trace.mean_between(0.0, share), trace.mean_between(share, 1.0)
    assert share * begun + (1 - share) * ended == pytest.approx(trace.area, abs=1e-12)
    assert trace.mean_between(0.0, 1.0) == pytest.approx(trace.area, abs=1e-12)


@example(100, 29)  # 0.29 * 100 < 29
@example(100, 7)  # 0.07 * 100 > 7
@given(st.integers(1, 1000), st.integers(1, 99))
def test_counts_at_shares_are_floors_of_decimals(cells: int, hundredths: int) -> None:
    (found,) = share_counts(cells, (hundredths / 100,)).tolist()
    assert found == cells * hundredths // 100
    assert steps_until(cells, hundredths / 100) == -(-cells * hundredths // 100)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 99))
def test_turning_the_map_over_changes_the_sign_of_the_gap(seed: int) -> None:
    drawn = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    metric = Srg(regions=Grid(4), steps=8)
    # the same areas with their sums in another order
    assert number(scored(metric, -drawn)) == pytest.approx(
        -number(scored(metric, drawn)), abs=EXACT
    )


def test_the_gap_of_random_maps_is_zero_in_the_mean() -> None:
    draws = [np.random.default_rng(seed).random((SIDE, SIDE)) for seed in range(60)]
    found = np.array([number(scored(Srg(regions=Grid(4), steps=4), drawn)) for drawn in draws])
    error = found.std(ddof=1) / np.sqrt(found.size)
    assert abs(found.mean()) < 4 * error
    contributions = (WEIGHTS * IMAGE).sum(axis=0)
    assert number(scored(Srg(regions=Grid(4), steps=4), contributions)) > 8 * error


@pytest.mark.parametrize("metric", STEPPED, ids=lambda metric: metric.name)
def test_a_positive_scaling_of_the_map_changes_nothing(metric: Metric) -> None:
    assert scored(metric, 7 * MAP - 2) == scored(metric)


ALL = [
    *STEPPED,
    Selectivity(),
    Irof(SEGMENTS),
    Abpc(regions=Grid(4), steps=8),
    RegionPerturbation(cells=3),
]


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_a_constant_map_is_degenerate_and_costs_nothing(metric: Metric) -> None:
    predictor = linear(WEIGHTS)
    case = case_of(predictor, IMAGE, np.full((SIDE, SIDE), 0.4))
    batches = len(predictor.batches)
    outcome = ask(metric.score(case), predictor)
    assert isinstance(outcome.score, Undefined)
    assert outcome.score.reason is Reason.DEGENERATE
    assert len(predictor.batches) == batches


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_no_metric_asks_for_more_than_its_cost(metric: Metric) -> None:
    predictor = linear(WEIGHTS, own=facts(batch_size=1))
    case = case_of(predictor, IMAGE, MAP)
    before = len(predictor.batches)
    ask(metric.score(case), predictor)
    # the clean image was forgotten with the sample's own batcher, and the empty one is not counted
    assert len(predictor.batches) - before <= metric.cost(case).views + 2


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_a_range_bounds_what_is_made_of_probabilities_alone(metric: Metric) -> None:
    logits = changed(metric, output=Output.LOGIT)
    assert not np.isfinite(logits.reduction.range.lower)
    assert metric.reduction.range.upper == 1
    score = number(scored(metric))
    assert score in metric.reduction.range


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_points_without_coverage_are_counted(metric: Metric) -> None:
    empty = scored(metric, removal=Layer())
    black = scored(metric, removal=Black())
    ends = {"srg": 2, "abpc": 2, "region_perturbation": 0}
    assert empty.parts["n_zero_coverage"] == ends.get(metric.name, 1)
    assert black.parts["n_zero_coverage"] == 0


@pytest.mark.parametrize(
    "metric",
    [
        Irof(SEGMENTS),
        LerfDeletion(regions=SEGMENTS, steps=6),
        MorfDeletion(regions=Quickshift(kernel=2.0, distance=20.0), steps=6, until=0.4),
        Selectivity(SEGMENTS, until=0.25),
    ],
    ids=lambda metric: metric.name,
)
def test_curves_over_segments_have_as_many_points_for_every_image(metric: Metric) -> None:
    predictor = linear(WEIGHTS)
    curves = []
    for seed in (1, 2, 5):
        outcome = ask(metric.score(case_of(predictor, pixels(seed), MAP)), predictor)
        curves.append(outcome.curves[metric.name])
    assert len({curve.fractions for curve in curves}) == 1
    assert all(before < after for before, after in pairwise(curves[0].fractions))
    assert curves[0].fractions[0] == 0
    assert curves[0].fractions[-1] == getattr(metric, "until", 1.0)


@pytest.mark.parametrize(
    ("metric", "field", "message"),
    [
        (PixelFlipping(Patches(8), steps=17), "steps", "16 cells"),
        (MorfDeletion(regions=Grid(2), steps=5), "steps", "4 cells"),
        (Srg(regions=Grid(2), steps=5), "steps", "4 cells"),
        (Deletion(steps=17, regions=Patches(8)), "steps", "16 cells"),
        (Selectivity(steps=17), "steps", "16 cells"),
        (RegionPerturbation(cells=17), "cells", "16 regions"),
        (RegionPerturbation(Slic(segments=4), cells=17), "cells", "16 regions"),
        (Deletion(7, 5, regions=Patches(8)), "grid", "name one of them"),
        (Deletion(33, 5), "grid", "at most 32"),
        (PixelFlipping(Grid(33)), "regions.grid.side", "at most 32"),
        (Irof(Slic(segments=65)), "regions.slic.segments", "at most 64"),
    ],
    ids=lambda item: str(item)[:40],
)
def test_parameters_that_do_not_fit_are_refused(metric: Metric, field: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        metric.check(planned(facts(), Black()))
    assert caught.value.field == field


@pytest.mark.parametrize("metric", [PixelFlipping(), MorfDeletion(regions=Grid(8), steps=3)])
def test_regions_that_close_again_inside_the_network_are_refused(metric: Metric) -> None:
    metric.check(planned(facts(), Black()))
    with pytest.raises(InvalidArgumentError, match="close again"):
        metric.check(planned(facts(), Layer()))


def test_relative_deletion_under_the_logit_divides_by_it() -> None:
    plain = scored(Deletion(4, 8, output=Output.LOGIT))
    relative = scored(Deletion(4, 8, CurveScale.RELATIVE, output=Output.LOGIT))
    clean = plain.curves["deletion"].values[0]
    assert relative.curves["deletion"].values[0] == 1
    assert number(relative) == pytest.approx(number(plain) / clean)


def test_pixels_are_the_finest_grid() -> None:
    fine = scored(Deletion(SIDE, 8))
    assert scored(PixelFlipping(Pixels(), steps=8)).score == fine.score
