"""Lists, page by page."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from heatproof.client.clients.effects import Flow, Rpc, Unary
from heatproof.client.clients.retries import patiently


def every(rpc: Rpc, request: Callable[[str], Message], field: str) -> Flow[list[Any]]:
    """Gets all pages of a list.

    Args:
        rpc: the list method.
        request: makes the request for the page of a token; the first token is empty.
        field: field of the reply that holds the page.
    """
    found: list[Any] = []
    token = ""
    while True:
        page = yield from patiently(Unary(rpc, request(token)))
        found.extend(getattr(page, field))
        token = page.next_page_token
        if not token:
            return found
