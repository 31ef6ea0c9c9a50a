"""On which lines of a TOML file its values stand.

Parsers of TOML keep no lines, so each statement is found as the least run of lines that `tomllib`
reads by itself: strings, comments and arrays over several lines are its business, not ours.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

_CLOSERS: Final = ("]", "}", '"""', "'''")
"""The last line of a statement of several lines holds one of them."""

_SEPARATORS: Final = re.compile(r"[\[,]")
"""An item of an array begins behind one of them."""

_BLANK: Final = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
"""What may stand before an item, comments included."""

_Keys: TypeAlias = tuple[str, ...]


class _Statement(NamedTuple):
    """A header, or a key with its value.

    Attributes:
        lines: its lines.
        start: number of the first one, from 1.
        table: what it says by itself.
    """

    lines: Sequence[str]
    start: int
    table: dict[str, Any]

    @property
    def is_header(self) -> bool:
        return self.lines[0].lstrip(" \t").startswith("[")


@dataclass(slots=True)
class _Places:
    """What has been read of a file, top down.

    Attributes:
        lines: the line of each value, by its path.
        header: path of the table that keys belong to.
        lengths: how many tables each array of tables has so far.
    """

    lines: dict[str, int] = field(default_factory=dict)
    header: str = ""
    lengths: dict[str, int] = field(default_factory=dict)

    def read(self, statement: _Statement) -> None:
        if statement.is_header:
            self._enter(statement)
        else:
            self._note(self.header, statement.table, statement.start, statement)

    def _enter(self, statement: _Statement) -> None:
        keys, is_array = _header(statement.table)
        path = ""
        for depth, key in enumerate(keys, 1):
            path = _joined(path, key)
            self.lines.setdefault(path, statement.start)
            if is_array and depth == len(keys):
                self.lengths[path] = self.lengths.get(path, 0) + 1
            if path in self.lengths:
                path = f"{path}[{self.lengths[path] - 1}]"
                self.lines.setdefault(path, statement.start)
        self.header = path

    def _note(
        self, path: str, value: object, line: int, statement: _Statement | None = None
    ) -> None:
        """Notes a value and what is in it; of a statement's own array, where its items begin."""
        if path:
            self.lines.setdefault(path, line)
        if isinstance(value, Mapping):
            for key, held in value.items():
                self._note(_joined(path, key), held, line, statement)
        elif isinstance(value, list):
            holds_tables = any(isinstance(item, Mapping) for item in value)
            starts = _item_lines(statement, len(value)) if statement and holds_tables else []
            for index, item in enumerate(value):
                self._note(f"{path}[{index}]", item, starts[index] if starts else line)


def toml_lines(text: str) -> dict[str, int]:
    """The lines of a TOML file's values, from 1, by paths such as `checks[2].metric`.

    A table starts at its header, and so does each table of an array. Of a text that is no TOML it
    has what stands above the fault.
    """
    places = _Places()
    for statement in _statements(text.replace("\r\n", "\n").split("\n")):
        places.read(statement)
    return places.lines


def line_of(lines: Mapping[str, int], path: str) -> int | None:
    """The line of a path, or of the innermost table around it that is there; None without one."""
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines.get(path)


def _statements(lines: Sequence[str]) -> Iterator[_Statement]:
    start = 0
    for end, line in enumerate(lines, 1):
        is_first = end == start + 1
        if not is_first and not any(closer in line for closer in _CLOSERS):
            continue
        table = _read("\n".join(lines[start:end]))
        if table is None:
            continue
        if table:
            yield _Statement(lines[start:end], start + 1, table)
        start = end


def _item_lines(statement: _Statement, count: int) -> list[int]:
    """The lines on which the items of the statement's array begin.

    Closed by force behind a comma, the array tells how many items have ended; behind its own
    bracket it has none. Commas of strings, comments and inner values leave nothing that is TOML.
    """
    text = "\n".join(statement.lines)
    begins: dict[int, int] = {}
    for cut in _SEPARATORS.finditer(text):
        table = _read(text[: cut.end()] + "]")
        if table is not None:
            begins.setdefault(len(_only_array(table)), cut.end())
    # An array inside an inline table is never closed so: its items are where the table is.
    lines = [_content_line(text, begin) for begin in begins.values()]
    return [statement.start + line for line in lines[:count]] or [statement.start] * count


def _content_line(text: str, begin: int) -> int:
    """The line, from 0, of the first content from a place on."""
    content = _BLANK.sub("", text[begin:], count=1)
    return text.count("\n", 0, len(text) - len(content))


def _only_array(table: dict[str, Any]) -> list[Any]:
    value: Any = table
    while isinstance(value, Mapping):
        (value,) = value.values()
    return list(value)


def _header(table: dict[str, Any]) -> tuple[_Keys, bool]:
    """The keys of a header, and whether it begins another table of an array."""
    keys: list[str] = []
    value: Any = table
    while isinstance(value, Mapping) and value:
        ((key, value),) = value.items()
        keys.append(key)
    return tuple(keys), isinstance(value, list)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
