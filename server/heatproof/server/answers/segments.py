"""Files of answers: arrays and numbers, read without running anything that they hold.

A segment is a mark, the SHA-256 of what follows, the length of an index, the index, and answers.
The index says where the answer to each key lies, so that one is read without the others. A segment
of which a bit has changed is none.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.queries.known.answers import AnswerRow

MAX_SEGMENT_BYTES: Final = 32 << 20
"""Most bytes of a segment, which a worker hands over in one piece."""

_MARK: Final = b"HPANSW01"
_HEAD: Final = struct.Struct("<8s32s")
_LENGTH: Final = struct.Struct("<I")
_FLOATS: Final = np.dtype("<f4")


class DamagedSegmentError(Exception):
    """Bytes that are no segment, or not those that were written."""


class _Tensor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    shape: tuple[int, ...]
    data: bytes


class _Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    logits: _Tensor
    coverage: float | None
    activation: _Tensor | None
    gradient: _Tensor | None
    features: dict[str, _Tensor]


class _Entry(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    key: bytes
    offset: int
    length: int


_ENCODER: Final = msgspec.msgpack.Encoder()
_ROWS: Final = msgspec.msgpack.Decoder(_Row)
_INDICES: Final = msgspec.msgpack.Decoder(list[_Entry])


def written_row(row: AnswerRow) -> bytes:
    """Writes an answer.

    Raises:
        TypeError: a tensor is not float32.
    """
    written = _Row(
        logits=_tensor(row.logits),
        coverage=row.coverage,
        activation=None if row.activation is None else _tensor(row.activation),
        gradient=None if row.gradient is None else _tensor(row.gradient),
        features={name: _tensor(values) for name, values in row.features.items()},
    )
    return _ENCODER.encode(written)


def written_segment(rows: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Writes a segment of answers that `written_row` has written, each after its key."""
    entries: list[_Entry] = []
    offset = 0
    for key, data in rows:
        entries.append(_Entry(key, offset, len(data)))
        offset += len(data)
    index = _ENCODER.encode(entries)
    rest = b"".join([_LENGTH.pack(len(index)), index, *(data for _, data in rows)])
    return _HEAD.pack(_MARK, hashlib.sha256(rest).digest()) + rest


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of answers whose index has been read.

    Attributes:
        path: the file.
        start: where the answers begin in it.
        entries: where each lies, by its key.
    """

    path: Path
    start: int
    entries: Mapping[bytes, _Entry]

    @classmethod
    def opened(cls, path: Path) -> "Segment":
        """Checks a file and reads its index.

        Raises:
            DamagedSegmentError: it is none, or damaged.
            OSError: it cannot be read.
        """
        with path.open("rb") as file:
            head = file.read(_HEAD.size)
            rest = file.read(MAX_SEGMENT_BYTES)
        if head != _HEAD.pack(_MARK, hashlib.sha256(rest).digest()):
            raise DamagedSegmentError(f"{path} is not what was written")
        try:
            (length,) = _LENGTH.unpack_from(rest)
            entries = _INDICES.decode(rest[_LENGTH.size : _LENGTH.size + length])
        except (struct.error, msgspec.MsgspecError) as error:
            raise DamagedSegmentError(f"{path}: {error}") from error
        start = _HEAD.size + _LENGTH.size + length
        return cls(path, start, {entry.key: entry for entry in entries})

    def read(self, key: bytes) -> AnswerRow:
        """One of its answers.

        Raises:
            DamagedSegmentError: its bytes are no answer.
            OSError: the file cannot be read, or is gone.
        """
        entry = self.entries[key]
        with self.path.open("rb") as file:
            file.seek(self.start + entry.offset)
            data = file.read(min(entry.length, MAX_SEGMENT_BYTES))
        try:
            return _read(_ROWS.decode(data))
        except (msgspec.MsgspecError, ValueError) as error:
            raise DamagedSegmentError(f"{self.path}: {error}") from error


def _read(row: _Row) -> AnswerRow:
    return AnswerRow(
        logits=_values(row.logits),
        coverage=row.coverage,
        activation=None if row.activation is None else _values(row.activation),
        gradient=None if row.gradient is None else _values(row.gradient),
        features={name: _values(tensor) for name, tensor in row.features.items()},
    )


def _tensor(values: Float32[np.ndarray, "..."]) -> _Tensor:
    if values.dtype != np.float32:
        message = f"answers are float32, not {values.dtype}"
        raise TypeError(message)
    return _Tensor(values.shape, np.ascontiguousarray(values, _FLOATS).tobytes())


def _values(tensor: _Tensor) -> Float32[np.ndarray, "..."]:
    # Copied: what is read of a buffer cannot be written to, as fresh answers can.
    return np.frombuffer(tensor.data, _FLOATS).reshape(tensor.shape).astype(np.float32)
