"""Planted faults, read from the tables beside this file."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault and the test that must notice it.

    Attributes:
        table: name of the file that it stands in.
        file: the source, from the root of the tree.
        find: text that stands once in it.
        replace: the fault in its place.
        caught_by: the test's id: file, `::` and name, with or without its parameters.
    """

    table: str
    file: str
    find: str
    replace: str
    caught_by: str

    def __str__(self) -> str:
        return f"{self.table}: {Path(self.file).name}: {' '.join(self.find.split())}"

    def planted(self, text: str) -> str:
        """The source with the fault in it.

        Raises:
            ValueError: the text to replace stands there never or several times, or would stay.
        """
        times = text.count(self.find)
        if times != 1:
            message = f"{self}: stands {times} times in {self.file}; say one line more of it"
            raise ValueError(message)
        if self.find == self.replace:
            message = f"{self}: the replacement is the same text"
            raise ValueError(message)
        return text.replace(self.find, self.replace)


def mutants(tables: Path = TABLES) -> tuple[Mutant, ...]:
    """All of them, in the order of the tables' names."""
    return tuple(
        Mutant(table.stem, **entry)
        for table in sorted(tables.glob("*.toml"))
        for entry in tomllib.loads(table.read_text(encoding="utf-8"))["mutant"]
    )


def names_of_tests(file: Path) -> Iterator[str]:
    """Names of the tests of a file, without importing it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test"
        ):
            yield node.name
