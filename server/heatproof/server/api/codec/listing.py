"""The messages of a list, as many as a reply holds."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from heatproof.server.settings import MAX_REPLY_BYTES

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_ENVELOPE_BYTES: Final = 1024
"""The token of the next page."""
_FRAME_BYTES: Final = 8
"""Tag and length of a message inside another."""


class Listing(Generic[T, M]):
    """Takes messages up to the size of a reply.

    Attributes:
        messages: those it has taken.
    """

    def __init__(self, encode: Callable[[T], M]) -> None:
        self.messages: list[M] = []
        self._encode = encode
        self._room = MAX_REPLY_BYTES - _ENVELOPE_BYTES

    def takes(self, item: T) -> bool:
        """Takes the message of an item if it has room; always the first, so that lists go on."""
        message = self._encode(item)
        size = message.ByteSize() + _FRAME_BYTES
        if self.messages and size > self._room:
            return False
        self._room -= size
        self.messages.append(message)
        return True
