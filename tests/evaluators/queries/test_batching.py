from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.queries.batching import Batcher, Recent, probabilities
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.queries.procedure import (
    Answer,
    Gradient,
    LazyImage,
    Prediction,
)
from heatproof.evaluators.removal import Black, Blur, Layer, Mode
from heatproof.evaluators.removal import blur as blur_module
from tests.evaluators.toys import (
    BATCH,
    SIDE,
    ToyPredictor,
    facts,
    features,
    gradient_view,
    linear,
    pixels,
    softmax,
    view,
)

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))


def mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((SIDE, SIDE)) < 0.5


def run_all(batcher: Batcher) -> None:
    while batcher.waiting:
        batcher.submit()
        batcher.collect()


def test_answers_go_to_those_who_asked() -> None:
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor)
    found: dict[int, Answer] = {}
    for seed in range(11):  # two full batches and a tail
        batcher.ask(view(LazyImage.of(pixels(seed))), partial(found.__setitem__, seed))
    run_all(batcher)
    for seed in range(11):
        answer = found[seed]
        assert isinstance(answer, Prediction)
        logits = predictor._logits(pixels(seed)).astype(np.float32)
        assert np.array_equal(answer.logits, logits)
        np.testing.assert_allclose(answer.probabilities, softmax(logits), rtol=1e-14)
        assert answer.coverage == 1
    assert batcher.rows_done == 11
    assert len(predictor.batches) == 3


def test_the_tail_is_padded_with_its_first_row() -> None:
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor)
    for seed in range(2):
        batcher.ask(view(LazyImage.of(pixels(seed))), lambda _: None)
    run_all(batcher)
    expected = [pixels(0), pixels(1), pixels(0), pixels(0)]
    assert np.array_equal(predictor.batches[0], np.stack(expected))
    assert batcher.rows_done == 2


def test_equal_queries_are_answered_once_whether_they_wait_or_were_answered() -> None:
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor)
    found: list[Answer] = []
    picture, twin = LazyImage.of(pixels()), LazyImage.of(pixels().copy())
    for one in (
        view(picture, mask(0), Black()),
        view(twin, mask(0).copy(), Black()),
    ):
        batcher.ask(one, found.append)
    run_all(batcher)
    batcher.ask(view(picture, mask(0), Black()), found.append)
    assert len(found) == 3
    assert found[0] is found[1] is found[2]
    assert batcher.rows_done == 1


def test_queries_that_differ_in_anything_are_not_mixed_up() -> None:
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor)
    views = [
        view(LazyImage.of(pixels(0)), mask(0), Black()),
        view(LazyImage.of(pixels(1)), mask(0), Black()),
        view(LazyImage.of(pixels(0)), mask(1), Black()),
        view(LazyImage.of(pixels(0)), mask(0), Blur(sigma=1.0)),
        view(LazyImage.of(pixels(0)), mask(0), Blur(sigma=2.0)),
        view(LazyImage.of(pixels(0)), mask(0), Layer()),
        view(LazyImage.of(pixels(0)), mask(0), Layer(mode=Mode.STRICT)),
        view(LazyImage.of(pixels(0))),
    ]
    for one in views:
        batcher.ask(one, lambda _: None)
    run_all(batcher)
    assert batcher.rows_done == len(views)


def test_a_view_that_hides_nothing_is_the_clean_picture_for_every_operator() -> None:
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor)
    everything = np.ones((SIDE, SIDE), np.bool_)
    for removal in (Black(), Blur(sigma=1.0), Layer()):
        batcher.ask(view(LazyImage.of(pixels()), everything, removal), lambda _: None)
    batcher.ask(view(LazyImage.of(pixels())), lambda _: None)
    run_all(batcher)
    assert batcher.rows_done == 1
    assert not predictor.masks


def test_each_way_of_running_the_model_fills_batches_of_its_own() -> None:
    predictor = linear(WEIGHTS)
    batcher = Batcher(predictor)
    weights = np.array([1, 0, 0], np.float32)
    found: list[Answer] = []
    for seed in range(BATCH):
        picture = LazyImage.of(pixels(seed))
        batcher.ask(view(picture, mask(seed), Layer()), found.append)
        batcher.ask(gradient_view(picture, weights), found.append)
        batcher.ask(view(picture, mask(seed), Black()), found.append)
    run_all(batcher)
    assert len(predictor.batches) == 3
    assert len(predictor.masks) == 1
    assert all(np.array_equal(row, mask(seed)) for seed, row in enumerate(predictor.masks[0]))
    assert sum(isinstance(answer, Gradient) for answer in found) == BATCH
    first = found[0]
    assert isinstance(first, Prediction)
    assert first.coverage == pytest.approx(mask(0).mean())


def test_gradients_come_with_the_tensor_that_they_are_taken_in() -> None:
    def jacobian(_: np.ndarray) -> np.ndarray:
        return np.ones((3, 3, SIDE // 8, SIDE // 8))

    predictor = ToyPredictor(lambda image: np.zeros(3) * image[0, 0, 0], jacobian=jacobian)
    batcher = Batcher(predictor)
    found: list[Answer] = []
    weights = np.array([0.5, 0, 2], np.float32)
    batcher.ask(gradient_view(LazyImage.of(pixels()), weights, "features"), found.append)
    run_all(batcher)
    (answer,) = found
    assert isinstance(answer, Gradient)
    assert np.array_equal(answer.activation, features(pixels()[None])[0])
    assert (answer.gradient == 2.5).all()


def test_pixels_are_drawn_only_when_their_batch_is_cut() -> None:
    drawn: list[int] = []

    def draw(index: int) -> Image:
        drawn.append(index)
        return pixels(index)

    batcher = Batcher(linear(WEIGHTS))
    for index in range(6):
        picture = LazyImage(str(index), partial(draw, index))
        batcher.ask(view(picture), lambda _: None)
    assert drawn == []
    batcher.submit()
    assert drawn == [0, 1, 2, 3]


def test_an_operator_is_bound_once_to_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[float] = []
    original = blur_module.blurred

    def counted(image: Image, sigma: float) -> Image:
        bound.append(sigma)
        return original(image, sigma)

    monkeypatch.setattr(blur_module, "blurred", counted)
    batcher = Batcher(linear(WEIGHTS))
    for seed in range(9):
        batcher.ask(view(LazyImage.of(pixels()), mask(seed), Blur(sigma=3.0)), lambda _: None)
    run_all(batcher)
    assert bound == [3.0]


def test_logits_of_another_shape_are_the_models_fault_and_named() -> None:
    predictor = ToyPredictor(lambda image: np.zeros(5) * image[0, 0, 0])
    batcher = Batcher(predictor)
    batcher.ask(view(LazyImage.of(pixels())), lambda _: None)
    batcher.submit()
    with pytest.raises(InternalError, match=r"models/toy answered with logits \(4, 5\)"):
        batcher.collect()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=9))
def test_softmax_is_float64_and_sums_to_one(values: list[float]) -> None:
    logits = np.array(values, np.float32)
    found = probabilities(logits, "softmax")
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, softmax(logits), rtol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-12)


def test_sigmoid_is_that_of_each_class() -> None:
    logits = np.array([-3, 0, 200, -200], np.float32)
    expected = [1 / (1 + np.exp(3)), 0.5, 1, 0]
    np.testing.assert_allclose(probabilities(logits, "sigmoid"), expected, atol=1e-15)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_have_no_probabilities(value: float) -> None:
    found = probabilities(np.array([1, value], np.float32), "softmax")
    assert np.isnan(found).all()


def test_memory_of_answers_is_bounded_and_forgets_what_was_used_longest_ago() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)


def test_many_classes_shorten_the_memory_of_answers() -> None:
    few = Batcher(linear(WEIGHTS))._recent
    own = facts(classes=20_000)
    many = Batcher(ToyPredictor(lambda _: np.zeros(20_000), own=own))._recent
    assert many._most * 12 * 20_000 <= 32 << 20 < few._most * 12 * 20_000


@pytest.mark.parametrize(("cells", "asked_again"), [(4, 0), (200, 1)])
def test_answers_with_feature_maps_are_not_remembered(cells: int, asked_again: int) -> None:
    class Tapped(ToyPredictor):
        def answers(self, run: ModelPass, batch: Batch) -> Answers:
            tensor = np.zeros((BATCH, 1, cells, cells), np.float32)
            return replace(super().answers(run, batch), features={"tensor": tensor})

    predictor = Tapped(linear(WEIGHTS)._logits)
    batcher = Batcher(predictor)
    plain = view(LazyImage.of(pixels()))
    query = replace(plain, run=replace(plain.run, taps=("tensor",)))
    for _ in range(2):
        batcher.ask(query, lambda _: None)
        run_all(batcher)
    assert batcher.rows_done == 1 + asked_again
