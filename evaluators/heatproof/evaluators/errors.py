"""The one error tree of the service.

* HeatproofError
  x InvalidArgumentError
    + InvalidModelError
    + InvalidImageError
    + UnknownNameError
  x FailedPreconditionError
    + UnsupportedOperatorError
    + UnsupportedModelError
    + ResourceInUseError
  x NotFoundError
  x ConflictError
  x ResourceExhaustedError
    + LimitExceededError
    + OverloadedError
    + StorageFullError
  x DataLossError
    + DamagedFileError
  x DeadlineExceededError
  x CancelledError
  x InternalError
    + WorkerCrashedError
    + StorageFailedError

A message names the thing, the fault and the way out. The server maps the tree to gRPC in one
place, `heatproof.server.api.interceptors`; nothing else knows status codes.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import ClassVar, Final

_MAX_LISTED: Final = 20
"""Names that a message lists; a model may have thousands of tensors."""


class Code(StrEnum):
    """Canonical status codes, named as in gRPC."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    NOT_FOUND = "NOT_FOUND"
    ABORTED = "ABORTED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    DATA_LOSS = "DATA_LOSS"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"


class HeatproofError(Exception):
    """Root of every error that Heatproof raises on purpose.

    Attributes:
        code: status code of the reply.
        reason: UPPER_SNAKE identifier that clients may branch on.
        message: what is wrong with what, and the way out.
        field: path of the request field at fault, such as `metrics[2].deletion.steps`, or "".
        metadata: the dynamic parts of the message, for machines.
    """

    code: ClassVar[Code] = Code.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self, message: str, *, field: str = "", metadata: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.metadata = metadata or {}

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries; keyword-only arguments need the state form.
        state = {"field": self.field, "metadata": self.metadata}
        return type(self), (self.message,), state


class InvalidArgumentError(HeatproofError):
    """A request is wrong whatever the state of the server."""

    code = Code.INVALID_ARGUMENT
    reason = "INVALID_ARGUMENT"


class InvalidModelError(InvalidArgumentError):
    """Bytes are not a usable ONNX model."""

    reason = "INVALID_MODEL"


class InvalidImageError(InvalidArgumentError):
    """Bytes are not a usable image."""

    reason = "INVALID_IMAGE"


class UnknownNameError(InvalidArgumentError):
    """A name is not known; the message offers the nearest ones."""

    reason = "UNKNOWN_NAME"

    @classmethod
    def among(
        cls, kind: str, name: str, known: Iterable[str], *, field: str = ""
    ) -> "UnknownNameError":
        """Says that `name` is no `kind` and offers the nearest of the known names."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else _listed(names)
        told = f"unknown {kind} {name!r}; {hint}"
        return cls(told, field=field, metadata={"name": name, "kind": kind})


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MAX_LISTED
    return f"known: {', '.join(names[:_MAX_LISTED])}{f' and {more} more' if more > 0 else ''}"


class FailedPreconditionError(HeatproofError):
    """A sound request that this model or this state of the server cannot serve."""

    code = Code.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"


class UnsupportedOperatorError(FailedPreconditionError):
    """An operator of the model has no sound rule."""

    reason = "UNSUPPORTED_OPERATOR"


class UnsupportedModelError(FailedPreconditionError):
    """A valid model lacks what the request needs, such as a class output."""

    reason = "UNSUPPORTED_MODEL"


class ResourceInUseError(FailedPreconditionError):
    """An unfinished evaluation uses the resource."""

    reason = "RESOURCE_IN_USE"


class NotFoundError(HeatproofError):
    """A resource does not exist."""

    code = Code.NOT_FOUND
    reason = "NOT_FOUND"


class ConflictError(HeatproofError):
    """A request collides with another one, such as a reused `request_id`."""

    code = Code.ABORTED
    reason = "CONFLICT"


class ResourceExhaustedError(HeatproofError):
    """A quota, a size limit or a queue is full."""

    code = Code.RESOURCE_EXHAUSTED
    reason = "RESOURCE_EXHAUSTED"


class LimitExceededError(ResourceExhaustedError):
    """A size is over a limit of this server."""

    reason = "LIMIT_EXCEEDED"


class OverloadedError(ResourceExhaustedError):
    """The server is full now; retry later.

    `metadata["retry_delay_seconds"]` says when.
    """

    reason = "OVERLOADED"


class StorageFullError(ResourceExhaustedError):
    """The disk or the database of the server has no room for what is to be written."""

    reason = "STORAGE_FULL"


class DataLossError(HeatproofError):
    """Bytes arrived damaged: their digest differs from the announced one."""

    code = Code.DATA_LOSS
    reason = "DIGEST_MISMATCH"


class DamagedFileError(DataLossError):
    """A stored file is missing, or holds other bytes than were uploaded.

    `metadata["sha256"]` names it.
    """

    reason = "DAMAGED_FILE"


class DeadlineExceededError(HeatproofError):
    """Work took longer than its deadline."""

    code = Code.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class CancelledError(HeatproofError):
    """The caller cancelled the work."""

    code = Code.CANCELLED
    reason = "CANCELLED"


class InternalError(HeatproofError):
    """Heatproof is at fault."""


class WorkerCrashedError(InternalError):
    """A worker process died twice on the same piece of work."""

    reason = "WORKER_CRASHED"


class UnknownAnswerError(InternalError):
    """An answer of a model that is not to be asked is not known; `metadata["model"]` names it.

    It tells the server to have the model asked elsewhere first, and reaches no client.
    """

    reason = "UNKNOWN_ANSWER"


class StorageFailedError(InternalError):
    """The disk or the database of the server cannot be read or written."""

    reason = "STORAGE_FAILED"


@contextmanager
def placed(path: str) -> Iterator[None]:
    """Puts errors at a field of the request, or below it if they name a field themselves."""
    try:
        yield
    except HeatproofError as error:
        field = f"{path}.{error.field}" if error.field else path
        raise type(error)(error.message, field=field, metadata=error.metadata) from error


@contextmanager
def told_of(model: str, *, among: int) -> Iterator[None]:
    """Lets errors say which of several models they are of."""
    try:
        yield
    except HeatproofError as error:
        if among == 1 or model in error.message:
            raise
        told = f"{model}: {error.message}"
        raise type(error)(told, field=error.field, metadata=error.metadata) from error
