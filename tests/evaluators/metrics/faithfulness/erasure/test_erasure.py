"""What single points and steps of curves say, against readings one image at a time."""

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import (
    Comprehensiveness,
    Deletion,
    Insertion,
    Metric,
    MinimalSubset,
    Monotonicity,
    Sufficiency,
)
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.regions import Grid, Slic
from heatproof.evaluators.removal import Black, Layer
from tests.evaluators.metrics.faithfulness.readings import falling, probability, ranking, squares
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

WEIGHTS = np.random.default_rng(15).uniform(-6e-3, 6e-3, (3, SIDE, SIDE))
IMAGE = pixels()
MAP = np.random.default_rng(3).random((SIDE, SIDE))
SHARES = (0.01, 0.29, 0.57, 1.0)
GRID = Grid(8)
FLOORS = [0, 18, 36, 64]
"""Of 64 cells at the shares."""


def scored(
    metric: Metric, attribution: np.ndarray = MAP, predictor: ToyPredictor | None = None
) -> Outcome:
    predictor = predictor or linear(WEIGHTS)
    return ask(metric.score(case_of(predictor, IMAGE, attribution)), predictor)


def curve(predictor: ToyPredictor, *, counts: list[int], shown: bool = False) -> list[float]:
    """Probabilities without the first cells, or with them alone."""
    order = ranking(squares(4), MAP)
    if shown:
        counts = [64 - count for count in counts]
        order = order[::-1]
    return falling(predictor, IMAGE, squares(4), order, counts)


def test_comprehensiveness_is_the_mean_drop_without_the_first_shares() -> None:
    values = curve(linear(WEIGHTS), counts=FLOORS)
    clean = curve(linear(WEIGHTS), counts=[0])[0]
    found = scored(Comprehensiveness(regions=GRID, shares=SHARES))
    assert found.score == pytest.approx(np.mean([clean - value for value in values]), abs=1e-12)
    assert found.curves["comprehensiveness"].fractions == SHARES
    assert found.curves["comprehensiveness"].values[0] == 0  # nothing is removed yet


def test_sufficiency_is_the_mean_drop_with_the_first_shares_alone() -> None:
    values = curve(linear(WEIGHTS), counts=FLOORS, shown=True)
    clean = curve(linear(WEIGHTS), counts=[0])[0]
    found = scored(Sufficiency(regions=GRID, shares=SHARES))
    assert found.score == pytest.approx(np.mean([clean - value for value in values]), abs=1e-12)
    assert found.curves["sufficiency"].values[-1] == 0  # everything is shown


def test_drops_at_shares_are_those_of_the_curves() -> None:
    shares = (0.25, 0.5, 0.75)
    deletion = scored(Deletion(8, 4)).curves["deletion"].values
    insertion = scored(Insertion(8, 4)).curves["insertion"].values
    clean = deletion[0]
    removed = scored(Comprehensiveness(regions=GRID, shares=shares))
    shown = scored(Sufficiency(regions=GRID, shares=shares))
    assert removed.curves["comprehensiveness"].values == tuple(clean - y for y in deletion[1:4])
    assert shown.curves["sufficiency"].values == tuple(clean - y for y in insertion[1:4])


def test_monotonicity_of_the_least_cell_holds() -> None:
    # what is black stays the least, so that nothing ever raises it again
    predictor = ToyPredictor(lambda image: np.array([9 * image.min(), 0, 0]))
    found = scored(Monotonicity(regions=GRID, steps=16), predictor=predictor)
    assert found.score == 1
    assert found.parts["falling_share"] == 1


@pytest.mark.parametrize("steps", [13, 16, 28])
def test_monotonicity_counts_the_steps_that_do_not_rise(steps: int) -> None:
    counts = [i * 64 // steps for i in range(steps + 1)]
    rises = np.diff(curve(linear(WEIGHTS), counts=counts))
    assert (rises > 1e-6).any()
    assert (rises <= 1e-6).any()
    found = scored(Monotonicity(regions=GRID, steps=steps))
    assert found.score == 0
    assert found.parts["falling_share"] == (rises <= 1e-6).mean()
    assert found.curves["monotonicity"] == scored(Deletion(8, steps)).curves["deletion"]


@pytest.mark.parametrize(("rise", "expected"), [(0.9e-6, 1.0), (1.1e-6, 0.0)])
def test_rises_within_rounding_are_none(rise: float, expected: float) -> None:
    def logits(image: np.ndarray) -> np.ndarray:
        hidden = float((image == 0).all(axis=0).mean())
        # near .5 the logit's change is four times the probability's; float32 near 0 is fine
        return np.array([4 * rise * hidden, 0])

    predictor = ToyPredictor(logits, own=facts(classes=2))
    found = scored(Monotonicity(regions=GRID, steps=1), predictor=predictor)
    assert found.score == expected


def test_steps_without_a_region_of_their_own_do_not_count_as_falling() -> None:
    kind = Slic(segments=4, compactness=100.0)
    predictor = ToyPredictor(lambda image: np.array([-9 * image.mean(), 0, 0]))
    case = case_of(predictor, IMAGE, MAP)
    object.__setattr__(case.sample, "target", case.sample.target.__class__(0))
    cells = case.sample.regions(kind).cells
    outcome = ask(Monotonicity(regions=kind, steps=3 * cells).score(case), predictor)
    assert outcome.parts["falling_share"] == 0


@pytest.mark.parametrize("needed", [1, 5, 16])
def test_the_minimal_subset_of_the_cells_that_a_model_reads_is_their_share(needed: int) -> None:
    cells = ranking(squares(8), MAP)[:needed]
    read = np.isin(squares(8), cells)
    predictor = ToyPredictor(lambda image: np.array([9.0 * (image[0][read] > 0).all(), 0, 0]))
    found = scored(MinimalSubset(regions=Grid(4), steps=16), predictor=predictor)
    assert found.score == needed / 16
    assert (
        found.curves["minimal_subset"]
        == (scored(Insertion(4, 16), predictor=predictor).curves["insertion"])
    )


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.3, 0.9])
def test_the_minimal_subset_keeps_what_may_not_be_lost(loss: float) -> None:
    weights = np.abs(WEIGHTS)
    counts = [i * 64 // 28 for i in range(29)]
    order = ranking(squares(4), MAP)
    values = [
        falling(linear(weights), IMAGE, squares(4), order[::-1], [64 - count])[0]
        for count in counts
    ]
    clean = values[-1]
    expected = next(
        c / 64 for c, y in zip(counts, values, strict=True) if c and y >= (1 - loss) * clean
    )
    found = scored(MinimalSubset(regions=GRID, loss=loss), predictor=linear(weights))
    assert found.score == expected


def test_the_minimal_subset_of_a_model_that_reads_nothing_is_the_first_step() -> None:
    predictor = ToyPredictor(lambda _: np.array([1.0, 0, 0]))
    assert scored(MinimalSubset(regions=GRID, steps=16), predictor=predictor).score == 1 / 16


def test_no_share_of_a_negative_logit_can_be_kept() -> None:
    predictor = ToyPredictor(lambda image: np.array([-image.mean(), -9.0, -9.0]))
    found = scored(MinimalSubset(regions=GRID, output=Output.LOGIT), predictor=predictor).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.NO_CONFIDENCE


def test_an_answer_that_is_not_finite_is_no_step() -> None:
    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([np.nan if (image == 0).mean() > 0.5 else 1.0, 0, 0])

    for metric in (Monotonicity(regions=GRID, steps=8), MinimalSubset(regions=GRID, steps=8)):
        found = scored(metric, predictor=ToyPredictor(logits)).score
        assert isinstance(found, float)
        assert np.isnan(found)  # which the evaluation turns into NOT_FINITE


ALL: list[Metric] = [
    Comprehensiveness(regions=GRID),
    Sufficiency(regions=GRID),
    Monotonicity(regions=GRID),
    MinimalSubset(regions=GRID),
]


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_no_metric_asks_for_more_than_its_cost(metric: Metric) -> None:
    predictor = linear(WEIGHTS, own=facts(batch_size=1))
    case = case_of(predictor, IMAGE, MAP)
    before = len(predictor.batches)
    ask(metric.score(case), predictor)
    assert len(predictor.batches) - before <= metric.cost(case).views + 2


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_fine_cells_are_refused_inside_the_network(metric: Metric) -> None:
    metric.check(planned(facts(), Black()))
    with pytest.raises(InvalidArgumentError, match="close again"):
        metric.check(planned(facts(), Layer()))


@pytest.mark.parametrize("kind", [Monotonicity, MinimalSubset])
def test_more_steps_than_cells_are_refused(kind: type[Monotonicity] | type[MinimalSubset]) -> None:
    with pytest.raises(InvalidArgumentError, match="16 cells") as caught:
        kind(regions=Grid(4), steps=17).check(planned(facts(), Black()))
    assert caught.value.field == "steps"


def test_logits_have_no_bounds() -> None:
    found = scored(Comprehensiveness(regions=GRID, output=Output.LOGIT, shares=(0.5,)))
    shown = IMAGE.copy()
    shown[:, np.isin(squares(4), ranking(squares(4), MAP)[:32])] = 0
    drop = (WEIGHTS * (IMAGE.astype(np.float64) - shown)).sum()
    assert found.score == pytest.approx(drop, abs=1e-5)  # float32 logits
    assert probability(np.array([drop, 0, 0])) == softmax(np.array([drop, 0, 0]))[0]
    assert not np.isfinite(Comprehensiveness(output=Output.LOGIT).reduction.range.width)
