import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.client.documents.results.ranking import WorstPictures, image_badness
from heatproof.v1.results_pb2 import (
    Direction,
    ImageResult,
    ImageScore,
    InputPicture,
    Overlay,
    Score,
    Undefined,
)

HIGHER, LOWER = Direction.DIRECTION_HIGHER_IS_BETTER, Direction.DIRECTION_LOWER_IS_BETTER
ZERO = Direction.DIRECTION_CLOSER_TO_ZERO


def image(name: str, *values: float | None) -> ImageResult:
    undefined = Score(undefined=Undefined(reason="DEGENERATE"))
    scores = [undefined if value is None else Score(value=value) for value in values]
    return ImageResult(
        image=name,
        scores=[ImageScore(result=at, score=score) for at, score in enumerate(scores)],
        overlays=[Overlay(png=b"png")],
        input_pictures=[InputPicture(jpeg=b"jpeg")],
    )


@pytest.mark.parametrize(
    ("directions", "result", "badness"),
    [
        ([HIGHER, LOWER, ZERO], None, -0.25),
        ([LOWER, LOWER, ZERO], None, 0.25),
        ([HIGHER, LOWER, ZERO], 1, 0.5),
        ([HIGHER, LOWER, ZERO], 2, 0.75),
        ([HIGHER, LOWER, ZERO], 7, -math.inf),
    ],
)
def test_badness_grows_the_worse_a_score_is_by_its_direction(
    directions: list[Direction.ValueType], result: int | None, badness: float
) -> None:
    assert image_badness(image("a", 0.25, 0.5, -0.75), directions, result) == badness


def test_an_image_without_the_score_is_below_all_others() -> None:
    assert image_badness(image("a", None, 0.5), [HIGHER, HIGHER]) == -math.inf


@given(st.lists(st.none() | st.floats(-2, 2), max_size=30), st.integers(1, 8))
def test_the_worst_images_keep_their_pictures_and_no_others(
    values: list[float | None], most: int
) -> None:
    reader = WorstPictures([LOWER], most)
    read = [reader(image(str(at), value)) for at, value in enumerate(values)]

    kept = {at for at, part in enumerate(read) if part.overlays}
    worst = sorted(range(len(values)), key=lambda at: (-_or_least(values[at]), at))[:most]
    assert kept == set(worst)
    assert kept == {at for at, part in enumerate(read) if part.input_pictures}
    assert [part.scores for part in read] == [image("", value).scores for value in values]


def _or_least(value: float | None) -> float:
    return -math.inf if value is None else value


@pytest.mark.parametrize(
    ("second", "kept"), [(0.5, [False, False, True, True]), (0.1, [True, True, False, False])]
)
def test_messages_that_go_on_with_an_image_share_its_fate(second: float, kept: list[bool]) -> None:
    def more() -> ImageResult:
        return ImageResult(continuation=True, overlays=[Overlay(png=b"more")])

    reader = WorstPictures([LOWER], 1)
    read = [reader(part) for part in (image("a", 0.2), more(), image("b", second), more())]
    assert [bool(part.overlays) for part in read] == kept
