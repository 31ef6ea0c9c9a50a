"""Pages of a list, newest first."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, select

from heatproof.evaluators.errors import InvalidArgumentError

T = TypeVar("T")

DEFAULT_SIZE: Final = 100
MAX_SIZE: Final = 1000

_TOKEN: Final = re.compile("before:([1-9][0-9]{0,17})")
"""Of what no database's 64 bits overflow."""
_SHOWN: Final = 100
"""Letters of a bad token that its refusal repeats."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page.

    Attributes:
        items: what is on it.
        next_token: token of the next page, "" at the end.
    """

    items: tuple[T, ...]
    next_token: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is asked for.

    Attributes:
        size: most items, in [1, 1000].
        before: items must be older than the one of this number; None for the first page.
    """

    size: int
    before: int | None

    @classmethod
    def parse(cls, page_size: int, page_token: str) -> "PageRequest":
        """Reads the fields of a List request.

        Raises:
            InvalidArgumentError: the size is out of range or the token is none of ours.
        """
        if not 0 <= page_size <= MAX_SIZE:
            raise InvalidArgumentError(
                f"page_size must lie in [0, {MAX_SIZE}], not {page_size}", field="page_size"
            )
        return cls(page_size or DEFAULT_SIZE, _number(page_token) if page_token else None)


def everything(_: object) -> bool:
    """Leaves the end of a page to its size."""
    return True


def fetch(
    connection: Connection,
    table: Table,
    request: PageRequest,
    read: Callable[[int], T | None],
    fits: Callable[[T], bool],
    *within: ColumnElement[bool],
) -> Page[T]:
    """Reads a page of a table that has an ascending column `number`, one item after the other.

    Args:
        connection: to the database.
        table: what is listed.
        request: which page.
        read: gives the item of a number; None if it has been deleted meanwhile.
        fits: whether an item has room on the page; called once for each, in their order. The page
            ends before the first that has none.
        *within: which rows of the table are listed; all if there are none.
    """
    kept: list[T] = []
    numbers = _numbers(connection, table, request, *within)
    for count, number in enumerate(numbers):
        item = read(number) if count < request.size else None
        if count == request.size or (item is not None and not fits(item)):
            return Page(tuple(kept), _token(numbers[count - 1]))
        if item is not None:
            kept.append(item)
    return Page(tuple(kept), "")


def _numbers(
    connection: Connection, table: Table, request: PageRequest, *within: ColumnElement[bool]
) -> Sequence[int]:
    """Numbers of the items that may be on the page, and of one more."""
    order = table.c.number.desc()
    query = select(table.c.number).where(*within).order_by(order).limit(request.size + 1)
    if request.before is not None:
        query = query.where(table.c.number < request.before)
    return connection.scalars(query).all()


def _token(number: int) -> str:
    return base64.urlsafe_b64encode(f"before:{number}".encode()).decode().rstrip("=")


def _number(token: str) -> int:
    padded = token + "=" * (-len(token) % 4)
    with suppress(ValueError, binascii.Error):
        match = _TOKEN.fullmatch(base64.urlsafe_b64decode(padded).decode("ascii"))
        if match is not None:
            return int(match[1])
    raise InvalidArgumentError(
        f"page_token {token[:_SHOWN]!r} is none of this server's; pass the next_page_token of the "
        "page before, or nothing for the first page",
        field="page_token",
    )
