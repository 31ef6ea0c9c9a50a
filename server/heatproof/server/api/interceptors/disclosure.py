"""What a caller is told of an error: never what only the server knows."""

import re
import secrets
from typing import Final

import structlog

from heatproof.evaluators.errors import HeatproofError, InternalError

_log = structlog.get_logger()

_OBJECT: Final = re.compile(r"<[^<>]*\bat 0x[0-9a-fA-F]+>|\b0x[0-9a-fA-F]{6,}\b")
"""How Python shows an object that has no name, and addresses of memory alone."""
_PATH: Final = re.compile(
    r"(?:/[^\s/'\"]+)*/(?:blobs|incoming|site-packages|dist-packages|proc|heatproof\.sqlite)"
    r"(?:/[^\s'\",;:)]*)?"
)
"""Files of the server: its data and its code. Tensors of models have names that look like paths."""


def disclosed(error: HeatproofError, place: str) -> HeatproofError:
    """The error as its caller may see it.

    An internal error without metadata was not written for callers: it goes to the log, and they
    get the id under which it stands there.

    Args:
        error: what happened.
        place: the method or the evaluation in which it happened, for the log.
    """
    if type(error) is InternalError and not error.metadata:
        return logged_error(error, place)
    return type(error)(
        cleaned(error.message),
        field=error.field,
        metadata={key: cleaned(value) for key, value in error.metadata.items()},
    )


def logged_error(error: BaseException, place: str) -> InternalError:
    """Logs a defect and says nothing but where to find it."""
    error_id = secrets.token_hex(8)
    _log.error("unexpected error", error_id=error_id, place=place, exc_info=error)
    return InternalError(
        f"the server failed; its log has the reason under error id {error_id}",
        metadata={"error_id": error_id},
    )


def cleaned(text: str) -> str:
    """A text without addresses of memory and without paths of the server."""
    return _PATH.sub("a file of the server", _OBJECT.sub("an object", text))
