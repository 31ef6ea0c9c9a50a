"""Which models run, exported in which ways, and in what order."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from tests.graphs.zoo.exporting import QUICK, Export, usual, whole
from tests.graphs.zoo.families import FAMILIES, Family, Model

_TURNS = {str(model): turn for turn, model in enumerate(m for f in FAMILIES for m in f.models)}
"""A model's place in the table decides on its exports, whichever part of the table runs."""


@dataclass(frozen=True, slots=True)
class Task:
    """One model and the ways to export it.

    Attributes:
        model: the model.
        mixes: of its family.
        exports: one or more.
    """

    model: Model
    mixes: str
    exports: tuple[Export, ...]


def planned(
    families: Sequence[Family], done: Container[tuple[str, str]], *, quick: bool
) -> list[Task]:
    """What is not done yet, the first models of all families first.

    A quick plan holds one export of one model of each family.
    """
    depth = 1 if quick else max(len(family.models) for family in families)
    tasks = [
        Task(family.models[rank], family.mixes, _exports(family, rank, quick=quick))
        for rank in range(depth)
        for family in families
        if rank < len(family.models)
    ]
    left = [replace(task, exports=_left(task, done)) for task in tasks]
    return [task for task in left if task.exports]


def _left(task: Task, done: Container[tuple[str, str]]) -> tuple[Export, ...]:
    return tuple(one for one in task.exports if _key(task.model, one) not in done)


def expected(family: Family) -> list[tuple[str, str]]:
    """The keys of all records that a family's row is made of."""
    return [
        _key(model, export)
        for rank, model in enumerate(family.models)
        for export in _exports(family, rank, quick=False)
    ]


def _exports(family: Family, rank: int, *, quick: bool) -> tuple[Export, ...]:
    if quick:
        return QUICK
    if family.whole and rank == 0:
        return whole()
    return usual(_TURNS[str(family.models[rank])])


def _key(model: Model, export: Export) -> tuple[str, str]:
    return str(model), str(export)
