"""The clean accuracy counts every image that has a label and an answer."""

import pytest

from heatproof.evaluators.evaluation.results import ClassProbability, CleanPrediction, ImageResult
from heatproof.evaluators.evaluation.summaries import accuracy_of
from heatproof.evaluators.evaluation.tabulation import image_columns


def image(label: int | None, *predictions: CleanPrediction) -> ImageResult:
    return ImageResult("0" * 64, "", label, predictions, ())


def answer(*classes: int, model: str = "m") -> CleanPrediction:
    top = tuple(ClassProbability(index, 0.5) for index in classes)
    return CleanPrediction(model, classes[0] if classes else 0, top)


@pytest.mark.parametrize(
    ("shown", "hit"),
    [
        (image(2, answer(2, 1)), 1.0),
        (image(1, answer(2, 1)), 0.0),
        (image(2, answer()), 0.0),  # no top class, as of answers that are not finite
        (image(None, answer(2)), None),
        (image(2, answer(2, model="other")), None),
    ],
)
def test_what_counts_as_a_hit(shown: ImageResult, hit: float | None) -> None:
    sample = accuracy_of("m", image_columns([shown], [True]))

    assert sample.arm.count == (hit is not None)
    assert hit is None or sample.arm.numerators[0] == hit
