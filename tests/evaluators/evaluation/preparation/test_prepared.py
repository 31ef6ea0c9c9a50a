import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar, overload

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError, InvalidImageError
from heatproof.evaluators.evaluation import engine
from heatproof.evaluators.evaluation.engine import SourceImage, evaluate, explain
from heatproof.evaluators.evaluation.preparation.prefetching import AHEAD
from heatproof.evaluators.evaluation.preparation.prepared import prepared
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Centre, Occlusion, Random
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import DonorImage
from heatproof.evaluators.metrics import Deletion, Insertion, MaxSensitivity
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.queries.targets import LABEL
from heatproof.evaluators.regions.segmentations import Slic
from heatproof.evaluators.removal import Black, Blur
from tests.evaluators.toys import BATCH, SIDE, ToyPredictor, facts, linear

T = TypeVar("T")

WEIGHTS = np.random.default_rng(0).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(Deletion(4, 4), Insertion(regions=Slic(segments=6)), MaxSensitivity()),
    explainers=(Random(4), Occlusion(16, 16)),
    removals=(Black(), Blur(sigma=2.0)),
)
SMALL = replace(SPEC, metrics=(Deletion(2, 4),), explainers=(Centre(),), removals=(Black(),))


def source(seed: int) -> SourceImage:
    drawn = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return SourceImage(f"{seed:064x}", f"{seed}.png", drawn, label=seed % 3)


class Decoded(Sequence[SourceImage]):
    """Images that are made when they are fetched; one may be broken."""

    def __init__(self, count: int, broken: int = -1) -> None:
        self._count = count
        self._broken = broken
        self._fetching = threading.Condition()
        self._pixels: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()
        self.fetched: list[int] = []

    def __len__(self) -> int:
        return self._count

    @property
    def held(self) -> int:
        """Images whose file's pixels are in memory."""
        return len(self._pixels)

    def wait_for(self, index: int) -> None:
        with self._fetching:
            assert self._fetching.wait_for(lambda: index in self.fetched, timeout=10)

    @overload
    def __getitem__(self, index: int) -> SourceImage: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[SourceImage]: ...
    def __getitem__(self, index: int | slice) -> SourceImage | Sequence[SourceImage]:
        assert isinstance(index, int)
        if threading.current_thread() is threading.main_thread():
            return source(index)  # the type checker of the tests looks at an item or two
        with self._fetching:
            self.fetched.append(index)
            self._fetching.notify_all()
        if index == self._broken:
            raise InvalidImageError("it is damaged", field=f"images[{index}]")
        found = source(index)
        self._pixels[index] = found.pixels
        return found


def run(spec: EvaluationSpec, images: Sequence[SourceImage]) -> list[ImageResult]:
    return list(evaluate(spec, images, {"models/toy": linear(WEIGHTS)}, lambda _: None))


@contextmanager
def in_turn(make: Callable[[int], T], count: int) -> Iterator[Iterator[T]]:
    """Stands in for `prefetched`, without threads."""
    yield map(make, range(count))


def test_results_and_batches_are_bit_equal_to_those_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found() -> tuple[list[ImageResult], list[bytes]]:
        predictor = linear(WEIGHTS)
        images = [source(seed) for seed in range(7)]
        results = list(evaluate(SPEC, images, {"models/toy": predictor}, lambda _: None))
        return results, [batch.tobytes() for batch in predictor.batches]

    ahead = found()
    monkeypatch.setattr(engine, "prefetched", in_turn)
    assert found() == ahead


def test_the_next_images_are_fetched_while_passes_run() -> None:
    """The first batch is full of the first images and ends when those behind have been fetched."""
    images = Decoded(12)

    class Waiting(ToyPredictor):
        def submit(self, run: ModelPass, batch: Batch) -> "Future[Answers]":
            images.wait_for(BATCH - 1 + AHEAD)
            return super().submit(run, batch)

    predictor = Waiting(lambda image: np.array([(WEIGHTS * image).sum(), 0, 0]))
    found = list(evaluate(SMALL, images, {"models/toy": predictor}, lambda _: None))
    assert [result.image for result in found] == [f"{seed:064x}" for seed in range(12)]
    assert images.fetched == list(range(12))


def test_pixels_of_files_are_held_while_they_are_prepared_alone() -> None:
    """One at a time is decoded, however many images wait or are in work."""
    images, most = Decoded(24), 0

    def look(_: engine.Progress) -> None:
        nonlocal most
        most = max(most, images.held)

    results = list(evaluate(SMALL, images, {"models/toy": linear(WEIGHTS)}, look))
    assert len(results) == 24
    assert most <= 1
    assert images.held == 0


def test_an_image_that_cannot_be_decoded_is_told_at_its_turn() -> None:
    images = Decoded(40, broken=30)
    evaluated = evaluate(SMALL, images, {"models/toy": linear(WEIGHTS)}, lambda _: None)
    before: list[ImageResult] = []
    with pytest.raises(InvalidImageError, match="damaged") as caught:
        before.extend(iter(lambda: next(evaluated), None))
    assert caught.value.field == "images[30]"
    assert before == run(SMALL, [source(seed) for seed in range(len(before))])
    assert len(before) > 0
    assert max(images.fetched) <= 30 + AHEAD
    assert no_thread_is_left()


def test_an_unusable_image_is_told_at_its_turn_though_a_later_one_is_unusable_too() -> None:
    images = [source(0), replace(source(1), label=7), replace(source(2), label=8)]
    with pytest.raises(InvalidArgumentError, match="label 7") as caught:
        run(replace(SMALL, target=LABEL), images)
    assert caught.value.field == "images[1].label"


def test_an_evaluation_that_is_given_up_leaves_no_thread() -> None:
    images = Decoded(40)
    evaluated = evaluate(SMALL, images, {"models/toy": linear(WEIGHTS)}, lambda _: None)
    next(evaluated)
    evaluated.close()
    assert no_thread_is_left()
    fetched = list(images.fetched)
    assert len(fetched) < 40
    explained = explain(SMALL, images, linear(WEIGHTS))
    next(explained)
    explained.close()
    assert no_thread_is_left()


def no_thread_is_left() -> bool:
    return not [one for one in threading.enumerate() if one.name.startswith("prefetch")]


def test_segments_that_the_plan_knows_are_made_beside_the_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    split, threads = Slic.regions, []

    def noted(self: Slic, image: np.ndarray) -> object:
        threads.append(threading.current_thread().name)
        return split(self, image)

    monkeypatch.setattr(Slic, "regions", noted)
    images = [replace(source(seed + 100), digest=f"{seed:064x}") for seed in range(5)]
    run(replace(SPEC, metrics=(Insertion(regions=Slic(segments=5)),)), images)
    assert threads == ["prefetch_0"] * 5


def test_models_of_one_size_share_what_is_prepared() -> None:
    spec = replace(SPEC, models=("a", "b", "c"))
    known = {"a": facts(model="a"), "b": facts(model="b"), "c": facts(model="c", side=2 * SIDE)}
    found = prepared(spec, known, 3, source(0)).inputs
    assert found["a"] is found["b"]
    assert found["c"].pixels.draw().shape == (3, 2 * SIDE, 2 * SIDE)


def test_other_images_are_not_decoded_before_they_are_drawn() -> None:
    asked: list[str] = []

    def read() -> np.ndarray:
        asked.append("donor")
        return source(1).pixels

    image = replace(source(0), donors=(DonorImage("ab", read),))
    made = prepared(SPEC, {"models/toy": facts()}, 0, image).inputs["models/toy"]
    assert asked == []
    assert made.donors[0].image.draw().shape == (3, SIDE, SIDE)
    assert asked == ["donor"]
