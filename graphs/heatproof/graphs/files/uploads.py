"""Files that were uploaded beside a model, and the tensors that lie in them.

A file is opened once, when the model is loaded, and mapped once: what happens at its path later
changes nothing, and the model takes no more of the address space than it has bytes.
"""

import mmap
import os
import stat
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidModelError

Bytes: TypeAlias = bytes | mmap.mmap

_MAPPED_BYTES = 1 << 20
"""Smaller files are read: each mapping takes one of the few files that a process may have open."""

_PIECE = 4 << 20
_BITS = 8


class Sink(Protocol):
    """What a tensor is written to."""

    def write(self, data: memoryview, /) -> object:
        """Appends bytes."""


def opened(location: str, path: Path) -> Bytes:
    """The bytes of an uploaded file, mapped for reading.

    Args:
        location: under which the model knows it.
        path: where the server keeps it.

    Raises:
        InvalidModelError: it is missing, a link, or no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _irregular(location) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _irregular(location)
        if found.st_size < _MAPPED_BYTES:
            return _read(descriptor)
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return file.read()


def _irregular(location: str) -> InvalidModelError:
    return InvalidModelError(
        f"external data {location!r} is not a regular file; upload the file itself",
        metadata={"location": location},
    )


def uploaded_tensor(described: ir.ExternalTensor, data: Bytes) -> ir.TensorProtocol:
    """The tensor that an external one describes, in the bytes of its file.

    Its location, offset and size must have been checked.
    """
    dtype, shape, offset = described.dtype, described.shape, described.offset or 0
    if dtype.bitwidth < _BITS:
        packed = np.frombuffer(data, np.uint8, described.nbytes, offset)
        return ir.PackedTensor(packed, dtype, shape=shape, name=described.name)
    stored = np.dtype(dtype.numpy()).newbyteorder("<")
    array = np.frombuffer(data, stored, described.size, offset).reshape(shape.numpy())
    return UploadedTensor(array, described, data)


class UploadedTensor(ir.Tensor[NDArray[Any]]):
    """A tensor in an uploaded file, which is mapped, not read."""

    def __init__(self, array: NDArray[Any], described: ir.ExternalTensor, data: Bytes) -> None:
        super().__init__(
            array, described.dtype, shape=ir.Shape(described.shape.numpy()), name=described.name
        )
        self._data = data
        self._start = described.offset or 0

    def tofile(self, file: Sink) -> None:
        """Copies the elements in pieces, of which only one is in memory at a time."""
        end = self._start + self.nbytes
        with memoryview(self._data) as whole:
            for start in range(self._start, end, _PIECE):
                stop = min(start + _PIECE, end)
                with whole[start:stop] as piece:
                    file.write(piece)
                self._forget(start, stop)

    def _forget(self, start: int, stop: int) -> None:
        """Gives pages back that were read; who reads them again has the file read again."""
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        if isinstance(self._data, mmap.mmap) and stop > first:
            self._data.madvise(mmap.MADV_DONTNEED, first, stop - first)
