"""The answers that a server keeps, up to a number of bytes."""

import os
import secrets
import shutil
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from heatproof.server.answers.folders import (
    IMAGE_DEPTH,
    AnswerPlace,
    answer_folders,
    cohort_file,
    cohort_files,
    cohort_of,
    model_folder,
    segment_file,
)

_log = structlog.get_logger()

_SPARE_BYTES: Final = 1 << 30
"""Room on the disk that is left to others."""
_FRESH_SECONDS: Final = 3600.0
"""Time for which used answers stay: else a large evaluation would push its own beginning out, and
nothing of it would be known the next time."""
_LEFT: Final = 0.9
"""Share of the bound to which is cleared once it is reached."""
_UNSEEN: Final = 1 / 16
"""Share of the bound that is added before what others have added is counted too."""
_PAUSE_SECONDS: Final = 60.0
"""Time between two searches for what may go, while all is fresh."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What is kept for one image."""

    folder: Path
    used: float
    size_bytes: int


class AnswerStore:
    """Answers as files below a folder; those that were used least recently go first.

    What cannot be written is not kept: no evaluation fails for it. Several servers may share a
    folder, and each exceeds the bound by a part of it at most; what lies there may be deleted at
    any time, and files of others stay. Blocking; called outside the event loop, from any thread.

    Attributes:
        root: the folder.
    """

    def __init__(self, root: Path, max_bytes: int) -> None:
        self.root = root
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._held_bytes = self._trusted_bytes = 0
        self._paused_until = 0.0
        self._cohorts: dict[str, frozenset[str]] = {}
        self._make_folders()

    def believed(self, models: Collection[str]) -> tuple[str, ...]:
        """The cohorts whose answers an evaluation of these models may believe, in a fixed order."""
        alone = {cohort_of([model]) for model in models}
        several = {
            cohort for cohort, members in self._known_cohorts().items() if members <= set(models)
        }
        return tuple(sorted(alone | several))

    def keep(self, place: AnswerPlace, models: Collection[str], data: bytes) -> None:
        """Keeps a file of answers.

        Args:
            place: what it is about.
            models: those of its cohort.
            data: the file; nothing only notes that what is there was of use.
        """
        place.check()
        folder = place.within(self.root)
        try:
            if not data:
                os.utime(folder)
            else:
                self._mend_folders()
                if self._has_room(len(data)):
                    self._list_cohort(place.cohort, models)
                    _write(folder, data)
        except FileNotFoundError:
            pass  # there is none, or it has gone meanwhile
        except OSError as error:
            _log.warning("answers are not kept", error=error.strerror, folder=str(folder))

    def drop(self, place: AnswerPlace, names: Collection[str]) -> None:
        """Removes damaged files of answers.

        Raises:
            ValueError: something else is named.
        """
        place.check()
        for name in names:
            path = segment_file(place.within(self.root), name)
            with suppress(OSError):
                path.unlink(missing_ok=True)
                _log.warning("damaged answers removed", file=str(path))

    def forget(self, model: str) -> None:
        """Removes all answers of a model."""
        with self._lock:
            shutil.rmtree(model_folder(self.root, model), ignore_errors=True)
            self._trusted_bytes = 0

    def _make_folders(self) -> None:
        for folder in _folders(self.root):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _mend_folders(self) -> None:
        """Makes the folders anew that somebody has deleted."""
        with self._lock:
            if all(folder.is_dir() for folder in _folders(self.root)):
                return
            if not self.root.exists():  # whose successor is another one to a sandbox
                _log.warning(
                    "the folder of answers was deleted: workers that run do not see the new one; "
                    "start the server anew",
                    folder=str(self.root),
                )
            self._make_folders()
            self._trusted_bytes = 0

    def _has_room(self, size_bytes: int) -> bool:
        """Whether so many bytes may be added; removes what was used least recently for them."""
        with self._lock:
            if size_bytes > self._max_bytes or time.monotonic() < self._paused_until:
                return False
            if size_bytes + _SPARE_BYTES > shutil.disk_usage(self.root).free:
                return False
            if self._held_bytes + size_bytes > self._trusted_bytes:
                self._held_bytes = self._cleared(size_bytes)
                trusted = self._held_bytes + size_bytes + round(_UNSEEN * self._max_bytes)
                self._trusted_bytes = min(trusted, self._max_bytes)
            fits = self._held_bytes + size_bytes <= self._max_bytes
            self._held_bytes += size_bytes if fits else 0
            if not fits:
                self._paused_until = time.monotonic() + _PAUSE_SECONDS
            return fits

    def _cleared(self, size_bytes: int) -> int:
        """Counts what is there, which other servers may have changed, and makes room."""
        found = sorted(_held(self.root), key=lambda held: held.used)
        total = sum(held.size_bytes for held in found)
        if total + size_bytes <= self._max_bytes:
            return total
        newest = time.time() - _FRESH_SECONDS
        for held in found:
            if total + size_bytes <= _LEFT * self._max_bytes or held.used > newest:
                break
            shutil.rmtree(held.folder, ignore_errors=True)
            total -= held.size_bytes
        _remove_empty(self.root)
        return total

    def _known_cohorts(self) -> dict[str, frozenset[str]]:
        """The models of each cohort of several."""
        try:
            names = {path.name for path in cohort_files(self.root)}
            for name in names - self._cohorts.keys():
                lines = cohort_file(self.root, name).read_text().splitlines()
                if cohort_of(lines) == name:
                    self._cohorts[name] = frozenset(lines)
        except (OSError, UnicodeDecodeError) as error:
            _log.warning("cannot read the lists of models", error=str(error))
        return dict(self._cohorts)

    def _list_cohort(self, cohort: str, models: Collection[str]) -> None:
        if len(models) > 1 and not cohort_file(self.root, cohort).exists():
            _write_file(cohort_file(self.root, cohort), "\n".join(sorted(models)).encode())


def _folders(root: Path) -> tuple[Path, Path]:
    """Of the answers, and of the lists of cohorts."""
    return root / "models", root / "cohorts"


def _held(root: Path) -> Iterator[_Held]:
    """What is kept, an image and context at a time; clears away what a killed server left."""
    for folder in answer_folders(root):
        with suppress(OSError):  # another server clears too
            sizes = [path.stat().st_size for path in folder.iterdir()]
            yield _Held(folder, folder.stat().st_mtime, sum(sizes))


def _remove_empty(root: Path) -> None:
    """Removes folders without answers, and the lists of cohorts that have none."""
    for depth in reversed(range(1, IMAGE_DEPTH)):
        for folder in answer_folders(root, depth):
            with suppress(OSError):  # it holds something
                folder.rmdir()
    left = {folder.name for folder in answer_folders(root, depth=2)}
    for path in cohort_files(root):
        if path.name not in left:
            path.unlink(missing_ok=True)


def _write(folder: Path, data: bytes) -> None:
    for _ in range(2):  # an empty folder may be removed before the file is in it
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileNotFoundError):
            return _write_file(segment_file(folder, secrets.token_hex(16)), data)
    return None


def _write_file(path: Path, data: bytes) -> None:
    """Writes a file that is there completely or not at all, but for a loss of power."""
    partial = path.with_name(f".{secrets.token_hex(16)}")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)  # noqa: PTH105  # one name for what is one step
    except OSError:
        partial.unlink(missing_ok=True)
        raise
