"""What a removal operator leaves of the predicted class."""

from typing import Final

import numpy as np

from heatproof.evaluators.images.labels import Label, classes_of
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import Prediction

NO_LABEL: Final = Undefined(Reason.NO_LABEL, "the image came without its true class")
NONE_SHOWN: Final = Undefined(Reason.NO_LABEL, "the image shows none of the classes")


def predicted_class(answer: Prediction) -> float:
    """The index of the highest logit; NaN where a logit is not finite."""
    return float(answer.logits.argmax()) if np.isfinite(answer.logits).all() else np.nan


def hit(answer: Prediction, expected: float) -> float:
    """Whether a class is predicted: 1 or 0; NaN where a logit is not finite."""
    found = predicted_class(answer)
    return found if np.isnan(found) else float(found == expected)


def label_hit(answer: Prediction, label: Label | None) -> float:
    """Whether the predicted class is the label, or one of its classes: 1, 0 or NaN as in `hit`.

    Of several classes that is 1 less the one-error of multi-label ranking.
    """
    found = predicted_class(answer)
    return found if np.isnan(found) else float(found in classes_of(label))


def unlabelled(label: Label | None) -> Undefined | None:
    """Why nothing can be said of a label; None if it names a class."""
    if classes_of(label):
        return None
    return NO_LABEL if label is None else NONE_SHOWN
