"""Workflow commands as the runner of GitHub Actions reads them out of a log.

After ActionCommand.TryParseV2 of actions/runner: a line `::name key=value,key=value::data`, whose
values may hold neither a colon nor a comma, nor anything a line break, but as escapes.
"""

from typing import NamedTuple

_STOP = "::stop-commands::"
_DATA = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_PROPERTY = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))


class Shown(NamedTuple):
    """An annotation as GitHub shows it."""

    level: str
    properties: dict[str, str]
    message: str

    @property
    def place(self) -> tuple[str, int]:
        """File and line."""
        return self.properties.get("file", ""), int(self.properties.get("line", 0))


def commands(log: str) -> list[Shown]:
    """The annotations of a log, of which a command may stop the reading."""
    lines = (line.lstrip() for line in log.split("\n"))
    found, token = [], ""
    for line in lines:
        if token:
            token = "" if line.rstrip() == f"::{token}::" else token
        elif line.startswith(_STOP):
            token = line.removeprefix(_STOP).rstrip()
        elif line.startswith("::"):
            found.append(_read(line))
    assert not token, "commands are stopped and never go on"
    return found


def _read(line: str) -> Shown:
    end = line.index("::", 2)
    name, _, rest = line[2:end].partition(" ")
    pairs = (part.strip().partition("=") for part in rest.split(",") if part.strip())
    held = {key: _unescaped(value, _PROPERTY) for key, is_pair, value in pairs if is_pair and value}
    return Shown(name, held, _unescaped(line[end + 2 :], _DATA))


def _unescaped(text: str, escapes: tuple[tuple[str, str], ...]) -> str:
    for escaped, plain in escapes:
        text = text.replace(escaped, plain)
    return text
