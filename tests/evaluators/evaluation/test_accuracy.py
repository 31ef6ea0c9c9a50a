"""The clean accuracy counts every image that has a label and an answer."""

from collections.abc import Sequence

import numpy as np
import pytest

from heatproof.evaluators.evaluation.results import (
    ClassProbability,
    CleanPrediction,
    ImageResult,
    Summary,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import (
    accuracy_of,
    clean_accuracy,
    precisions_of,
    shown_precisions,
)
from heatproof.evaluators.evaluation.tabulation import image_columns
from heatproof.evaluators.images.labels import LabelSet
from heatproof.evaluators.images.preprocessing import PRESETS


def image(label: int | None, *predictions: CleanPrediction) -> ImageResult:
    return ImageResult("0" * 64, "", label, predictions, ())


def answer(*classes: int, model: str = "m") -> CleanPrediction:
    top = tuple(ClassProbability(index, 0.5) for index in classes)
    return CleanPrediction(model, classes[0] if classes else 0, top)


@pytest.mark.parametrize(
    ("given", "hit"),
    [
        (image(2, answer(2, 1)), 1.0),
        (image(1, answer(2, 1)), 0.0),
        (image(2, answer()), 0.0),  # no top class, as of answers that are not finite
        (image(None, answer(2)), None),
        (image(2, answer(2, model="other")), None),
    ],
)
def test_what_counts_as_a_hit(given: ImageResult, hit: float | None) -> None:
    sample = accuracy_of("m", image_columns([given], [True]))

    assert sample.arm.count == (hit is not None)
    assert hit is None or sample.arm.numerators[0] == hit


LOGITS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
SETS = [tuple(np.flatnonzero(row + 0.1 * place > 2).tolist()) for place, row in enumerate(LOGITS)]


def shown(
    place: int, classes: Sequence[int] | None, logits: Sequence[float], *, group: str = ""
) -> ImageResult:
    held = None if classes is None else LabelSet(tuple(classes))
    ranked = (ClassProbability(int(np.argmax(logits)), 0.5),) if logits else ()
    said = CleanPrediction("m", 0, ranked, tuple(logits))
    return ImageResult(f"{place:064x}", "", None, (said,), (), labels=held, group=group)


def set_of_images(*, groups: int = 0) -> list[ImageResult]:
    return [
        shown(place, classes, row.tolist(), group=f"g{place % groups}" if groups else "")
        for place, (classes, row) in enumerate(zip(SETS, LOGITS, strict=True))
    ]


def summarized(images: list[ImageResult]) -> Summary:
    spec = EvaluationSpec(models=("m",), preprocessing=PRESETS["unit"], metrics=())
    return clean_accuracy(spec, image_columns(images, [True] * len(images)))["m"]


def by_definition(rows: Sequence[int]) -> float:
    """The mean over the classes of the mean over their images of the precision at each."""
    values = []
    for index in range(4):
        order = sorted(rows, key=lambda row: -LOGITS[row, index])
        hits = [index in SETS[row] for row in order]
        precisions = [sum(hits[: n + 1]) / (n + 1) for n, hit in enumerate(hits) if hit]
        values += [sum(precisions) / len(precisions)] if precisions else []
    return float(np.mean(values))


@pytest.mark.parametrize("groups", [0, 10])
def test_of_sets_of_classes_it_is_the_mean_average_precision(groups: int) -> None:
    found = summarized(set_of_images(groups=groups))
    assert found.value == pytest.approx(by_definition(range(40)), abs=1e-12)
    assert (found.scored, found.units) == (40, groups or 40)
    assert found.interval is not None
    assert 0 <= found.interval.lower < found.value < found.interval.upper <= 1


def test_images_without_labels_and_answers_that_are_not_finite_are_not_ranked() -> None:
    images = set_of_images()
    images[3] = shown(3, SETS[3], ())
    images[5] = shown(5, None, LOGITS[5].tolist())
    found = summarized(images)
    kept = [row for row in range(40) if row not in {3, 5}]
    assert found.value == pytest.approx(by_definition(kept), abs=1e-12)
    assert (found.scored, dict(found.undefined)) == (38, {"NOT_FINITE": 1})


def test_each_class_that_an_image_shows_has_an_average_precision() -> None:
    images = image_columns(set_of_images(), [True] * 40)
    found = precisions_of("m", images)
    assert [one.class_index for one in found] == sorted({k for held in SETS for k in held})
    assert np.mean([one.value for one in found]) == pytest.approx(by_definition(range(40)))
    assert [one.images for one in found] == [
        sum(one.class_index in held for held in SETS) for one in found
    ]
    spec = EvaluationSpec(models=("m",), preprocessing=PRESETS["unit"], metrics=())
    assert shown_precisions(spec, images) == found
    singles = image_columns([image(2, answer(2))], [True])
    assert precisions_of("m", singles) == ()


def test_no_class_at_all_gives_no_accuracy() -> None:
    images = image_columns([shown(place, (), (0.0, 1.0)) for place in range(9)], [True] * 9)
    spec = EvaluationSpec(models=("m",), preprocessing=PRESETS["unit"], metrics=())
    assert clean_accuracy(spec, images) == {}
