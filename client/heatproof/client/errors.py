"""The error tree of the client, and its warning.

* HeatproofError
  x UsageError
    + PolicyError
    + AddressError
  x MissingExtraError
    + ServerNotInstalledError
  x ServerStartError
  x EvaluationFailedError
  x EvaluationCancelledError
  x ForgeError
  x UnjudgedError (in `heatproof.client.documents.results`)
  x ServiceError
    + InvalidArgumentError
    + FailedPreconditionError
    + NotFoundError
    + ConflictError
    + ResourceExhaustedError
    + UnavailableError
      - ConnectionLostError
    + DeadlineExceededError
    + DataLossError
    + PermissionDeniedError
    + InternalError

`EvaluationInterrupted` is a `KeyboardInterrupt` and no error.

`heatproof.client.clients.connections.statuses` makes a `ServiceError` out of a gRPC status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


class HeatproofError(Exception):
    """Root of every error that the client raises on purpose."""


class UsageError(HeatproofError, ValueError):
    """An argument, a file or an address is wrong; nothing was sent."""


class AddressError(UsageError):
    """What should be the address of a server is none."""


class PolicyError(UsageError):
    """A policy or preprocessing file does not fit its message.

    Attributes:
        path: where in the file, such as `checks[2].metric.deletion.steps`.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class MissingExtraError(HeatproofError, ImportError):
    """A feature needs packages of an extra that is not installed."""


class ServerNotInstalledError(MissingExtraError):
    """No server was named, and the packages of the local one are missing."""

    def __init__(self, missing: str = "") -> None:
        detail = f" (module {missing!r} is missing)" if missing else ""
        super().__init__(
            "no --server given, and the local server is not installed: "
            f"pip install 'heatproof[server]'{detail}"
        )


class ServerStartError(HeatproofError):
    """The local server did not come up, or died."""


class EvaluationFailedError(HeatproofError):
    """The server accepted an evaluation and could not finish it.

    Attributes:
        evaluation: name of the evaluation.
        reason: UPPER_SNAKE reason, such as `WORKER_CRASHED`.
    """

    def __init__(self, message: str, *, evaluation: str, reason: str) -> None:
        super().__init__(message)
        self.evaluation = evaluation
        self.reason = reason


class EvaluationCancelledError(HeatproofError):
    """Somebody cancelled the evaluation while this client waited for it."""


class ForgeError(HeatproofError):
    """A forge, such as GitHub, refused a request or could not be reached.

    Attributes:
        status: the HTTP status of its answer; None without one.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class EvaluationInterrupted(KeyboardInterrupt):  # as the class above it
    """Somebody pressed Ctrl-C while an evaluation was waited for; it is cancelled.

    Attributes:
        evaluation: its name.
    """

    def __init__(self, evaluation: str) -> None:
        super().__init__(
            f"{evaluation} is cancelled; client.evaluation({evaluation!r}).result(partial=True) "
            "has the results of its finished images"
        )
        self.evaluation = evaluation


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """Names a field of a request and its fault.

    Attributes:
        field: path, such as `metrics[2].deletion.steps`.
        description: what is wrong with it.
    """

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class Status:
    """What a server says of a call that failed.

    Attributes:
        code: canonical name of the gRPC code, such as `NOT_FOUND`.
        message: the fault in words.
        reason: UPPER_SNAKE identifier to branch on; empty if the server gave none.
        violations: fields at fault.
        metadata: the dynamic parts of the message.
        retry_delay: seconds after which the server wants to be asked again.
        is_slow: whether the fault was found by waiting, as asking again would be.
    """

    code: str
    message: str
    reason: str = ""
    violations: tuple[FieldViolation, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_delay: float | None = None
    is_slow: bool = False


class ServiceError(HeatproofError):
    """The server refused a call or could not be reached.

    Attributes:
        status: everything the server said.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(_sentence(status))
        self.status = status

    @property
    def reason(self) -> str:
        """UPPER_SNAKE identifier to branch on."""
        return self.status.reason

    @property
    def violations(self) -> tuple[FieldViolation, ...]:
        """The fields at fault."""
        return self.status.violations

    @property
    def metadata(self) -> Mapping[str, str]:
        """The dynamic parts of the message."""
        return self.status.metadata


def _sentence(status: Status) -> str:
    """The message, with those fields at fault that it does not name itself."""
    named = (violation for violation in status.violations if violation.field)
    missing = [violation.field for violation in named if violation.field not in status.message]
    text = status.message or status.code.lower().replace("_", " ")
    return f"{', '.join(missing)}: {text}" if missing else text


class InvalidArgumentError(ServiceError):
    """A request is wrong whatever the state of the server."""


class FailedPreconditionError(ServiceError):
    """A sound request that this model or this state of the server cannot serve."""


class NotFoundError(ServiceError):
    """A resource does not exist."""


class ConflictError(ServiceError):
    """A request collides with another one."""


class ResourceExhaustedError(ServiceError):
    """A quota, a size limit or a queue is full."""


class UnavailableError(ServiceError):
    """The server cannot be reached."""


class ConnectionLostError(UnavailableError):
    """The server was lost while an evaluation ran, which goes on there.

    Attributes:
        evaluation: its name.
    """

    def __init__(self, status: Status, *, evaluation: str) -> None:
        super().__init__(status)
        self.evaluation = evaluation
        self.add_note(
            f"{evaluation} is kept by the server and goes on with it; once it answers again, "
            f"client.evaluation({evaluation!r}).result() waits for the results"
        )


class DeadlineExceededError(ServiceError):
    """The call took longer than its deadline."""


class DataLossError(ServiceError):
    """Bytes arrived damaged."""


class PermissionDeniedError(ServiceError):
    """The server knows the caller too little, or lets it do too little."""


class InternalError(ServiceError):
    """The server is at fault, or speaks another version of the contract."""


class PartialAnnotationsWarning(UserWarning):
    """Only some images have what others have, or nothing reads what was sent."""
