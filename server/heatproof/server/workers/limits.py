"""How large things may be on this server, and how long a task may work whoever waits for it."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

LOADED_BYTES_PER_SECOND: Final = 16 << 20
"""Speed at which a model is taken to be loaded and rewritten; slower than any disk."""


class Effort(StrEnum):
    """What the duration of a task grows with."""

    INSPECTION = "inspection"
    """Parsing and describing a model; grows with the bytes of its files."""

    REWRITING = "rewriting"
    """Rewriting and writing a model; grows with the bytes of its files."""

    DECODING = "decoding"
    """Reading images; grows with their number."""

    PREDICTION = "prediction"
    """Running networks; grows with the number of predictions."""

    STATISTICS = "statistics"
    """Summing up, comparing and judging; grows with the number of images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much a task works on.

    Attributes:
        model_bytes: bytes of the models that it loads.
        units: images to be read or summed up, or predictions to be made.
    """

    model_bytes: int = 0
    units: int = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """The time of one task.

    Attributes:
        seconds: from the moment its worker takes it up, second attempts included.
        setting: name of the setting that an operator would raise.
    """

    seconds: float
    setting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLimits:
    """Limits of time, in seconds; all but the last two are settings of the same name.

    Attributes:
        inspect_seconds: for inspecting a model, beside the time its bytes take to be read.
        rewrite_seconds: for rewriting a model, likewise.
        decode_seconds: for each image of an upload.
        prediction_seconds: for each prediction, a slow machine and a large model assumed.
        least_request_seconds: least time of what runs networks or decodes.
        most_request_seconds: most time of anything that somebody waits for.
        summary_seconds: for summing up, comparing or judging an evaluation.
        silence_seconds: time without progress after which any task is stopped.
        unresponsive_seconds: time without a sign of life after which a worker is replaced.
        start_seconds: time after which a worker that has given no sign of life at all is replaced.
        stopped_seconds: time in which a worker may be stopped by a signal before it is replaced.
    """

    inspect_seconds: float = 60.0
    rewrite_seconds: float = 600.0
    decode_seconds: float = 20.0
    prediction_seconds: float = 2.0
    least_request_seconds: float = 60.0
    most_request_seconds: float = 3600.0
    summary_seconds: float = 1800.0
    silence_seconds: float = 900.0
    unresponsive_seconds: float = 60.0
    start_seconds: float = 120.0
    stopped_seconds: float = 5.0

    def allowance(self, effort: Effort, amount: Amount, *, awaited: bool) -> Allowance:
        """The time of a task of this effort and amount; `awaited` if somebody waits for it."""
        least = self.least_request_seconds
        setting, base, each = {
            Effort.INSPECTION: ("inspect_seconds", self.inspect_seconds, 0.0),
            Effort.REWRITING: ("rewrite_seconds", self.rewrite_seconds, 0.0),
            Effort.DECODING: ("decode_seconds", least, self.decode_seconds),
            Effort.PREDICTION: ("prediction_seconds", least, self.prediction_seconds),
            Effort.STATISTICS: ("summary_seconds", self.summary_seconds, 0.0),
        }[effort]
        loading = amount.model_bytes / LOADED_BYTES_PER_SECOND
        seconds = base + loading + each * amount.units
        if awaited and seconds > self.most_request_seconds:
            return Allowance(self.most_request_seconds, "most_request_seconds")
        return Allowance(seconds, setting)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large things may be and how long tasks may take; handed on whole from the settings.

    Attributes:
        tasks: times of tasks.
        max_model_bytes: bytes of a model's files.
        max_image_bytes: bytes of an image file, or of the mask, a map or the replacement of an
            image.
        max_image_pixels: pixels of an image however it is given, read from its header.
        max_dataset_images: images of a data set.
        max_dataset_bytes: bytes of the images of a data set with their masks, maps and
            replacements.
    """

    tasks: TaskLimits = field(default_factory=TaskLimits)
    max_model_bytes: int = 4 << 30
    max_image_bytes: int = 15 << 20
    max_image_pixels: int = 100_000_000
    max_dataset_images: int = 100_000
    max_dataset_bytes: int = 20 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What one worker may use.

    Attributes:
        threads: threads a network may use.
        batch_rows: rows that one run of a network takes; 0: the fastest of a few.
        provider: what runs networks, as the setting of the same name.
        views: what draws the views of an image, as the setting of the same name.
        data_dir: folder whose blobs tasks name.
        answers_dir: folder of the answers that are kept.
        niceness: added to the server's own.
        session_bytes: memory of the networks that are kept ready between tasks.
        limits: how large models and images may be.
        preload: whether to load the libraries before the first task comes.
        pulse_seconds: time between two signs of life.
        tidy_seconds: time without a task after which a worker drops what belongs to deleted models.
    """

    threads: int
    batch_rows: int = 0
    provider: str = "cpu"
    views: str = "auto"
    data_dir: Path = Path()
    answers_dir: Path = Path()
    niceness: int = 0
    session_bytes: int = 2 << 30
    limits: Limits = field(default_factory=Limits)
    preload: bool = True
    pulse_seconds: float = 1.0
    tidy_seconds: float = 10.0
