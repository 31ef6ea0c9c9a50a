"""What the command prints: results to standard output, the rest to standard error."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import rich.progress
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn

from heatproof.client.clients.progress import OnProgress, Progress, Stage

LOG_WIDTH: Final = 160
"""Columns of tables where there is no terminal; CI scrolls sideways, and cut names help nobody."""


def _console(*, stderr: bool) -> Console:
    is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if is_terminal or "COLUMNS" in os.environ else LOG_WIDTH
    # `soft_wrap`: in a log a line stays a line, however long it is.
    return Console(stderr=stderr, highlight=False, width=width, soft_wrap=not is_terminal)


out: Final = _console(stderr=False)
err: Final = _console(stderr=True)

PLAIN_STEPS: Final = 10
"""Lines of progress that an evaluation prints where there is no terminal."""

UPLOADS: Final = frozenset({Stage.UPLOAD_MODEL, Stage.UPLOAD_IMAGES})


def complain(message: str) -> None:
    """Says why the command ends."""
    err.print(f"[bold red]error:[/] {escape(message)}")


def note(message: str) -> None:
    """Says something by the way."""
    err.print(escape(message))


@contextmanager
def progress_shown() -> Iterator[OnProgress]:
    """Shows progress: bars on a terminal, plain lines elsewhere."""
    if not err.is_terminal:
        yield PlainProgress()
        return
    with rich.progress.Progress(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    ) as bars:
        yield BarProgress(bars)


class BarProgress:
    """One bar a stage."""

    def __init__(self, bars: rich.progress.Progress) -> None:
        self._bars = bars
        self._tasks: dict[Stage, TaskID] = {}

    def __call__(self, progress: Progress) -> None:
        """Moves the bar of the stage."""
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage.value, text="")
        total = progress.total or None
        task = self._tasks[progress.stage]
        self._bars.update(task, total=total, completed=progress.done, text=describe(progress))


class PlainProgress:
    """A line for the end of an upload, and one a tenth of the evaluation."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._said: tuple[Stage, int] | None = None
        self._clock = clock
        self._start: tuple[float, int] | None = None

    def __call__(self, progress: Progress) -> None:
        """Prints a line if the stage has come far enough."""
        steps = PLAIN_STEPS if progress.stage is Stage.EVALUATE else 1
        tenth = steps * progress.done // progress.total if progress.total else 0
        if progress.stage in UPLOADS and not tenth:
            return
        if self._said != (progress.stage, tenth):
            self._said = progress.stage, tenth
            err.print(f"{progress.stage.value}: {self._share(progress)}{describe(progress)}")

    def _share(self, progress: Progress) -> str:
        """The share of an evaluation that is done, and the time that the rest will take."""
        if progress.stage is not Stage.EVALUATE or not progress.total:
            return ""
        now = self._clock()
        since, before = self._start = self._start or (now, progress.done)
        done, left = progress.done - before, progress.total - progress.done
        rest = f"{duration(left * (now - since) / done)} left, " if done and left else ""
        return f"{100 * progress.done // progress.total} %, {rest}"


def duration(seconds: float) -> str:
    """A length of time for people: `42 s`, `3 min 05 s`, `2 h 10 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def describe(progress: Progress) -> str:
    """How far a stage is, in its own unit."""
    match progress.stage:
        case Stage.UPLOAD_MODEL:
            return f"{progress.done / 1e6:.1f} of {progress.total / 1e6:.1f} MB"
        case Stage.UPLOAD_IMAGES:
            return f"{progress.done} of {progress.total} images"
        case Stage.QUEUED:
            return "waits for a worker"
        case Stage.TRY | Stage.EVALUATE:
            done, total = progress.images_done, progress.images_total
            known = f", {progress.known} of them known" if progress.known else ""
            return f"{done} of {total} images, {progress.done} predictions{known}"
