"""Sends the replies of a stream, but not to clients that have ceased to read."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from google.protobuf.message import Message

from heatproof.evaluators.errors import DeadlineExceededError, LimitExceededError
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.api.reply_size import MAX_REPLY_BYTES


def checked(reply: Message) -> Message:
    """A reply as it may be sent.

    Raises:
        LimitExceededError: it is larger than what clients accept.
    """
    if reply.ByteSize() > MAX_REPLY_BYTES:
        raise LimitExceededError(
            f"the reply takes {reply.ByteSize()} bytes, and clients accept {MAX_REPLY_BYTES}; ask "
            "for less at once"
        )
    return reply


async def deliver(replies: AsyncGenerator[Any, None], context: Context, seconds: float) -> None:
    """Writes replies until there are no more.

    Raises:
        DeadlineExceededError: the client leaves one unread for so many seconds.
    """
    async with aclosing(replies):
        async for reply in replies:
            try:
                async with asyncio.timeout(seconds):
                    await context.write(checked(reply))
            except TimeoutError as error:
                raise DeadlineExceededError(
                    f"no reply was read for {seconds:g} s; read the stream as it comes, or call "
                    "again"
                ) from error
