"""What makes the scores of a model doubtful, seen in its answers to the clean images."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from heatproof.evaluators.class_outputs import ClassOutput
from heatproof.evaluators.results import Doubt, ImageResult, ModelWarning
from heatproof.evaluators.statistics.proportions import wilson_interval

FEWEST_ANSWERS: Final = 5
"""Fewer answers of one class say nothing: with two classes even these are alike in 6 %."""

FEWEST_LABELS: Final = 8
"""Labelled images from which on an accuracy has an interval."""

LEVEL: Final = 0.95
"""Confidence level of the accuracy's interval."""

_CHECK: Final = "check preprocessing, labels and the class output before trusting any score"


def doubts(
    images: Sequence[ImageResult], outputs: Sequence[ClassOutput]
) -> tuple[ModelWarning, ...]:
    """Finds models that answer one class only, or no better than chance.

    Args:
        images: results of the images; equal images count once.
        outputs: how the scores of each model are read, with its number of classes.
    """
    distinct = list({image.image: image for image in images}.values())
    return tuple(
        warning
        for output in outputs
        for warning in (*_one_class(distinct, output), *_chance(distinct, output))
    )


def _answers(images: Sequence[ImageResult], model: str) -> list[tuple[int, int | None]]:
    """Top class and label of every image with a finite answer."""
    return [
        (prediction.top[0].class_index, image.label)
        for image in images
        for prediction in image.predictions
        if prediction.model == model and prediction.top
    ]


def _one_class(images: Sequence[ImageResult], output: ClassOutput) -> Iterator[ModelWarning]:
    answers = _answers(images, output.model)
    if len(answers) < FEWEST_ANSWERS or len({top for top, _ in answers}) > 1:
        return
    only = answers[0][0]
    if all(label == only for _, label in answers):
        return  # so it should be
    yield ModelWarning(
        Doubt.ONE_CLASS,
        output.model,
        f"the model answers class {only} to all {len(answers)} images: {_CHECK}",
    )


def _chance(images: Sequence[ImageResult], output: ClassOutput) -> Iterator[ModelWarning]:
    answers = [(top, label) for top, label in _answers(images, output.model) if label is not None]
    if len(answers) < FEWEST_LABELS:
        return
    hits = sum(top == label for top, label in answers)
    low, high = wilson_interval(hits, len(answers), level=LEVEL)
    chance, why = _best_guess([label for _, label in answers if label is not None], output.classes)
    if low > chance:
        return
    yield ModelWarning(
        Doubt.CHANCE_ACCURACY,
        output.model,
        f"clean accuracy is {hits} of {len(answers)} (interval [{low:.1%}, {high:.1%}]), which "
        f"cannot be told from chance, {chance:.1%} for {why}: {_CHECK}",
    )


def _best_guess(labels: Sequence[int], classes: int) -> tuple[float, str]:
    """How often a guess is right that looks at no image."""
    chance = 1 / max(classes, 1)
    counts = Counter(labels).most_common()
    share = counts[0][1] / len(labels)
    # Where all labels are one class, its share tells nothing of the model.
    if len(counts) > 1 and share > chance:
        return share, f"the most frequent label, class {counts[0][0]}"
    return chance, f"{classes} classes"
