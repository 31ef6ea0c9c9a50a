"""What a shard comes to, on its way from a worker to the store."""

import re
from dataclasses import dataclass
from typing import Final

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.evaluators.evaluation import column_blocks
from heatproof.server.workers.inputs import RunSize

_KEY: Final = re.compile(r"[0-9a-f]{64}")
_MOST_BATCHES: Final = 1024


@dataclass(frozen=True, slots=True)
class ImageRow:
    """Result of one image, as serialised `ImageResult` messages.

    Attributes:
        basic: without curves, overlays and input pictures.
        curves: without overlays and input pictures.
        overlays: nothing but these pictures; `curves + overlays` is the whole message.
    """

    basic: bytes
    curves: bytes
    overlays: bytes


MOST_WAYS: Final = 256
"""In which the models of a shard are run: 16 models, and as many kinds of passes of each."""

LONGEST_WAY: Final = 256
"""Letters of one of them: the name of a model, a kind of pass, and three numbers."""


@dataclass(frozen=True, slots=True)
class ShardTotals:
    """What a shard comes to beside the results of its images.

    Attributes:
        predictions: predictions answered.
        columns: what statistics read, as blocks.
        preparation_seconds: time that went into what a worker does once: models loaded, networks
            opened.
        known: those of the predictions that were known, so that no pass was run for them.
        ways_run: how each kind of pass of each model was run, in words.
        run_sizes: what was measured beside what was known.
    """

    predictions: int
    columns: tuple[bytes, ...]
    preparation_seconds: float = 0.0
    known: int = 0
    ways_run: tuple[str, ...] = ()
    run_sizes: tuple[RunSize, ...] = ()

    def check(self) -> None:
        """Reads the columns once, and compares counts with their limits.

        Raises:
            ValueError: no worker of ours says so.
        """
        check_columns(self.columns)
        if not 0 <= self.known <= self.predictions:
            message = f"{self.known} of {self.predictions} predictions were known"
            raise ValueError(message)
        if len(self.ways_run) > MOST_WAYS or any(len(way) > LONGEST_WAY for way in self.ways_run):
            message = f"more than {MOST_WAYS} ways of {LONGEST_WAY} letters to run models"
            raise ValueError(message)
        if len(self.run_sizes) > MOST_WAYS or not all(map(_is_size, self.run_sizes)):
            message = f"more than {MOST_WAYS} sizes of runs, or such as no run has"
            raise ValueError(message)


def check_columns(columns: tuple[bytes, ...]) -> None:
    """Reads blocks of columns once.

    Raises:
        ValueError: there is none, or one cannot be read.
    """
    try:
        column_blocks.check(columns)
    except FailedPreconditionError as error:
        raise ValueError(error.message) from error


def _is_size(size: RunSize) -> bool:
    return bool(_KEY.fullmatch(size.key)) and 0 < size.batches <= _MOST_BATCHES
