"""Sends the replies of a stream, but not to clients that have ceased to read."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from heatproof.evaluators.errors import DeadlineExceededError
from heatproof.server.interceptors.guard import Context


async def deliver(replies: AsyncGenerator[Any, None], context: Context, seconds: float) -> None:
    """Writes replies until there are no more.

    Raises:
        DeadlineExceededError: the client leaves one unread for so many seconds.
    """
    async with aclosing(replies):
        async for reply in replies:
            try:
                async with asyncio.timeout(seconds):
                    await context.write(reply)
            except TimeoutError as error:
                raise DeadlineExceededError(
                    f"no reply was read for {seconds:g} s; read the stream as it comes, or call "
                    "again"
                ) from error
