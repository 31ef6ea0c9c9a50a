"""Columns of shards say what the rows of all images say, through bytes and back."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import FailedPreconditionError, InternalError
from heatproof.evaluators.evaluation import column_blocks
from heatproof.evaluators.evaluation.column_blocks import (
    blocks_of,
    check,
    read_images,
    read_results,
    written,
)
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import (
    ClassProbability,
    CleanPrediction,
    ImageResult,
    ImageScore,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import clean_accuracy, summarize, units_of
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.images.labels import LabelSet
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.outcomes import Curve, Reason, Score, Undefined
from heatproof.evaluators.removal import REMOVALS
from heatproof.evaluators.statistics.reductions import Mean

SPEC = EvaluationSpec(
    models=("m",),
    preprocessing=PRESETS["unit"],
    metrics=(METRICS["insertion"](), METRICS["occlusion_corrected_deletion"]()),
    explainers=(EXPLAINERS["centre"](),),
    removals=(REMOVALS["black"](),),
)
PARTS = ("random_area", "deletion_area", "oracle_area")
FRACTIONS = (0.0, 0.5, 1.0)

numbers = st.integers(16, 64).map(lambda n: n / 64)  # sums are exact
scores = st.one_of(numbers, st.sampled_from(Reason).map(lambda r: Undefined(r, "because")))
curves = st.lists(numbers, min_size=3, max_size=3).map(lambda v: Curve(FRACTIONS, tuple(v)))


@st.composite
def image_results(draw: Any) -> ImageResult:
    """A result of one of few digests, so that copies come; some results may be missing."""
    held = []
    for index in draw(st.sets(st.integers(0, 1))):
        parts = {name: draw(scores) for name in draw(st.sets(st.sampled_from(PARTS)))}
        named = {name: draw(curves) for name in draw(st.sets(st.sampled_from(["a", "b"])))}
        held.append(ImageScore(index, draw(scores), parts, named))
    top = draw(st.sampled_from([(), (ClassProbability(1, 0.5),), (ClassProbability(2, 0.5),)]))
    answers = draw(st.sampled_from([(), (CleanPrediction("m", 1, top),)]))
    label = draw(st.sampled_from([None, 1, 2]))
    return ImageResult(f"{draw(st.integers(0, 20)):064x}", "x", label, answers, tuple(held))


def multi_label(place: int, models: Sequence[str]) -> ImageResult:
    answers = tuple(
        CleanPrediction(name, 0, (ClassProbability(0, 0.5),), (float(place), place / 8, -1.0))
        for name in models
    )
    held = LabelSet((0, 2) if place % 3 else ())
    return ImageResult(f"{place:064x}", "", None, answers, (), labels=held)


@pytest.mark.parametrize("cuts", [set(), {3}, {3, 4, 7}])
def test_sets_of_classes_and_logits_survive_in_shards(cuts: set[int]) -> None:
    """A shard may lack the logits of a model, and images in it those of all."""
    rows = [multi_label(place, ["m", "n"] if place < 4 else ["m"]) for place in range(9)]
    rows[5] = replace(rows[5], predictions=(CleanPrediction("m", 0, ()),))
    images = in_shards(rows, cuts).images
    assert images.labels == tuple(row.labels for row in rows)
    assert images.are_multi_label
    expected = np.array([[place, place / 8, -1] for place in range(9)], np.float32)
    expected[5] = np.nan
    np.testing.assert_array_equal(images.logits["m"], expected)
    expected[4:] = np.nan
    np.testing.assert_array_equal(images.logits["n"], expected)


@pytest.mark.parametrize("cut", [1, 4])
def test_logits_that_are_cut_are_damaged(cut: int) -> None:
    fields = msgspec.msgpack.decode(written(tabulated(SPEC, [multi_label(0, ["m"])]))[0])
    fields[-1] = [fields[-1][0][:-cut] if cut == 1 else b""]
    with pytest.raises(FailedPreconditionError, match="damaged"):
        read_images([msgspec.msgpack.encode(fields)])


def through_bytes(shards: Sequence[Columns]) -> Columns:
    blocks = [written(shard) for shard in shards]
    for held in blocks:
        check(held)
    results: dict[int, Any] = {}
    for number, span in enumerate(blocks_of(len(result_keys(SPEC))), 1):
        results |= read_results([held[number] for held in blocks], span)
    return Columns(read_images([held[0] for held in blocks]), results)


def in_shards(rows: list[ImageResult], cuts: set[int]) -> Columns:
    """The rows as shards, with the curves of the images that count in the whole."""
    first = {row.image: place for place, row in reversed(list(enumerate(rows)))}
    ends = [0, *sorted(cut for cut in cuts if 0 < cut < len(rows)), len(rows)]
    shards = [
        tabulated(SPEC, rows[a:b], [p - a for p in range(a, b) if first[rows[p].image] == p])
        for a, b in pairwise(ends)
    ]
    return through_bytes(shards)


def is_scored(score: Score | None) -> bool:
    return isinstance(score, float) and math.isfinite(score)


def oracle(rows: list[ImageResult], index: int) -> tuple[Any, int, Any, dict[str, list[float]]]:
    """Value, images scored, reasons and mean curves, row by row."""
    seen: set[str] = set()
    counted = [row for row in rows if not (row.image in seen or seen.add(row.image))]
    reduction = result_keys(SPEC)[index].metric.reduction
    held = [s for row in counted for s in row.scores if s.result == index]
    named = [{"": s.score, **s.parts} for s in held]
    good = [all(is_scored(n.get(p)) for p in ("", *reduction.parts)) for n in named]
    summed = [n for n, is_good in zip(named, good, strict=True) if is_good]
    value: float | None = math.fsum(n[""] for n in summed) / len(summed) if summed else None
    if summed and reduction.parts:
        random, deletion, oracle = (math.fsum(n[p] for n in summed) for p in PARTS)
        below = random - oracle
        value = (random - deletion) / below if below > 0 else None
    left = [n for n, is_good in zip(named, good, strict=True) if not is_good or value is None]
    reasons = Counter(
        str(n[""].reason if isinstance(n[""], Undefined) else Reason.NO_PLACE_EFFECT) for n in left
    )
    shown = [s.curves for s, is_good in zip(held, good, strict=True) if is_good]
    means = {}
    for name in {name for named_curves in shown for name in named_curves}:
        points = np.array([held[name].values for held in shown if name in held]).T
        means[name] = [math.fsum(column) / len(column) for column in points]
    return value, len(summed) if value is not None else 0, dict(reasons), means


@settings(deadline=None, max_examples=30)
@given(st.lists(image_results(), max_size=12), st.sets(st.integers(1, 11), max_size=3))
def test_columns_of_shards_say_what_the_rows_say(rows: list[ImageResult], cuts: set[int]) -> None:
    found = summarize(SPEC, in_shards(rows, cuts))
    for index, result in enumerate(found):
        value, scored, reasons, means = oracle(rows, index)
        summary = result.summary
        assert (summary.scored, summary.undefined) == (scored, reasons)
        assert (summary.value is None) == (value is None)
        assert value is None or summary.value == pytest.approx(value, rel=1e-14)
        assert {name: list(c.values) for name, c in result.curves.items()} == {
            name: pytest.approx(mean, rel=1e-15) for name, mean in means.items()
        }


@settings(deadline=None, max_examples=20)
@given(st.lists(image_results(), max_size=12), st.sets(st.integers(1, 11), max_size=3))
def test_summaries_do_not_depend_on_where_shards_are_cut(
    rows: list[ImageResult], cuts: set[int]
) -> None:
    whole, cut = in_shards(rows, set()), in_shards(rows, cuts)
    for one, other in zip(summarize(SPEC, whole), summarize(SPEC, cut), strict=True):
        described = {"normalized_deletion"}  # read off the mean curves, which are sums by shard
        assert replace(one, curves={}, parts={}) == replace(other, curves={}, parts={})
        assert one.parts.keys() == other.parts.keys()
        for name in one.parts.keys() - described:
            assert one.parts[name] == other.parts[name]
    assert clean_accuracy(SPEC, whole.images) == clean_accuracy(SPEC, cut.images)


@given(st.lists(image_results(), max_size=8))
def test_bytes_hold_columns_bit_by_bit(rows: list[ImageResult]) -> None:
    made = tabulated(SPEC, rows)
    read = through_bytes([made])
    for index, result in made.results.items():
        for name, column in result.scores.items():
            other = read.results[index].scores[name]
            np.testing.assert_array_equal(column.codes, other.codes)
            assert column.values.tobytes() == other.values.tobytes()
        for name, curve in result.curves.items():
            assert curve.sums.tobytes() == read.results[index].curves[name].sums.tobytes()
    assert read.images.digests == made.images.digests
    assert read.images.labels == made.images.labels


ROW = ImageResult("0" * 64, "x", 1, (), (ImageScore(0, 0.5, {}, {}),))


def test_an_unknown_version_is_refused_with_the_way_out() -> None:
    blocks = written(tabulated(SPEC, [ROW]))
    for place, read in ((0, read_images), (1, lambda data: read_results(data, range(2)))):
        fields = msgspec.msgpack.decode(blocks[place])
        assert fields[0] == column_blocks.VERSION
        for shape in ([7, *fields[1:]], [7, "anything", {"else": 1}]):
            with pytest.raises(
                FailedPreconditionError,
                match=rf"version 7.*reads {column_blocks.VERSION}.*evaluate again",
            ):
                read([msgspec.msgpack.encode(shape)])


@pytest.mark.parametrize(
    ("field", "value"),
    [(1, 1), (2, 3), (4, ("NOT_A_REASON",)), (4, ()), (5, b"123"), (6, b""), (7, b"12345678")],
)
def test_damaged_scores_are_refused(field: int, value: Any) -> None:
    hole = replace(ROW, scores=(ImageScore(0, Undefined(Reason.FLIPPED, ""), {}, {}),))
    fields = msgspec.msgpack.decode(written(tabulated(SPEC, [hole]))[1])
    fields[field] = value
    block, images = msgspec.msgpack.encode(fields), written(tabulated(SPEC, [ROW]))[0]
    with pytest.raises(FailedPreconditionError, match=r"damaged.*evaluate again"):
        _read_wholly(images, block)


def _read_wholly(images: bytes, scores: bytes) -> None:
    check([images, scores])
    read_results([scores], range(2))


def test_blocks_cut_the_results_whatever_their_number() -> None:
    for results in (
        0,
        1,
        column_blocks.RESULTS - 1,
        column_blocks.RESULTS,
        column_blocks.RESULTS + 1,
        1000,
    ):
        spans = blocks_of(results)
        assert [index for span in spans for index in span] == list(range(results))
        assert all(len(span) == column_blocks.RESULTS for span in spans[:-1])


def test_sums_of_curves_over_other_images_than_those_that_count_are_never_a_mean() -> None:
    """Two shards that know nothing of each other both count an image that both have."""
    columns = through_bytes([tabulated(SPEC, [ROW]), tabulated(SPEC, [ROW])])
    assert units_of(columns.images, seed=0).copies == 1
    with pytest.raises(InternalError, match="other images"):
        summarize(SPEC, columns)


def test_a_strangers_rows_count_once_and_only_where_the_spec_has_a_result() -> None:
    held = [(0, 0.5), (0, 0.9), (7, 1.0), (-1, 1.0)]
    strange = replace(ROW, scores=tuple(ImageScore(i, s, {}, {}) for i, s in held))
    columns = tabulated(SPEC, [strange, replace(ROW, image="1" * 64)])
    assert columns.results[0].scores[""].values.tolist() == [0.5, 0.5]
    assert not np.isfinite(columns.results[1].scores[""].values).any()
    assert result_keys(SPEC)[0].metric.reduction == Mean(METRICS["insertion"]().scale.range)
