"""What is painted anew under each mask is painted beside, and nothing shows it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pytest

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.procedure import Answer, LazyImage, Prediction
from heatproof.evaluators.removal import RemovalOperator, RemovalView, Render
from heatproof.evaluators.removal.operator import RemovalFacts
from heatproof.evaluators.removal.painting import Painter
from tests.evaluators.toys import BATCH, SIDE, ToyPredictor, facts, pixels, view

MASKS = [np.random.default_rng(seed).random((SIDE, SIDE)) < 0.5 for seed in range(15)]


@dataclass(frozen=True, slots=True)
class Painting(RemovalOperator):
    """Paints the share of the visible pixels, after it says so."""

    facts: ClassVar[RemovalFacts] = RemovalFacts(name="painting", reference="", content_free=True)

    begun: Callable[[Mask], object]

    def bind(self, view: RemovalView) -> Render:
        def render(mask: Mask) -> Image:
            self.begun(mask)
            return np.where(mask, view.image, np.float32(mask.mean()))

        return render


def nothing(_mask: Mask) -> None:
    """Every mask is painted at once."""


def predictor_on(cores: int) -> ToyPredictor:
    def means(image: Image) -> np.ndarray:
        return image.mean(axis=(1, 2))

    return ToyPredictor(means, own=facts(cores=cores))


def asked(predictor: ToyPredictor, begun: Callable[[Mask], object]) -> list[np.ndarray]:
    """The answers under all masks, in their order."""
    batcher = Batcher(predictor)
    found: dict[int, Answer] = {}
    picture, operator = LazyImage.of(pixels()), Painting(begun)
    for index, mask in enumerate(MASKS):
        batcher.ask(view(picture, mask, operator), partial(found.__setitem__, index))
    try:
        while batcher.waiting:
            batcher.submit()
            batcher.collect()
    finally:
        batcher.abandon()
    answers = [found[index] for index in range(len(MASKS))]
    return [answer.logits for answer in answers if isinstance(answer, Prediction)]


def test_batches_are_those_of_one_core_whichever_is_painted_first() -> None:
    alone, beside = predictor_on(1), predictor_on(2)
    expected = asked(alone, nothing)
    second = threading.Event()

    def begun(mask: Mask) -> None:
        if np.array_equal(mask, MASKS[1]):
            second.set()
        if np.array_equal(mask, MASKS[0]):
            assert second.wait(20)

    assert np.array_equal(asked(beside, begun), expected)
    assert len(expected) == len(MASKS)
    for one, other in zip(alone.batches, beside.batches, strict=True):
        assert np.array_equal(one, other)


def test_as_many_are_painted_at_once_as_there_are_cores() -> None:
    together = threading.Barrier(3, timeout=20)  # breaks where fewer are
    asked(predictor_on(3), lambda _mask: together.wait())


def test_one_core_paints_nothing_before_its_batch_is_cut() -> None:
    painted: list[Mask] = []
    batcher = Batcher(predictor_on(1))
    for mask in MASKS:
        batcher.ask(view(LazyImage.of(pixels()), mask, Painting(painted.append)), lambda _: None)
    batcher.submit()
    assert len(painted) == BATCH


def test_no_more_is_painted_beforehand_than_a_batch_and_the_cores_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Mask] = []
    begin = Painter.begin

    def noting(painter: Painter, render: Render, mask: Mask) -> Callable[[], Image]:
        begun.append(mask)
        return begin(painter, render, mask)

    monkeypatch.setattr(Painter, "begin", noting)
    batcher = Batcher(predictor_on(2))
    for mask in MASKS:
        batcher.ask(view(LazyImage.of(pixels()), mask, Painting(nothing)), lambda _: None)
    batcher.submit()
    batcher.abandon()
    assert len(begun) == 2 * BATCH + 1


def test_what_fails_is_raised_at_its_turn_and_leaves_no_thread() -> None:
    before = threading.active_count()
    predictor = predictor_on(2)

    def begun(mask: Mask) -> None:
        if np.array_equal(mask, MASKS[BATCH]):
            raise InternalError("no paint")

    with pytest.raises(InternalError, match="no paint"):
        asked(predictor, begun)
    assert len(predictor.batches) == 1
    assert threading.active_count() == before
