"""What a benchmark tells: a section of docs/performance.md, and which sections there are."""

import importlib
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one measurement.

    Attributes:
        columns: names of the columns.
        rows: cells, as many as columns; whatever has a text.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    def __post_init__(self) -> None:
        """Refuses rows of another length."""
        for row in self.rows:
            if len(row) != len(self.columns):
                message = f"{row} has {len(row)} cells for the columns {self.columns}"
                raise ValueError(message)

    def __str__(self) -> str:
        lines = [self.columns, ("---",) * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark found.

    Attributes:
        title: heading on the page.
        method: what was measured and how, true whatever the numbers are.
        parts: tables and sentences with numbers, in order.
        versions: of the packages that the numbers depend on, beside those of every section.
    """

    title: str
    method: str
    parts: tuple[Table | str, ...]
    versions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n\n".join((self.method, *map(str, self.parts)))


class Measurement(Protocol):
    """Measures a section; `quick`: at its smallest size, to see that it runs."""

    def __call__(self, *, quick: bool) -> Section:
        """Takes the time that the table of sources grants."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where a section comes from.

    Attributes:
        key: its name on the command line and on the page.
        module: has `section`, a `Measurement`.
        seconds: after which it is given up.
        needs_peers: whether it runs in the environment of the other libraries.
    """

    key: str
    module: str
    seconds: int = 240
    needs_peers: bool = False

    def measurement(self) -> Measurement:
        """What measures it."""
        found: Measurement = importlib.import_module(self.module).section
        return found


SOURCES: Final = (
    Source("limits", "benchmarks.passes.limits", seconds=700),
    Source("masking", "benchmarks.passes.masking", seconds=330),
    Source("peers", "benchmarks.peers.section", seconds=900, needs_peers=True),
    Source("start", "benchmarks.service.start"),
    Source("growth", "benchmarks.service.growth"),
    Source("memory", "benchmarks.service.columns"),
    Source("profile", "benchmarks.service.profile"),
)
"""In the order of the page."""


def source(key: str) -> Source:
    """The section of this name."""
    return next(one for one in SOURCES if one.key == key)
