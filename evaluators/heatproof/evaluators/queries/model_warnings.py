"""What must be known of a model to read its scores."""

from dataclasses import dataclass
from enum import StrEnum


class Doubt(StrEnum):
    """What makes the scores of a model doubtful, or must be known to read them."""

    ONE_CLASS = "ONE_CLASS"
    CHANCE_ACCURACY = "CHANCE_ACCURACY"

    MODEL_CHANGED = "MODEL_CHANGED"
    """What was scored answers otherwise than the file: dropouts were turned off, say."""

    MODEL_FORM = "MODEL_FORM"
    """What was scored has another form than the file, and the same answers."""


@dataclass(frozen=True, slots=True)
class ModelWarning:
    """What must be known of a model to read its scores; fields as in the message of that name."""

    reason: Doubt
    model: str
    text: str
