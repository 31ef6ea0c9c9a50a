"""Files in pieces: what is announced, what arrives, and what is sent."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from heatproof.evaluators.errors import (
    DataLossError,
    InvalidArgumentError,
    InvalidModelError,
    NotFoundError,
)
from heatproof.server.settings import MAX_CHUNK_BYTES
from heatproof.server.storage.blobs import BlobFolder, PartialBlob

_SHA256: Final = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file that is announced.

    Attributes:
        location: where the model file refers to it, relative, with forward slashes.
        size_bytes: size.
        sha256: digest, 64 lower-case hexadecimal digits.
    """

    location: str
    size_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if self.size_bytes < 1:
            raise InvalidArgumentError(
                f"{self.location!r} is announced with {self.size_bytes} bytes; a file has at least "
                "1",
                field="size_bytes",
            )
        if not _SHA256.fullmatch(self.sha256):
            raise InvalidArgumentError(
                f"sha256 must be 64 lower-case hexadecimal digits, not {self.sha256!r}",
                field="sha256",
            )
        path = PurePosixPath(self.location)
        if path.is_absolute() or ".." in path.parts or {"\\", ":", "\0"} & set(self.location):
            raise InvalidModelError(
                f"location {self.location!r} leaves the folder of the model; locations are plain "
                "relative paths with forward slashes",
                field="location",
            )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file.

    Attributes:
        file: index of the file.
        offset: position of the first byte.
        data: the bytes.
    """

    file: int
    offset: int
    data: bytes


@contextmanager
def receiving(folder: BlobFolder, files: Sequence[FileInfo]) -> Iterator["Reception"]:
    """Takes files in; whatever is not kept is removed at the end."""
    with ExitStack() as stack:
        partials = [folder.begin() for _ in files]
        for partial in partials:
            stack.callback(partial.discard)
        yield Reception(files, partials)


class Reception:
    """Files that arrive one after the other, in the order in which they were announced."""

    def __init__(self, files: Sequence[FileInfo], partials: Sequence[PartialBlob]) -> None:
        self._files = files
        self._partials = partials
        self._complete = 0

    @property
    def parts(self) -> list[tuple[str, PartialBlob]]:
        """The files by location."""
        locations = (file.location for file in self._files)
        return list(zip(locations, self._partials, strict=True))

    async def receive(self, chunks: AsyncIterator[Chunk]) -> None:
        """Takes chunks until the end of the stream.

        Raises:
            InvalidArgumentError: a chunk is at the wrong place, or bytes are missing at the end.
            DataLossError: the bytes have another digest than was announced.
        """
        async for chunk in chunks:
            partial = self._place(chunk)
            await asyncio.to_thread(partial.write, chunk.data)
            if partial.size_bytes == self._files[chunk.file].size_bytes:
                self._check_digest(chunk.file)
                await asyncio.to_thread(partial.finish)
                self._complete += 1
        if self._complete < len(self._files):
            raise self._cut()

    def _place(self, chunk: Chunk) -> PartialBlob:
        """The file that a chunk continues."""
        if not 0 <= chunk.file < len(self._files):
            raise InvalidArgumentError(
                f"chunk of file {chunk.file}, but the header lists {len(self._files)} files, "
                "counted from 0",
                field="chunk.file",
            )
        if len(chunk.data) > MAX_CHUNK_BYTES:
            raise InvalidArgumentError(
                f"a chunk holds {len(chunk.data)} bytes; send at most {MAX_CHUNK_BYTES}",
                field="chunk.data",
            )
        if chunk.file > self._complete:
            raise self._cut()
        self._check_extent(chunk)
        return self._partials[chunk.file]

    def _check_extent(self, chunk: Chunk) -> None:
        file, received = self._files[chunk.file], self._partials[chunk.file].size_bytes
        if chunk.offset != received:
            raise InvalidArgumentError(
                f"chunk of {file.location!r} at offset {chunk.offset}, expected {received}: send a "
                "file's chunks in order and without gaps",
                field="chunk.offset",
            )
        if chunk.offset + len(chunk.data) > file.size_bytes:
            raise InvalidArgumentError(
                f"{file.location!r} is announced with {file.size_bytes} bytes, but more arrive; "
                "announce the file's true size",
                field="chunk.data",
            )

    def _cut(self) -> InvalidArgumentError:
        """Says which file is the first incomplete one."""
        file, received = self._files[self._complete], self._partials[self._complete].size_bytes
        return InvalidArgumentError(
            f"{file.location!r} is announced with {file.size_bytes} bytes, but only {received} "
            "have arrived; send the whole file before the next one and before the stream ends",
            field=f"header.files[{self._complete}].size_bytes",
        )

    def _check_digest(self, index: int) -> None:
        file, partial = self._files[index], self._partials[index]
        if partial.sha256 != file.sha256:
            raise DataLossError(
                f"{file.location!r} has SHA-256 {partial.sha256}, announced is {file.sha256}: the "
                "bytes were damaged on the way or the digest is of another file; send it again",
                field=f"header.files[{index}].sha256",
                metadata={"location": file.location, "sha256": partial.sha256},
            )


async def sent(paths: Sequence[Path]) -> AsyncGenerator[Chunk, None]:
    """Reads files piece by piece, off the event loop.

    Raises:
        NotFoundError: one of them was deleted meanwhile.
    """
    for index, path in enumerate(paths):
        offset = 0
        with _opened(path) as file:  # at once: a call that ends in between would leave it open
            while data := await asyncio.to_thread(file.read, MAX_CHUNK_BYTES):
                yield Chunk(index, offset, data)
                offset += len(data)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(
            "the model was deleted while its files were sent; upload it again", field="name"
        ) from error
