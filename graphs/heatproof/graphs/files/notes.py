"""What was done to a model that its user must know: sentences that travel with it."""

from collections.abc import Iterable
from dataclasses import dataclass

import onnx_ir as ir

_KEY = "heatproof.notes"


@dataclass(frozen=True, slots=True)
class Note:
    """What was done to a model.

    Attributes:
        text: a sentence.
        changes_answers: whether the model answers otherwise than the file; else only its form is
            another.
    """

    text: str
    changes_answers: bool = False


def notes_of(model: ir.Model) -> tuple[Note, ...]:
    """The notes on a model, in the order in which they were made."""
    notes: tuple[Note, ...] = model.meta.get(_KEY, ())
    return notes


def add_notes(model: ir.Model, notes: Iterable[Note]) -> None:
    """Adds notes, in place, each once."""
    model.meta[_KEY] = tuple(dict.fromkeys((*notes_of(model), *notes)))


def keep_notes(copy: ir.Model, original: ir.Model) -> None:
    """Gives a copy the notes of its original: what lies beside a graph is not copied with it."""
    add_notes(copy, notes_of(original))
