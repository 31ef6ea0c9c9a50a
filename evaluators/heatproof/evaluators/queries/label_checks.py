"""Holds the labels of images against the classes of a model."""

from typing import Final

from heatproof.evaluators.errors import InvalidArgumentError, LimitExceededError
from heatproof.evaluators.images.inventory import Inventory
from heatproof.evaluators.queries.predictor import PredictorFacts

_MOST_LOGITS: Final = 50_000_000
"""Held at once to rank images by each class: 200 MB."""


def check_labels(facts: PredictorFacts, inventory: Inventory) -> None:
    """Refuses labels that are no class, sets of classes that compete, and sets beside single ones.

    Raises:
        InvalidArgumentError: at `dataset`.
        LimitExceededError: images with sets of classes are too many to be ranked.
    """
    _check_highest(facts, inventory)
    sets = inventory.sets
    if not sets.count:
        return
    if sets.count < inventory.labels.count:
        raise InvalidArgumentError(
            f"{sets.count} images have labels (sets of classes), and "
            f"{inventory.labels.count - sets.count} a label (one class): give all of them sets, "
            "of one class where there is one",
            field="dataset",
        )
    require_own_probabilities(facts, f"{sets.count} images", "dataset")
    if inventory.images * facts.classes > _MOST_LOGITS:
        raise LimitExceededError(
            f"{inventory.images} images with sets of classes and {facts.classes} classes of "
            f"{facts.model} make more than {_MOST_LOGITS} logits to rank: evaluate a part of the "
            "images",
            field="dataset",
        )


def _check_highest(facts: PredictorFacts, inventory: Inventory) -> None:
    if inventory.highest_label is None:
        return
    label, image = inventory.highest_label
    if label >= facts.classes:
        raise InvalidArgumentError(
            f"{image!r} has the label {label}, but {facts.model} has {facts.classes} classes, 0 to "
            f"{facts.classes - 1}: correct the labels",
            field="dataset",
        )


def require_own_probabilities(facts: PredictorFacts, images: str, field: str) -> None:
    """Refuses sets of classes where a model's classes share one probability.

    Args:
        facts: the model.
        images: who has them, in words.
        field: where the error is.

    Raises:
        InvalidArgumentError: they share one.
    """
    if facts.probabilities == "sigmoid":
        return
    raise InvalidArgumentError(
        f"{images}: labels are sets of classes, but the classes of {facts.model} share one "
        "probability (softmax, or one value for two classes), so no two of them can be likely: "
        "give each image one label, or, if each class has a sigmoid of its own, state the "
        "activation (--activation sigmoid for probabilities, sigmoid_logits for logits)",
        field=field,
    )
