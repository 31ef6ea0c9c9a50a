"""Coherency and what is made of it, against a NumPy reading of their formulas on a linear model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import Progress, evaluate
from heatproof.evaluators.evaluation.plan import plan
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Centre, Explainer, Saliency, Supplied
from heatproof.evaluators.explainers.explainer import ExplainerCategory, ExplainerFacts
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import (
    Adcc,
    Arcc,
    AverageDrop,
    Coherency,
    DropInConfidence,
    Metric,
    RoadCombined,
)
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.removal import (
    Black,
    Grey,
    Inpaint,
    Layer,
    LinearImputation,
    RemovalOperator,
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
    sample_of,
    softmax,
)

WEIGHTS = np.random.default_rng(0).normal(0.002, 0.004, (3, SIDE, SIDE))
IMAGE = pixels()
GRID, CELL = 4, SIDE // 4
NO_COLOUR = np.zeros((3, 1, 1))
GREY = np.array([0.485, 0.456, 0.406])[:, None, None]
ROAD = Arcc(shares=(0.25, 0.5), regions=Grid(GRID), imputation=Black())


@dataclass(frozen=True, slots=True)
class Product(Explainer):
    """The weights times the image; constant on what a map keeps, if told; lives in this test."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="product", reference="test", category=ExplainerCategory.GRADIENT
    )

    fails: str = ""

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        made: Map = (WEIGHTS * sample.image.draw()).sum(axis=0)
        if not sample.is_perturbed or not self.fails:
            return made
        if self.fails == "undefined":
            return Undefined(Reason.NO_GRADIENT, "the gradient is 0")
        return np.full_like(made, np.nan if self.fails == "nan" else 1.0)


def scored(
    metric: Metric,
    explainer: Explainer | None = None,
    removal: RemovalOperator | None = None,
    predictor: ToyPredictor | None = None,
    made: np.ndarray | None = None,
) -> Outcome:
    model, explainer = predictor or linear(WEIGHTS), explainer or Product()
    own = ask(explainer.explain(sample_of(model, IMAGE)), model) if made is None else made
    assert isinstance(own, np.ndarray)
    case = case_of(model, IMAGE, own, removal=removal, explainer=explainer)
    return ask(metric.score(case), model)


def product(image: np.ndarray) -> np.ndarray:
    return np.asarray((WEIGHTS * image.astype(np.float64)).sum(axis=0))


def probability(image: np.ndarray) -> float:
    logits = np.array([(WEIGHTS * image.astype(np.float64)).sum(), 0.0, 0.0])
    return float(softmax(logits)[0])


def kept(colour: np.ndarray = NO_COLOUR) -> tuple[np.ndarray, np.ndarray]:
    """H and x'."""
    positive = product(IMAGE).clip(0)
    heat = (positive - positive.min()) / (positive.max() - positive.min())
    return heat, heat * IMAGE + (1 - heat) * colour


def coherency(colour: np.ndarray = NO_COLOUR) -> float:
    likeness = np.corrcoef(product(kept(colour)[1]).ravel(), product(IMAGE).ravel())[0, 1]
    return float(likeness + 1) / 2


def harmonic(terms: Sequence[float]) -> float:
    return len(terms) / sum(1 / term for term in terms)


@pytest.mark.parametrize(("removal", "colour"), [(Black(), NO_COLOUR), (Grey(), GREY)])
def test_coherency_is_the_correlation_written_out(
    removal: RemovalOperator, colour: np.ndarray
) -> None:
    expected = coherency(colour)
    assert 0.1 < expected < 0.995
    found = scored(Coherency(), removal=removal).score
    assert found == pytest.approx(expected, abs=1e-6)  # x' is painted in float32


def test_adcc_is_the_harmonic_mean_written_out() -> None:
    heat, shown = kept()
    drop = max(0.0, 1 - probability(shown) / probability(IMAGE))
    assert 0.01 < drop < 0.9
    found = scored(Adcc())
    assert found.parts["average_drop"] == pytest.approx(drop, abs=1e-6)
    assert found.parts["mean_activation"] == pytest.approx(heat.mean(), abs=1e-12)
    expected = harmonic([coherency(), 1 - heat.mean(), 1 - drop])
    assert found.score == pytest.approx(expected, abs=1e-6)


def road() -> float:
    """Half the gap between removing the first of 16 cells from either end, at 4 and 8 of them."""
    cells = product(IMAGE).reshape(GRID, CELL, GRID, CELL).mean(axis=(1, 3)).ravel()
    gaps = []
    for count in (4, 8):
        least, most = np.argsort(cells)[:count], np.argsort(-cells)[:count]
        values = []
        for chosen in (least, most):
            visible = np.ones(GRID * GRID)
            visible[chosen] = 0
            mask = np.kron(visible.reshape(GRID, GRID), np.ones((CELL, CELL)))
            values.append(probability(IMAGE * mask))
        gaps.append(values[0] - values[1])
    return float(np.mean(gaps)) / 2


def test_arcc_is_the_harmonic_mean_written_out() -> None:
    term = min(1.0, 2 * road())
    assert 0.05 < term < 0.99
    found = scored(ROAD)
    assert found.parts["road"] == pytest.approx(term, abs=1e-6)
    expected = harmonic([coherency(), 1 - kept()[0].mean(), term])
    assert found.score == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", [Coherency(), Adcc(), ROAD])
def test_a_constant_map_of_what_is_kept_scores_nothing(metric: Metric) -> None:
    assert scored(metric, Product("constant")).score == 0


def test_a_map_that_orders_cells_against_the_model_has_no_arcc() -> None:
    found = scored(ROAD, made=-product(IMAGE) + 1)
    assert found.parts["road"] == 0
    assert found.score == 0


def test_a_map_that_reads_no_image_is_wholly_coherent() -> None:
    assert scored(Coherency(), Centre()).score == pytest.approx(1, abs=1e-12)


@settings(max_examples=8, deadline=None)
@given(st.floats(0.01, 100), st.sampled_from([Coherency(), Adcc(), ROAD]))
def test_a_positive_unit_of_the_map_changes_nothing(unit: float, metric: Metric) -> None:
    own = product(IMAGE)
    plain, scaled = scored(metric, made=own), scored(metric, made=own * unit)
    assert scaled.score == pytest.approx(plain.score, abs=1e-6)


@pytest.mark.parametrize("metric", [Coherency(), Adcc(), ROAD])
@pytest.mark.parametrize(
    ("made", "fails", "reason"),
    [
        (np.full((SIDE, SIDE), 0.5), "", Reason.DEGENERATE),
        (-np.ones((SIDE, SIDE)) + np.eye(SIDE) * 0.5, "", Reason.DEGENERATE),
        (None, "nan", Reason.NOT_FINITE),
        (None, "undefined", Reason.NO_GRADIENT),
    ],
)
def test_what_has_no_score_says_why(
    metric: Metric, made: np.ndarray | None, fails: str, reason: Reason
) -> None:
    found = scored(metric, Product(fails), made=made).score
    assert isinstance(found, Undefined)
    assert found.reason is reason


def test_an_answer_that_is_not_finite_has_a_status() -> None:
    def logits(image: np.ndarray) -> np.ndarray:
        value = (WEIGHTS * image.astype(np.float64)).sum()
        return np.array([value if np.array_equal(image, IMAGE) else np.nan, 0.0, 0.0])

    for metric in (Coherency(), Adcc(), ROAD):
        found = scored(metric, predictor=ToyPredictor(logits)).score
        assert isinstance(found, Undefined)
        assert found.reason is Reason.NOT_FINITE


def test_adcc_needs_a_probability_that_can_be_lost() -> None:
    def logits(image: np.ndarray) -> np.ndarray:
        del image
        return np.zeros(2000)

    model = ToyPredictor(logits, own=facts(classes=2000))
    found = scored(Adcc(), predictor=model).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.NO_CONFIDENCE


SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(Coherency(),),
    explainers=(Saliency(),),
    removals=(Black(),),
)
INVENTORY = Inventory.of([KnownImage("x", maps=frozenset({""}))])


@pytest.mark.parametrize("metric", [Coherency(), Adcc(), Arcc()])
@pytest.mark.parametrize("removal", [Layer(), Inpaint(), LinearImputation()])
def test_operators_without_a_picture_of_their_own_are_refused(
    metric: Metric, removal: RemovalOperator
) -> None:
    with pytest.raises(InvalidArgumentError, match="has no such picture"):
        metric.check(planned(facts(), removal))


def test_supplied_maps_and_unordered_shares_are_refused() -> None:
    spec = replace(SPEC, explainers=(Supplied(),))
    with pytest.raises(InvalidArgumentError, match="makes every map anew"):
        plan(spec, {"models/toy": facts()}, INVENTORY)
    spec = replace(SPEC, metrics=(Arcc(shares=(0.4, 0.2)),))
    with pytest.raises(InvalidArgumentError, match="shares must ascend") as caught:
        plan(spec, {"models/toy": facts()}, INVENTORY)
    assert caught.value.field == "metrics[0].arcc.shares"


def rows(*metrics: Metric) -> int:
    """Rows that one image takes."""
    drawn = (IMAGE * 255).astype(np.uint8).transpose(1, 2, 0).copy()
    seen: list[Progress] = []
    spec = replace(SPEC, metrics=metrics)
    list(
        evaluate(
            spec, [SourceImage("ab", "x", drawn)], {"models/toy": linear(WEIGHTS)}, seen.append
        )
    )
    done = seen[-1].predictions_done
    assert done <= plan(spec, {"models/toy": facts()}, INVENTORY).predictions
    return done


def test_what_the_map_keeps_is_asked_and_explained_once_for_all() -> None:
    alone = rows(Coherency())
    assert alone == 1 + 1 + 2  # clean, x', and the gradients of both
    assert rows(Coherency(), Adcc(), AverageDrop(), DropInConfidence()) == alone
    assert rows(Coherency(), ROAD) == alone + 4
    combined = RoadCombined(shares=ROAD.shares, regions=ROAD.regions)
    assert rows(Coherency(), ROAD, combined) == alone + 4


@dataclass(frozen=True, slots=True)
class Counted(Explainer):
    """The first colour; remembers what it was asked to explain; lives in this test."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="counted", reference="test", category=ExplainerCategory.GRADIENT
    )
    explained: ClassVar[list[str]] = []

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        self.explained.append(sample.image.key)
        return sample.image.draw()[0].astype(np.float64)


def test_a_map_of_what_is_kept_is_made_once_for_all_that_ask_for_it() -> None:
    drawn = (IMAGE * 255).astype(np.uint8).transpose(1, 2, 0).copy()
    images = [SourceImage("ab", "x", drawn), SourceImage("cd", "y", 255 - drawn)]

    def scores(*metrics: Metric) -> tuple[list[list[float | Undefined]], int]:
        Counted.explained.clear()
        spec = replace(SPEC, metrics=metrics, explainers=(Counted(),), removals=(Grey(), Black()))
        found = evaluate(spec, images, {"models/toy": linear(WEIGHTS)}, lambda _: None)
        made = [[one.score for one in image.scores] for image in found]
        assert len(set(Counted.explained)) == len(Counted.explained)
        return made, len(Counted.explained)

    alone = [scores(metric) for metric in (Coherency(), Adcc(), ROAD)]
    together, count = scores(Coherency(), Adcc(), ROAD)
    assert [many for _, many in alone] == [2 * 3] * 3  # each image, and it after both operators
    assert count == 2 * 3
    assert together == [
        [score for made, _ in alone for score in made[place]] for place in range(len(images))
    ]
