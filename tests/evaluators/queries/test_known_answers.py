"""Answers that are known are not asked for again, and nothing else is taken for them."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import ClassVar

import numpy as np
import pytest

from heatproof.evaluators.evaluation.engine import Progress, evaluate
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.metrics import Deletion, Insertion
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.known.answers import AnswerRow
from heatproof.evaluators.queries.known.keys import canonical, drawn_key, named_key
from heatproof.evaluators.queries.passes import IMAGE, BackwardRules, ModelPass, Weights
from heatproof.evaluators.queries.procedure import (
    Gradient,
    GradientView,
    LazyImage,
    MaskedView,
    Prediction,
    Query,
    ask,
)
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black, Blur, Layer, RemovalOperator, RemovalView, Render
from heatproof.evaluators.removal.operator import RemovalFacts
from tests.evaluators.evaluation.test_not_finite import SPEC as EVERYTHING
from tests.evaluators.evaluation.test_not_finite import source
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    gradient_view,
    linear,
    pixels,
    run_one,
    scheduler,
    view,
)

WEIGHTS = np.random.default_rng(0).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
SOME = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 3 > 0
LOGIT = np.array([1, 0, 0], np.float32)


@dataclass
class Kept:
    """Knows what was kept before it, as a server that is told after the end."""

    known: dict[bytes, AnswerRow] = field(default_factory=dict)
    rows: dict[bytes, AnswerRow] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)

    def find(self, key: bytes, place: int) -> AnswerRow | None:
        self.places.append(place)
        return self.known.get(key)

    def keep(self, key: bytes, place: int, row: AnswerRow) -> None:  # noqa: ARG002  # as declared
        self.rows[key] = row

    @property
    def later(self) -> "Kept":
        return Kept(self.known | self.rows)


def evaluated(
    spec: EvaluationSpec, kept: Kept | None, seed: int = 0
) -> tuple[ImageResult, Progress]:
    """The result of an image, and how far it came."""
    heard: list[Progress] = []
    known = None if kept is None else {"models/toy": kept}
    models = {"models/toy": linear(WEIGHTS)}
    (result,) = evaluate(spec, [source(seed)], models, heard.append, known)
    return result, heard[-1]


def told(result: ImageResult) -> str:
    """All of a result; NaN compare by their text."""
    return repr(result)


def test_every_metric_and_removal_is_alike_in_all_bits_when_all_is_known() -> None:
    plain, _ = evaluated(EVERYTHING, None)
    kept = Kept()
    first, at_first = evaluated(EVERYTHING, kept)
    again, at_last = evaluated(EVERYTHING, kept.later)
    assert told(first) == told(plain) == told(again)
    assert at_first.predictions_known == 0
    assert at_last.predictions_done == at_last.predictions_known > 100


def test_one_more_metric_pays_for_its_own_queries_alone() -> None:
    few = replace(
        EVERYTHING, metrics=(Insertion(4, 4),), explainers=(Saliency(),), removals=(Blur(),)
    )
    more = replace(few, metrics=(Insertion(4, 4), Deletion(4, 4)))
    expected, whole = evaluated(more, None)
    kept = Kept()
    _, part = evaluated(few, kept)
    found, progress = evaluated(more, kept.later)
    assert told(found) == told(expected)
    assert progress.predictions_known == part.predictions_done
    assert progress.predictions_done == whole.predictions_done > part.predictions_done


def test_queries_are_told_the_place_of_their_image() -> None:
    kept = Kept()
    images = [source(0), source(1)]
    spec = replace(EVERYTHING, metrics=(Insertion(4, 4),), explainers=(Saliency(),))
    list(
        evaluate(
            spec, images, {"models/toy": linear(WEIGHTS)}, lambda _: None, {"models/toy": kept}
        )
    )
    assert set(kept.places) == {0, 1}


def test_what_is_known_leaves_its_place_in_the_batch_to_others() -> None:
    image, kept = LazyImage.of(pixels()), Kept()
    masks = [np.roll(SOME, shift) for shift in range(8)]
    views = [view(image, mask, Black()) for mask in masks]
    run_one(ask(views[::2]), Batcher(linear(WEIGHTS), kept))
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor, kept.later)
    run_one(ask(views), batcher)
    assert (batcher.rows_run, batcher.rows_known, len(predictor.batches)) == (4, 4, 1)


def test_derived_images_are_known_by_their_pixels() -> None:
    kept = Kept()
    one, same, other = (
        LazyImage(key, lambda shown=shown: shown)  # type: ignore[misc]  # bound now
        for key, shown in (("a", pixels(1)), ("b", pixels(1)), ("a", pixels(2)))
    )
    run_one(ask([view(one)]), Batcher(linear(WEIGHTS), kept))
    for image, known in ((same, 1), (other, 0)):
        batcher = Batcher(linear(WEIGHTS), kept.later)
        (answer,) = run_one(ask([view(image)]), batcher)
        assert (batcher.rows_known, batcher.rows_run) == (known, 1 - known)
        expected = np.float32((WEIGHTS * image.draw().astype(np.float64)).sum())
        assert answer.logits[0] == expected


def test_a_lane_that_is_known_to_its_end_submits_nothing() -> None:
    kept, image = Kept(), LazyImage("derived", pixels)
    run_one(ask([view(image)]), Batcher(linear(WEIGHTS), kept))
    predictor = linear(WEIGHTS)
    run_one(ask([view(image)]), Batcher(predictor, kept.later))
    assert not predictor.batches


def test_gradients_come_with_the_image_that_they_are_of() -> None:
    kept, image = Kept(), LazyImage.of(pixels())
    query = gradient_view(image, LOGIT)
    (first,) = run_one(ask([query]), Batcher(linear(WEIGHTS), kept))
    (row,) = kept.rows.values()
    assert row.activation is None  # the query has it
    (again,) = run_one(ask([query]), Batcher(linear(WEIGHTS), kept.later))
    assert isinstance(again, Gradient)
    np.testing.assert_array_equal(again.activation, first.activation)
    np.testing.assert_array_equal(again.gradient, first.gradient)


def test_counts_of_known_rows_count_each_query_once() -> None:
    kept, image = Kept(), LazyImage.of(pixels())
    query = gradient_view(image, LOGIT)  # gradients are too large to be remembered
    run_one(ask([query]), Batcher(linear(WEIGHTS), kept))
    batcher = Batcher(linear(WEIGHTS), kept.later)
    for _ in range(3):
        list(scheduler([batcher], 1).run(iter([_job(query)])))
    assert batcher.rows_known == 1


def _job(query: Query) -> Iterator[object]:
    yield [ask([query])]  # type: ignore[list-item]  # a query of one kind
    return


IMAGES = LazyImage.of(pixels(0)), LazyImage.of(pixels(1))
RUN = ModelPass("models/toy")
SHOWN = MaskedView(IMAGES[0], RUN)
HIDDEN = MaskedView(IMAGES[0], RUN, SOME, Black(), 3)
DIFFERENTIATED = GradientView(IMAGES[0], replace(RUN, wrt=IMAGE), LOGIT)
TOLD_APART = [
    SHOWN,
    HIDDEN,
    DIFFERENTIATED,
    *(replace(query, image=IMAGES[1]) for query in (SHOWN, HIDDEN, DIFFERENTIATED)),
    replace(SHOWN, run=replace(RUN, taps=("features",))),
    replace(SHOWN, run=replace(RUN, weights=Weights(("last",), 1))),
    replace(SHOWN, run=replace(RUN, weights=Weights(("last",), 2))),
    replace(SHOWN, run=replace(RUN, gate="features"), gate=np.array([1, 0, 1], np.float32)),
    replace(SHOWN, run=replace(RUN, gate="features"), gate=np.array([1, 1, 1], np.float32)),
    replace(HIDDEN, mask=~SOME),
    replace(HIDDEN, removal=Blur()),
    replace(HIDDEN, removal=Blur(sigma=2.5)),
    replace(HIDDEN, seed=4),
    replace(HIDDEN, removal=Layer(), run=replace(RUN, masking=Layer().masking)),
    replace(DIFFERENTIATED, output_gradient=-LOGIT),
    replace(DIFFERENTIATED, run=replace(RUN, wrt="features")),
    replace(DIFFERENTIATED, run=replace(RUN, wrt=IMAGE, rules=BackwardRules.GUIDED)),
]


def test_whatever_determines_an_answer_is_in_its_name() -> None:
    names = [named_key(query) for query in TOLD_APART]
    assert None not in names
    assert len(set(names)) == len(TOLD_APART)


def test_drawn_pixels_name_what_the_model_reads() -> None:
    names = [drawn_key(query, drawn(query)) for query in TOLD_APART]
    assert len(set(names)) == len(TOLD_APART) - 1  # black is black, whatever the seed


def drawn(query: Query) -> np.ndarray:
    if not isinstance(query, MaskedView) or query.mask is None or query.removal is None:
        return query.image.draw()
    rng = np.random.default_rng(query.seed)
    return query.removal.bind(RemovalView(query.image.draw(), rng))(query.mask)


def test_equal_queries_to_any_model_have_equal_names() -> None:
    again = MaskedView(LazyImage.of(pixels(0)), ModelPass("models/other"), SOME.copy(), Black(), 3)
    assert named_key(again) == named_key(HIDDEN)


def test_what_is_not_known_by_its_content_has_no_name() -> None:
    shown = (lambda: pixels(5),)
    assert named_key(replace(HIDDEN, substitutes=shown)) is None
    assert named_key(replace(SHOWN, image=LazyImage("key", pixels))) is None
    assert named_key(replace(HIDDEN, removal=None)) is None
    assert named_key(replace(HIDDEN, removal=Unwritable())) is None


def test_a_replacement_leaves_the_clean_image_known() -> None:
    shown = IMAGES[0].shown_with(IMAGES[1])
    assert shown.key != IMAGES[0].key
    assert named_key(replace(SHOWN, image=shown)) == named_key(SHOWN)


class Unwritable(RemovalOperator):
    """An operator of a plug-in that is no dataclass: what it is made of cannot be read."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(name="x", reference="none", content_free=True)
    reads: ClassVar[tuple[Reads, ...]] = ()

    def bind(self, view: RemovalView) -> Render:
        return lambda _: view.image


class Sort(Enum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0x1.999999999999ap-4"),
        (Sort.ONE, "Sort.ONE"),
        (("a", 1, None, True), "('a',1,None,True)"),
        (Blur(sigma=2.0), "heatproof.evaluators.removal.blur.Blur(sigma=0x1.0000000000000p+1)"),
    ],
)
def test_values_are_written_with_all_their_parts(value: object, text: str) -> None:
    assert canonical(value) == text


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1, 2}, np.zeros(2), object(), Blur])
def test_what_may_be_written_differently_elsewhere_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no form that is the same"):
        canonical(value)


def test_names_are_the_same_in_another_process() -> None:
    script = (
        "from tests.evaluators.queries.test_known_answers import *;"
        "print(','.join(named_key(query).hex() for query in TOLD_APART))"
    )
    found = subprocess.run(  # our own interpreter
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "5"},
    )
    mine = [named_key(query) for query in TOLD_APART]
    assert found.stdout.strip().split(",") == [name.hex() for name in mine if name is not None]


def test_predictions_of_a_toy_are_predictions() -> None:
    kept = Kept()
    (first,) = run_one(ask([HIDDEN]), Batcher(linear(WEIGHTS), kept))
    (again,) = run_one(ask([HIDDEN]), Batcher(ToyPredictor(_never), kept.later))
    assert isinstance(again, Prediction)
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    assert again.coverage == first.coverage


def _never(image: np.ndarray) -> np.ndarray:
    raise AssertionError(image)
