"""The tables of planted faults fit the tree; `make mutants` plants them."""

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.registry.registry import Registry
from heatproof.evaluators.removal import REMOVALS
from tests.mutants.entries import ROOT, Mutant, mutants, names_of_tests
from tests.mutants.running import Copy, Verdict, judged

ALL = mutants()


@pytest.mark.parametrize("mutant", ALL, ids=str)
def test_a_fault_stands_once_in_its_file_and_its_test_exists(mutant: Mutant) -> None:
    assert mutant.planted((ROOT / mutant.file).read_text(encoding="utf-8"))
    file, _, name = mutant.caught_by.partition("::")
    assert name.partition("[")[0] in set(names_of_tests(ROOT / file))


SEAMS = {"metric.py", "explainer.py", "operator.py", "registry.py"}
"""What every class of a registry is made of."""


@pytest.mark.parametrize("registry", [METRICS, EXPLAINERS, REMOVALS], ids=lambda held: held.kind)
def test_every_metric_explainer_and_operator_has_a_fault_of_its_own_or_of_its_engine(
    registry: Registry[Any],
) -> None:
    faulty = {ROOT / mutant.file for mutant in ALL}
    for name in registry:
        sources = {
            Path(inspect.getfile(kind))
            for kind in registry[name].__mro__
            if kind.__module__.startswith("heatproof")
        }
        assert faulty & {source for source in sources if source.name not in SEAMS}, name


def test_no_fault_is_planted_twice() -> None:
    assert len(set(ALL)) == len(ALL)


@pytest.mark.parametrize("find", ["absent", "x"])
def test_a_text_that_does_not_stand_once_is_refused(find: str) -> None:
    mutant = Mutant("table", "file.py", find, "y", "tests/test_file.py::test_it")
    with pytest.raises(ValueError, match="times in"):
        mutant.planted("x = x")


class Recorded(Copy):
    """A tree of one file, whose test sees whether the file says `sound`."""

    def __init__(self, home: Path) -> None:
        self.home, self._now = home, 0
        (home / "file.py").write_text("sound")

    def run(self, tests: object) -> int:  # noqa: ARG002  # whatever is named
        text = (self.home / "file.py").read_text()
        return {"sound": 0, "not importable": 2}.get(text, 1 if "fault" in text else 0)


def test_no_two_versions_of_a_source_have_one_time(tmp_path: Path) -> None:
    """Bytecode of another version of the same length would be run in place of it."""
    copy, source = Recorded(tmp_path), tmp_path / "file.py"
    times = [int(source.stat().st_mtime)]
    for fault in ("fault", "wrong"):
        with copy.planted(
            Mutant("table", "file.py", "sound", fault, "tests/test_file.py::test_it")
        ):
            times.append(int(source.stat().st_mtime))
        times.append(int(source.stat().st_mtime))
    assert times == sorted(set(times))


def test_only_a_test_that_fails_with_the_fault_alone_catches_it(tmp_path: Path) -> None:
    fault = Mutant("table", "file.py", "sound", "fault", "tests/test_file.py::test_it")
    harmless, unrun = replace(fault, replace="other"), replace(fault, replace="not importable")
    copy = Recorded(tmp_path)
    verdicts = dict(judged(copy, [fault, harmless, unrun]))
    assert verdicts == {
        fault: Verdict.CAUGHT,
        harmless: Verdict.MISSED,
        unrun: Verdict.UNRUN,
    }
    (tmp_path / "file.py").write_text("a fault beside what is sound")
    broken = replace(fault, find="beside")
    assert dict(judged(copy, [broken])) == {broken: Verdict.BROKEN}
