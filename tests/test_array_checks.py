"""The checks of arrays look at what the evaluators declare, and at nothing else."""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from jaxtyping import TypeCheckError

import heatproof.evaluators
from tests.array_checks import install

PACKAGE = "package_of_arrays"
SOURCE = """
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Row = Float64[np.ndarray, "columns"]


def plain(number: int) -> int:
    return number


def total(first: Row, second: Row | None = None) -> float:
    return float(first.sum())


def closure():
    def inner(row: Row) -> Row:
        return row

    return inner


TABLE = {"total": total}


@dataclass(frozen=True, slots=True)
class Held:
    row: Row
    times: int = 1

    @property
    def twice(self) -> Row:
        return self.row.astype(np.float32) if self.times == 0 else self.row

    @classmethod
    def of(cls, row: Row) -> "Held":
        return cls(row)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package whose arrays are checked."""
    (tmp_path / f"{PACKAGE}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    install(PACKAGE)
    yield importlib.import_module(PACKAGE)
    del sys.modules[PACKAGE]


def test_arrays_are_held_to_their_extents_and_types(package: Any) -> None:
    row, other = np.ones(3), np.ones(4)
    assert package.total(row, np.zeros(3)) == 3
    assert package.Held.of(row).twice is row
    for refused in (
        lambda: package.total(row, other),
        lambda: package.TABLE["total"](row[None]),
        lambda: package.total(row.astype(np.float32)),
        lambda: package.Held(row.astype(np.int64)),
        lambda: package.Held.of(row[None]),
        lambda: package.Held(row, 0).twice,
    ):
        with pytest.raises(TypeCheckError):
            refused()


def test_what_names_no_array_is_left_as_it_is(package: Any) -> None:
    assert package.plain("text") == "text"
    assert not hasattr(package.plain, "__wrapped__")
    assert package.closure()("no row") == "no row"


def test_a_package_that_is_there_already_is_refused() -> None:
    with pytest.raises(RuntimeError, match="imported already"):
        install("heatproof.evaluators")


def modules() -> Iterator[ModuleType]:
    root = heatproof.evaluators
    for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
        yield importlib.import_module(found.name)


def test_every_function_of_the_evaluators_that_names_an_array_is_checked() -> None:
    functions = {
        one
        for module in modules()
        for one in vars(module).values()
        if inspect.isfunction(one) and one.__module__.startswith("heatproof.evaluators")
    }
    naming = {one for one in functions if "jaxtyping" in str(inspect.signature(one))}
    assert len(naming) > 100
    assert {one.__qualname__ for one in naming if not hasattr(one, "__wrapped__")} == set()
