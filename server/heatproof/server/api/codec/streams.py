"""Streams of messages whose first one is a header."""

from collections.abc import AsyncIterator
from typing import TypeVar

from google.protobuf.message import Message

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.server.api.codec.fields.decoding import decode

H = TypeVar("H")
T = TypeVar("T")


async def read_header(messages: AsyncIterator[Message], kind: type[H]) -> H:
    """Reads the first message of a stream.

    Raises:
        InvalidArgumentError: it is no header.
    """
    message = await anext(aiter(messages), None)
    arm = message.WhichOneof("payload") if message is not None else None
    if message is None or arm != "header":
        raise InvalidArgumentError(
            f"the first message of the stream must be the header, not {arm or 'nothing'}",
            field="header",
        )
    with placed("header"):
        return decode(getattr(message, "header"), kind)  # noqa: B009  # messages have no common attribute


async def read_items(messages: AsyncIterator[Message], arm: str) -> AsyncIterator[Message]:
    """Reads the messages after the header.

    Raises:
        InvalidArgumentError: one of them holds something else than `arm`.
    """
    async for message in messages:
        if message.WhichOneof("payload") != arm:
            raise InvalidArgumentError(
                f"every message after the header must hold the field `{arm}`", field=arm
            )
        yield getattr(message, arm)
