import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import ClassMatrix, RemovalOrder, SegmentRemoval
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.regions import Grid, Segmentation, Slic
from heatproof.evaluators.registry.parameters import check_parameters
from heatproof.evaluators.removal import Black, Grey, Layer, RemovalOperator
from tests.evaluators.toys import SIDE, ToyPredictor, ask, case_of, facts, pixels, planned

ALIKE = np.array([[1, 0.25, -0.5], [0.75, 1, 0], [0.125, -1, 1]], np.float32)
"""Not symmetric, so that rows and columns cannot be mistaken for each other."""
WEIGHTS = np.random.default_rng(0).normal(size=(3, 3, SIDE, SIDE))
MODEL = "models/toy"


def logits(image: np.ndarray) -> np.ndarray:
    """Classes that change as the image is removed."""
    return np.array([(one * image.astype(np.float64)).sum() for one in WEIGHTS])


def scored(
    metric: SegmentRemoval,
    attribution: np.ndarray | None = None,
    removal: RemovalOperator | None = None,
    predictor: ToyPredictor | None = None,
) -> Outcome:
    model = predictor or ToyPredictor(logits)
    return ask(metric.score(case_of(model, pixels(), attribution, removal=removal)), model)


@pytest.mark.parametrize("order", [RemovalOrder.MORF, RemovalOrder.LERF])
@given(st.integers(2, 7), st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_salient_orders_agree_with_an_independent_reading(
    order: RemovalOrder, side: int, fractions: int, seed: int
) -> None:
    attribution = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    edges = [SIDE * index // side for index in range(side + 1)]
    cells = [
        (slice(edges[row], edges[row + 1]), slice(edges[column], edges[column + 1]))
        for row in range(side)
        for column in range(side)
    ]
    ranked = sorted(
        cells,
        key=lambda cell: float(attribution[cell].sum()),
        reverse=order is RemovalOrder.MORF,
    )
    clean = int(logits(pixels()).argmax())
    expected = []
    for index in range(fractions + 1):
        image = pixels().copy()
        for rows, columns in ranked[: index * len(cells) // fractions]:
            image[:, rows, columns] = 0
        expected.append(float(int(logits(image).argmax()) == clean))

    found = scored(SegmentRemoval(Grid(side), order, fractions), attribution)
    assert found.curves["unchanged"].values == tuple(expected)
    assert found.score == pytest.approx(np.mean(expected), abs=1e-15)


def test_the_sum_orders_segments_not_the_mean() -> None:
    """Of a 3 x 3 grid on 32 pixels the last cells are larger: equal values, a greater sum."""
    model = ToyPredictor(logits)
    attribution = np.ones((SIDE, SIDE))
    scored(SegmentRemoval(Grid(3), RemovalOrder.MORF, 9), attribution, Layer(), model)
    masks = [mask for batch in model.masks for mask in batch]
    first = next(mask for mask in masks if not mask.all())
    assert (~first).sum() == 11 * 11


def test_random_orders_nest_and_are_the_same_for_all_operators_and_models() -> None:
    first, second = ToyPredictor(logits), ToyPredictor(lambda image: -logits(image))
    for model in (first, second):
        scored(SegmentRemoval(Grid(4)), removal=Layer(), predictor=model)
    own = [np.concatenate(model.masks)[:10] for model in (first, second)]
    assert np.array_equal(*own)
    assert [int((~mask).sum()) // 64 for mask in own[0]] == [1, 3, 4, 6, 8, 9, 11, 12, 14, 16]
    assert all((later <= earlier).all() for earlier, later in zip(own[0], own[0][1:], strict=False))

    grey = ToyPredictor(logits)
    scored(SegmentRemoval(Grid(4)), removal=Grey(), predictor=grey)
    painted = np.concatenate(grey.batches)[1:]  # the clean image comes first
    shown = [(image == pixels()).all(axis=0) for image in painted]
    for mask in own[0]:
        assert any(np.array_equal(mask, one) for one in shown)


def test_a_network_that_sees_nothing_keeps_its_prediction() -> None:
    constant = ToyPredictor(lambda _: np.array([0.0, 1.0, 0.0]))
    assert scored(SegmentRemoval(Grid(4)), predictor=constant).score == 1


def test_a_mean_of_entropies_needs_one_at_every_fraction() -> None:
    metric = SegmentRemoval(Grid(4), fractions=3)
    parts = {f"class_entropy_{index}_of_3": float(index) for index in range(4)}
    assert metric.described({}, parts) == {"class_entropy": 1.5}
    del parts["class_entropy_2_of_3"]
    assert metric.described({}, parts) == {}


def test_parts_of_a_set_agree_with_an_independent_reading() -> None:
    spec = EvaluationSpec(
        models=(MODEL,),
        preprocessing=PRESETS["unit"],
        metrics=(SegmentRemoval(Grid(4), fractions=5, similarity=ClassMatrix.of(ALIKE)),),
        explainers=(),
        removals=(Black(),),
    )
    rng = np.random.default_rng(5)
    pictures = [
        SourceImage(str(index), str(index), rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), label)
        for index, label in enumerate([0, 1, 2, None, 1])
    ]
    rows = list(evaluate(spec, pictures, {MODEL: ToyPredictor(logits)}, lambda _: None))
    (found,) = summarize(spec, tabulated(spec, rows))

    entropies = []
    for index in range(6):
        classes = [row.scores[0].parts[f"class_entropy_{index}_of_5"] for row in rows]
        shares = [count / 5 for count in Counter(classes).values()]
        entropies.append(-sum(share * math.log(share + 1e-7) for share in shares))
        assert found.parts[f"class_entropy_{index}_of_5"].value == pytest.approx(entropies[-1])
    clean = [row.predictions[0].top[0].class_index for row in rows]
    assert [row.scores[0].parts["class_entropy_0_of_5"] for row in rows] == clean
    emptied = [row.scores[0].parts["class_entropy_5_of_5"] for row in rows]
    assert set(emptied) == {float(logits(np.zeros((3, SIDE, SIDE))).argmax())}
    assert found.parts["class_entropy"].value == pytest.approx(np.mean(entropies), rel=1e-12)
    assert found.parts["class_entropy"].interval is None
    assert found.parts["class_entropy_ceiling"].value == pytest.approx(math.log(3))

    labelled = [row for row in rows if row.label is not None]
    classes = [
        [int(row.scores[0].parts[f"class_entropy_{index}_of_5"]) for index in range(6)]  # type: ignore[arg-type]  # numbers all
        for row in labelled
    ]
    hits = np.array([[own == row.label for own in line] for row, line in zip(labelled, classes)])  # noqa: B905  # of one length
    assert found.parts["accuracy"].value == pytest.approx(hits.mean())
    assert found.parts["accuracy"].scored == 4
    assert found.summary.scored == 5
    alike = [[ALIKE[own, row.label] for own in line] for row, line in zip(labelled, classes)]  # noqa: B905  # as above
    assert found.parts["class_similarity"].value == pytest.approx(np.mean(alike), rel=1e-6)
    np.testing.assert_allclose(found.curves["class_similarity"].values, np.mean(alike, axis=0))
    for index in range(6):
        part = found.parts[f"accuracy_{index}_of_5"]
        assert part.value == pytest.approx(hits[:, index].mean())
    for name in ("accuracy", "accuracy_3_of_5", "class_similarity"):
        if name != "accuracy_3_of_5":
            assert found.parts[name].undefined == {Reason.NO_LABEL: 1}
        assert found.parts[name].scored == 4
    unchanged = [found.parts[f"unchanged_{index}_of_5"].value for index in range(6)]
    assert unchanged == pytest.approx(list(found.curves["unchanged"].values))
    assert np.mean(unchanged) == pytest.approx(found.summary.value)
    few = summarize(spec, tabulated(spec, rows[:2]))[0]
    assert few.parts["class_entropy_ceiling"].value == pytest.approx(math.log(2))


def test_every_fraction_is_a_proportion_with_its_interval() -> None:
    spec = EvaluationSpec(
        models=(MODEL,),
        preprocessing=PRESETS["unit"],
        metrics=(SegmentRemoval(Grid(4), fractions=2),),
        removals=(Black(),),
    )
    rng = np.random.default_rng(6)
    pictures = [
        SourceImage(str(index), "", rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), index % 3)
        for index in range(12)
    ]
    rows = evaluate(spec, pictures, {MODEL: ToyPredictor(logits)}, lambda _: None)
    (found,) = summarize(spec, tabulated(spec, rows))
    for name in ("unchanged_0_of_2", "unchanged_1_of_2", "accuracy_2_of_2"):
        interval = found.parts[name].interval
        assert interval is not None
        assert interval.method == "wilson"
        value = found.parts[name].value
        assert value is not None
        assert interval.lower <= value <= interval.upper
    assert found.parts["unchanged_0_of_2"].value == 1


def test_results_name_a_matrix_by_its_digest_alone() -> None:
    whole = SegmentRemoval(similarity=ClassMatrix.of(ALIKE))
    assert whole.echoed == whole
    assert whole.similarity.values
    assert not whole.echoed.similarity.values  # type: ignore[attr-defined]  # the same metric
    assert whole != SegmentRemoval(similarity=ClassMatrix.of(ALIKE.T))
    assert SegmentRemoval().echoed == SegmentRemoval()


@pytest.mark.parametrize(
    ("matrix", "field", "words"),
    [
        (ClassMatrix.of(np.eye(4, dtype=np.float32)), "similarity.classes", "4 classes, but"),
        (ClassMatrix.of(ALIKE).digest_alone, "similarity.values", "send the matrix"),
    ],
)
def test_a_matrix_that_does_not_fit_the_model_is_refused(
    matrix: ClassMatrix, field: str, words: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as caught:
        SegmentRemoval(Grid(4), similarity=matrix).check(planned(facts(), Black()))
    assert caught.value.field == field
    SegmentRemoval(Grid(4), similarity=ClassMatrix.of(ALIKE)).check(planned(facts(), Black()))


def test_a_matrix_too_large_for_a_spec_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="1024") as caught:
        check_parameters(SegmentRemoval(similarity=ClassMatrix(1025)))
    assert caught.value.field == "similarity.classes"


@pytest.mark.parametrize(
    ("classes", "values", "sha256", "field"),
    [
        (3, ALIKE.tobytes()[:-1], "", "values"),
        (2, ALIKE.tobytes(), "", "values"),
        (0, ALIKE.tobytes(), "", "values"),
        (3, np.full((3, 3), np.nan, np.float32).tobytes(), "", "values"),
        (3, ALIKE.tobytes(), 64 * "0", "sha256"),
    ],
)
def test_bytes_that_are_no_matrix_are_refused(
    classes: int, values: bytes, sha256: str, field: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        ClassMatrix(classes, values, sha256)
    assert caught.value.field == field


def test_points_without_coverage_are_counted() -> None:
    assert scored(SegmentRemoval(Grid(4)), removal=Layer()).parts["n_zero_coverage"] == 1
    assert scored(SegmentRemoval(Grid(4))).parts["n_zero_coverage"] == 0


def test_a_map_that_orders_nothing_has_no_score() -> None:
    found = scored(SegmentRemoval(Grid(4), RemovalOrder.MORF), np.ones((SIDE, SIDE))).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.DEGENERATE


def test_only_salient_orders_take_an_explainer() -> None:
    assert not SegmentRemoval().takes_explainer
    assert SegmentRemoval(order=RemovalOrder.LERF).takes_explainer


@pytest.mark.parametrize(
    ("regions", "removal", "field"),
    [
        (Grid(5), Layer(), "regions.grid.side"),
        (Slic(17), Layer(), "regions.slic.segments"),
        (Grid(33), Black(), "regions.grid.side"),
    ],
)
def test_segments_that_are_too_fine_are_refused(
    regions: Segmentation, removal: RemovalOperator, field: str
) -> None:
    with pytest.raises(InvalidArgumentError, match="at most") as caught:
        SegmentRemoval(regions).check(planned(facts(), removal))
    assert caught.value.field == field


def test_the_published_grid_fits_the_published_size() -> None:
    SegmentRemoval().check(planned(facts(side=224), Layer()))
    SegmentRemoval(Grid(4)).check(planned(facts(), Layer()))
