"""The answers that a task finds, and those that it hands over."""

import hashlib
import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from heatproof.evaluators.errors import UnknownAnswerError
from heatproof.evaluators.queries.known.answers import AnswerRow, KnownAnswers
from heatproof.evaluators.registry.plugins import plugin_paths
from heatproof.graphs.predictor import GraphPredictor
from heatproof.server.answers.folders import SUFFIX, AnswerPlace
from heatproof.server.answers.segments import (
    MAX_SEGMENT_BYTES,
    DamagedSegmentError,
    Segment,
    written_row,
    written_segment,
)
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.environment import computing_environment
from heatproof.server.workers.protocol import NewAnswers
from heatproof.server.workers.tasks import Explain, RunShard

_PIECE_BYTES: Final = 4 << 20
"""Bytes of answers to one image after which they are handed over."""

_LARGEST_BYTES: Final = MAX_SEGMENT_BYTES // 2
"""Bytes of an answer that is kept at most."""

_PACKAGES: Final = ("heatproof.evaluators", "heatproof.graphs")
"""Of whose code answers and their keys are made."""


@dataclass(frozen=True, slots=True)
class _Lying:
    """A file of answers to the image at a place."""

    segment: Segment
    place: int


@dataclass(slots=True)
class _Piece:
    """Answers that have not been handed over."""

    rows: list[tuple[bytes, bytes]] = field(default_factory=list)
    size_bytes: int = 0


class ModelAnswers:
    """The answers of one model to the images of a shard; implements `KnownAnswers`.

    Args:
        folders: where answers lie, by the place of the image in the shard.
        hand_over: called with the place of an image, new answers and the names of damaged files.
        keeps: whether new answers are wanted.
    """

    def __init__(
        self,
        folders: Sequence[Sequence[Path]],
        hand_over: Callable[[int, bytes, tuple[str, ...]], None],
        *,
        keeps: bool,
    ) -> None:
        self._folders = folders
        self._hand_over = hand_over
        self._keeps = keeps
        self._opened: set[int] = set()
        self._lying: dict[bytes, _Lying] = {}
        self._met: set[bytes] = set()
        self._new: dict[int, _Piece] = defaultdict(_Piece)
        self._used: set[int] = set()
        self._damaged: dict[int, list[str]] = defaultdict(list)

    def find(self, key: bytes, place: int) -> AnswerRow | None:
        """An answer that lies among those to the images so far; see `KnownAnswers.find`."""
        if place not in self._opened:
            self._open(place)
        lying = self._lying.get(key)
        if lying is None:
            return None
        try:
            row = lying.segment.read(key)
        except (OSError, DamagedSegmentError):
            self._lose(lying)
            return None
        self._used.add(lying.place)
        return row

    def keep(self, key: bytes, place: int, row: AnswerRow) -> None:
        """Takes an answer, and hands those of its image over once they are many."""
        if not self._keeps or key in self._met:
            return
        self._met.add(key)
        data = written_row(row)
        if len(data) > _LARGEST_BYTES:
            return
        piece = self._new[place]
        piece.rows.append((key, data))
        piece.size_bytes += len(data)
        if piece.size_bytes >= _PIECE_BYTES:
            self.flush([place])

    def flush(self, places: Iterable[int]) -> None:
        """Hands over what is new to images, and which of what lay there was of use."""
        for place in places:
            rows, damaged = self._new.pop(place, _Piece()).rows, self._damaged.pop(place, [])
            if rows or damaged or place in self._used:
                self._hand_over(place, written_segment(rows) if rows else b"", tuple(damaged))
            self._used.discard(place)

    def flush_all(self) -> None:
        """Hands over what is left."""
        self.flush(sorted({*self._new, *self._damaged, *self._used}))

    def _open(self, place: int) -> None:
        self._opened.add(place)
        for path in _segments(self._folders[place]):
            try:
                segment = Segment.opened(path)
            except DamagedSegmentError:
                self._damaged[place].append(path.stem)
            except OSError:
                continue
            else:
                self._lying.update(dict.fromkeys(segment.entries, _Lying(segment, place)))

    def _lose(self, lost: _Lying) -> None:
        """Forgets a file that is damaged or gone."""
        self._damaged[lost.place].append(lost.segment.path.stem)
        for key in lost.segment.entries:
            if self._lying.get(key) is lost:
                del self._lying[key]


def _segments(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        with suppress(OSError):  # there is none, or it goes
            yield from sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)


@dataclass(frozen=True, slots=True)
class UnaskedAnswers:
    """The answers of a model that is not asked for others; implements `KnownAnswers`.

    Attributes:
        model: its name.
        known: its answers.
    """

    model: str
    known: KnownAnswers

    def find(self, key: bytes, place: int) -> AnswerRow:
        """An answer that is known.

        Raises:
            UnknownAnswerError: it is not.
        """
        row = self.known.find(key, place)
        if row is None:
            raise UnknownAnswerError(
                f"an answer of {self.model} is not known, and it is not asked here",
                metadata={"model": self.model},
            )
        return row

    def keep(self, key: bytes, place: int, row: AnswerRow) -> None:
        """Takes an answer, as what it is made of does."""
        self.known.keep(key, place, row)


def known_answers(
    task: RunShard | Explain, predictors: Mapping[str, GraphPredictor], context: TaskContext
) -> dict[str, ModelAnswers]:
    """The answers that a task may believe, by model; none where nothing is kept."""
    return {
        name: _of_model(task, name, _context(predictor, context), context)
        for name, predictor in predictors.items()
        if task.answers is not None
    }


def _of_model(
    task: RunShard | Explain, model: str, digest: str, context: TaskContext
) -> ModelAnswers:
    grant = task.answers
    cohorts, keeps = ((), False) if grant is None else (grant.cohorts, grant.keeps)

    def hand_over(place: int, data: bytes, damaged: tuple[str, ...]) -> None:
        context.send(NewAnswers(model, digest, task.images[place].digest, data, damaged))

    folders = [
        [context.blobs.answers(AnswerPlace(model, one, digest, image.digest)) for one in cohorts]
        for image in task.images
    ]
    return ModelAnswers(folders, hand_over, keeps=keeps)


def _context(predictor: GraphPredictor, context: TaskContext) -> str:
    """SHA-256 of whatever may change a bit of an answer beside the model and the query."""
    computing = computing_environment(context.model_cache.options_of_bits(predictor))
    parts = [predictor.key, *(f"{name}={value}" for name, value in sorted(computing.items()))]
    return hashlib.sha256("\n".join([*parts, _code()]).encode()).hexdigest()


@cache
def _code() -> str:
    """SHA-256 of the code that makes answers: versions do not tell an edited one apart."""
    digest = hashlib.sha256(" ".join(platform.libc_ver()).encode())
    for path in _sources():
        digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    specs = [find_spec(package) for package in _PACKAGES]
    own = [path for spec in specs if spec for path in spec.submodule_search_locations or ()]
    for path in map(Path, (*own, *plugin_paths())):
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]
