"""The files that tasks name, where a worker finds them and leaves its own."""

from pathlib import Path
from typing import Protocol

from heatproof.evaluators.errors import NotFoundError
from heatproof.server.answers.folders import AnswerPlace
from heatproof.server.storage.blobs import scratch_at, stored_at, uploaded_at
from heatproof.server.storage.integrity import read_sound
from heatproof.server.workers.inputs import Blob, Content


class FileAccess(Protocol):
    """Brings files to the machine of a worker, and back."""

    def path(self, blob: Blob) -> Path:
        """A file with the bytes of a blob; whoever reads it checks whether it is sound."""
        ...

    def scratch(self, name: str) -> Path:
        """The folder of a request, whose files reach the server."""
        ...

    def answers(self, place: AnswerPlace) -> Path:
        """The folder of answers that are known; perhaps there is none."""
        ...


class SharedFolder:
    """The files of a server that its workers see as it does.

    Args:
        data_dir: the data directory.
        answers_dir: folder of the answers that are kept.
    """

    def __init__(self, data_dir: Path, answers_dir: Path = Path()) -> None:
        self._data_dir = data_dir
        self._answers_dir = answers_dir

    def path(self, blob: Blob) -> Path:
        """Where a blob lies: stored, or still a part of its upload."""
        if blob.upload:
            return uploaded_at(self._data_dir, blob.upload)
        return stored_at(self._data_dir, blob.sha256)

    def scratch(self, name: str) -> Path:
        """A folder of the data directory."""
        return scratch_at(self._data_dir, name)

    def answers(self, place: AnswerPlace) -> Path:
        """A folder below that of the answers."""
        return place.within(self._answers_dir)


def read_content(content: Content, blobs: FileAccess) -> bytes:
    """The bytes of what a task names.

    Raises:
        DamagedFileError: a blob is missing or holds other bytes than were uploaded.
        NotFoundError: the upload that it belongs to is over.
    """
    if isinstance(content, bytes):
        return content
    try:
        return read_sound(blobs.path(content))
    except FileNotFoundError as error:
        raise NotFoundError(
            "the files of the data set are gone: it was deleted meanwhile; upload it again"
        ) from error
