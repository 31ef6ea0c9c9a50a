"""Models that answer one class, or no better than chance."""

from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.evaluation.doubts import doubts
from heatproof.evaluators.evaluation.results import ClassProbability, CleanPrediction, ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import clean_accuracy
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.images.labels import LabelSet
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.queries.class_outputs import Basis, ClassOutput
from heatproof.evaluators.queries.model_warnings import Doubt, ModelWarning


def output(classes: int, model: str = "m") -> ClassOutput:
    return ClassOutput(
        model, "p", "z", classes, "softmax", is_binary=False, basis=Basis.GRAPH, decision=""
    )


def image(
    place: int, top: int | None, label: int | None = None, model: str = "m", group: str = ""
) -> ImageResult:
    ranked = () if top is None else (ClassProbability(top, 0.9),)
    answer = CleanPrediction(model, top or 0, ranked)
    return ImageResult(f"{place:064x}", "", label, (answer,), (), group=group)


def reasons(images: list[ImageResult], classes: int = 10) -> list[Doubt]:
    return [warning.reason for warning in warned_of(images, [output(classes)])]


def warned_of(images: list[ImageResult], outputs: list[ClassOutput]) -> tuple[ModelWarning, ...]:
    models = tuple(held.model for held in outputs)
    spec = EvaluationSpec(models=models, preprocessing=PRESETS["unit"], metrics=())
    columns = tabulated(spec, images).images
    return doubts(columns, outputs, clean_accuracy(spec, columns))


@pytest.mark.parametrize(("count", "warned"), [(4, False), (5, True), (40, True)])
def test_one_answer_to_all_images_is_doubtful(count: int, *, warned: bool) -> None:
    images = [image(place, 7) for place in range(count)]
    assert reasons(images) == ([Doubt.ONE_CLASS] if warned else [])


def test_two_answers_are_not_one() -> None:
    assert not reasons([image(place, place % 2) for place in range(10)])


def test_copies_of_an_image_count_once() -> None:
    assert not reasons([image(0, 7) for _ in range(10)])


def test_one_answer_is_right_where_it_is_every_label() -> None:
    assert not reasons([image(place, 7, 7) for place in range(10)])


def test_answers_that_are_not_finite_say_nothing() -> None:
    assert not reasons([image(place, None) for place in range(10)])


@pytest.mark.parametrize(
    ("hits", "classes", "warned"),
    # Of 20 images with labels of 10 classes, two each. Wilson's lower ends: 1/20: 0.9 %,
    # 6/20: 14.5 %, 20/20: 83.9 %.
    [(1, 10, True), (2, 10, True), (6, 10, False), (20, 10, False), (20, 2, False)],
)
def test_an_accuracy_is_held_against_chance(hits: int, classes: int, *, warned: bool) -> None:
    images = [
        image(place, place % 10 if place < hits else (place + 1) % 10, place % 10)
        for place in range(20)
    ]
    assert (Doubt.CHANCE_ACCURACY in reasons(images, classes)) is warned


def test_the_share_of_the_most_frequent_label_is_chance_too() -> None:
    """Answers 0 to 15 of 20, of which 15 are 0: 75 % right, and no better than answering 0."""
    images = [image(p, 0 if p < 15 else p, 0 if p < 15 else p + 1) for p in range(20)]
    (warning,) = warned_of(images, [output(100)])
    assert warning.reason is Doubt.CHANCE_ACCURACY
    assert "75.0% for the most frequent label, class 0" in warning.text


def test_few_labels_give_no_accuracy() -> None:
    assert not reasons([image(place, place, place + 1) for place in range(7)])


def test_each_model_is_judged_by_itself() -> None:
    images = [
        ImageResult(
            f"{place:064x}", "", None,
            (image(place, 3, model="a").predictions[0],
             image(place, place, model="b").predictions[0]), (),
        )
        for place in range(6)
    ]  # fmt: skip
    found = warned_of(images, [output(10, "a"), output(10, "b")])
    assert [(held.model, held.reason) for held in found] == [("a", Doubt.ONE_CLASS)]


@pytest.mark.parametrize(("groups", "warned"), [(1, False), (4, False), (5, True), (40, True)])
def test_images_of_one_group_are_one_answer(groups: int, *, warned: bool) -> None:
    images = [image(place, 7, group=f"patient {place % groups}") for place in range(40)]
    found = warned_of(images, [output(10)])
    assert [held.reason for held in found] == ([Doubt.ONE_CLASS] if warned else [])
    if warned:
        assert f"all 40 images of {groups} groups" in found[0].text


def test_an_accuracy_over_few_groups_is_not_told_from_chance() -> None:
    """30 of 80 right, of 10 classes: by images far above chance, but all of 3 groups of 8."""
    images = [
        image(place, place % 10 if place < 30 else (place + 1) % 10, place % 10)
        for place in range(80)
    ]
    assert not reasons(images)
    grouped = [replace(held, group=f"scene {place // 10}") for place, held in enumerate(images)]
    (warning,) = warned_of(grouped, [output(10)])
    assert warning.reason is Doubt.CHANCE_ACCURACY
    assert "30 of 80 in 8 groups" in warning.text


def test_seven_groups_give_no_accuracy() -> None:
    images = [image(p, p % 10, (p + 1) % 10, group=f"scene {p % 7}") for p in range(70)]
    assert Doubt.CHANCE_ACCURACY not in reasons(images)


def multi_label(place: int, top: int, classes: tuple[int, ...], value: float) -> ImageResult:
    """An image that the model ranks by `value` for class 0, and by a constant for class 1."""
    said = CleanPrediction("m", top, (ClassProbability(top, 0.9),), (value, 0.0))
    return ImageResult(f"{place:064x}", "", None, (said,), (), labels=LabelSet(classes))


def test_of_sets_of_classes_the_top_class_need_be_one_of_them() -> None:
    shown = [multi_label(place, 0, (0, 1), float(place)) for place in range(7)]
    assert not reasons(shown, 2)
    strange = [
        multi_label(place, 0, (1,) if place == 3 else (0, 1), float(place)) for place in range(7)
    ]
    assert reasons(strange, 2) == [Doubt.ONE_CLASS]


@pytest.mark.parametrize(("told", "warned"), [(0.0, True), (1.0, False)])
def test_a_mean_average_precision_is_held_against_the_share_of_images(
    told: float, *, warned: bool
) -> None:
    """Half of 40 images show class 0; noise ranks them as chance does, 1.0 tells them well."""
    noise = np.random.default_rng(1).normal(size=40)
    images = [
        multi_label(
            place, place % 2, (0,) if place % 2 else (), noise[place] + 3 * told * (place % 2)
        )
        for place in range(40)
    ]
    found = [one for one in warned_of(images, [output(2)]) if one.reason is Doubt.CHANCE_ACCURACY]
    assert bool(found) is warned
    if warned:
        assert "mean average precision is" in found[0].text
        assert "chance, 50.0% for images in any order" in found[0].text
