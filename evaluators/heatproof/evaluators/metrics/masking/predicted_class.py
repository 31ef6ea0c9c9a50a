"""What a removal operator leaves of the predicted class."""

from typing import Final

import numpy as np

from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import Prediction

NO_LABEL: Final = Undefined(Reason.NO_LABEL, "the image came without its true class")


def predicted_class(answer: Prediction) -> float:
    """The index of the highest logit; NaN where a logit is not finite."""
    return float(answer.logits.argmax()) if np.isfinite(answer.logits).all() else np.nan


def hit(answer: Prediction, expected: float) -> float:
    """Whether a class is predicted: 1 or 0; NaN where a logit is not finite."""
    found = predicted_class(answer)
    return found if np.isnan(found) else float(found == expected)
