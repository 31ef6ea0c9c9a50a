"""How far a flow is."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Stage(StrEnum):
    """Stages of an evaluation, in order."""

    UPLOAD_MODEL = "upload model"
    UPLOAD_IMAGES = "upload images"
    QUEUED = "queued"
    TRY = "try a few images"
    EVALUATE = "evaluate"


@dataclass(frozen=True, slots=True)
class Progress:
    """Says how far a stage is.

    Attributes:
        stage: the stage.
        done: bytes of the model, images sent, or predictions answered.
        total: the same in all; predictions of unfinished images count by an
            upper bound, so it may fall, and is met in the end; 0 if unknown.
        images_done: images finished; in `Stage.TRY` and `Stage.EVALUATE` only.
        images_total: images in all; likewise.
        known: those of the predictions that the server knew, so that it ran no pass for them.
    """

    stage: Stage
    done: int
    total: int
    images_done: int = 0
    images_total: int = 0
    known: int = 0


OnProgress: TypeAlias = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Takes no notice."""
    del progress
