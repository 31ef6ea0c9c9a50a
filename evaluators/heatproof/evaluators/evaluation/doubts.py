"""What makes the scores of a model doubtful, seen in its answers to the clean images."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from heatproof.evaluators.evaluation.columns import ImageColumns
from heatproof.evaluators.evaluation.results import Summary
from heatproof.evaluators.evaluation.summaries import units_of
from heatproof.evaluators.images.labels import Label, LabelSet, classes_of
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.evaluators.queries.model_warnings import Doubt, ModelWarning
from heatproof.evaluators.statistics.groups.units import Units

FEWEST_ANSWERS: Final = 5
"""Fewer units answered with one class say nothing: with two classes even these are alike in 6 %."""

_CHECK: Final = "check preprocessing, labels and the class output before trusting any score"


def doubts(
    images: ImageColumns,
    outputs: Sequence[ClassOutput],
    clean_accuracy: Mapping[str, Summary],
) -> tuple[ModelWarning, ...]:
    """Finds models that answer one class only, or no better than chance.

    Units of sampling count as for intervals: equal images once, and groups where there are some.

    Args:
        images: what the models answer to each.
        outputs: how the scores of each model are read, with its number of classes.
        clean_accuracy: of each model on these images; without an entry for a lack of labels.
    """
    units = units_of(images, seed=0)  # which are counted, not ordered
    distinct = images.taken(units.images)
    return tuple(
        warning
        for output in outputs
        for warning in (
            *_one_class(distinct, units, output),
            *_chance(distinct, output, clean_accuracy.get(output.model)),
        )
    )


def _one_class(images: ImageColumns, units: Units, output: ClassOutput) -> Iterator[ModelWarning]:
    tops = images.answers_of(output.model)
    answers = [
        (top, label, number)
        for top, label, number in zip(
            tops.tolist(), images.labels, units.unit.tolist(), strict=True
        )
        if top >= 0
    ]
    answered = len({number for _, _, number in answers})
    if answered < FEWEST_ANSWERS or len({top for top, _, _ in answers}) > 1:
        return
    only = answers[0][0]
    if all(only in classes_of(label) for _, label, _ in answers):
        return  # so it should be
    of = f" of {answered} groups" if units.grouped else ""
    yield ModelWarning(
        Doubt.ONE_CLASS,
        output.model,
        f"the model answers class {only} to all {len(answers)} images{of}: {_CHECK}",
    )


def _chance(
    images: ImageColumns, output: ClassOutput, accuracy: Summary | None
) -> Iterator[ModelWarning]:
    """Holds the interval of the clean accuracy, which needs 8 units, against chance."""
    if accuracy is None or accuracy.interval is None or accuracy.value is None:
        return
    chance, why = _best_guess(images.labels, output.classes)
    low, high = accuracy.interval.lower, accuracy.interval.upper
    if low > chance:
        return
    hits = round(accuracy.value * accuracy.scored)
    of = "" if accuracy.units == accuracy.scored else f" in {accuracy.units} groups"
    found = f"clean accuracy is {hits} of {accuracy.scored}{of}"
    if images.are_multi_label:
        found = f"mean average precision is {accuracy.value:.1%} of {accuracy.scored} images{of}"
    yield ModelWarning(
        Doubt.CHANCE_ACCURACY,
        output.model,
        f"{found} (interval [{low:.1%}, {high:.1%}]), "
        f"which cannot be told from chance, {chance:.1%} for {why}: {_CHECK}",
    )


def _best_guess(labels: Sequence[Label | None], classes: int) -> tuple[float, str]:
    """How good a guess is that looks at no image."""
    given = [label for label in labels if label is not None]
    counts = Counter(index for label in given for index in classes_of(label)).most_common()
    if any(isinstance(label, LabelSet) for label in given):
        share = sum(count for _, count in counts) / len(counts) / len(given)
        return share, "images in any order, the mean share of images that show a class"
    chance = 1 / max(classes, 1)
    share = counts[0][1] / len(given)
    # Where all labels are one class, its share tells nothing of the model.
    if len(counts) > 1 and share > chance:
        return share, f"the most frequent label, class {counts[0][0]}"
    return chance, f"{classes} classes"
