"""The table hides no family, and a model counts only if all of its files hold."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.graphs.zoo.checks import Finding, Verdict
from tests.graphs.zoo.exporting import OPSETS, Exporter
from tests.graphs.zoo.families import FAMILIES, Family
from tests.graphs.zoo.journal import Journal, Record
from tests.graphs.zoo.planning import expected, planned
from tests.graphs.zoo.table import coverage_table

HOLDS = Finding(Verdict.HOLDS, 2e-7)
CONVOLUTIONAL = next(one for one in FAMILIES if len(one.models) > 1 and not one.mixes)
MIXING = next(one for one in FAMILIES if one.mixes)

Found = dict[tuple[str, str], Record]


def well(family: Family) -> Found:
    masking = Finding(Verdict.DUE, reason="Softmax-13 (n): attention") if family.mixes else HOLDS
    return {
        key: Record(*key, half=False, opset=17, masking=masking, gradients=HOLDS)
        for key in expected(family)
    }


def row(family: Family, found: Found) -> list[str]:
    (line,) = (
        line
        for line in coverage_table(found).splitlines()
        if line.startswith(f"| {family.title} |")
    )
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_every_family_has_a_row_even_if_it_has_not_run() -> None:
    for family in FAMILIES:
        assert row(family, {})[1:6:2] == ["0", "-", "-"]
        assert f"{len(expected(family))} files not run" in row(family, {})[-1]


def test_a_family_that_holds_has_no_reasons() -> None:
    cells = row(CONVOLUTIONAL, well(CONVOLUTIONAL))
    models = str(len(CONVOLUTIONAL.models))
    files = str(len(expected(CONVOLUTIONAL)))
    assert cells[1:] == [models, files, "100 %", "2e-07", "100 %", "2e-07", ""]


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.BROKEN])
def test_one_failing_file_fails_its_model(verdict: Verdict) -> None:
    found = well(CONVOLUTIONAL)
    key = expected(CONVOLUTIONAL)[0]
    found[key] = replace(found[key], masking=Finding(verdict, reason="Pad-13 (node): no | rule"))
    cells = row(CONVOLUTIONAL, found)
    models = len(CONVOLUTIONAL.models)
    assert cells[3] == f"{100 * (models - 1) / models:.0f} %"
    assert cells[5] == "100 %"
    assert "masking: Pad-13: no" in cells[-2]  # the escaped bar splits the cell
    assert key[1] in cells[-1]


def test_a_due_refusal_is_no_failure_but_working_masking_would_be() -> None:
    found = well(MIXING)
    assert row(MIXING, found)[3] == "refused"
    assert "attention" in row(MIXING, found)[-1]
    key = expected(MIXING)[0]
    found[key] = replace(found[key], masking=Finding(Verdict.BROKEN, reason="is not refused"))
    assert row(MIXING, found)[3] == "0 %"


def test_a_file_that_torch_does_not_write_is_named() -> None:
    found = well(CONVOLUTIONAL)
    key = expected(CONVOLUTIONAL)[0]
    found[key] = replace(found[key], unwritten="no such opset")
    assert "torch writes no file that loads: no such opset" in row(CONVOLUTIONAL, found)[-1]
    assert row(CONVOLUTIONAL, found)[2] == str(len(expected(CONVOLUTIONAL)) - 1)


def test_the_plan_holds_every_file_of_the_table_once() -> None:
    tasks = planned(FAMILIES, (), quick=False)
    keys = [(str(task.model), str(export)) for task in tasks for export in task.exports]
    assert sorted(keys) == sorted(key for family in FAMILIES for key in expected(family))
    assert len(set(keys)) == len(keys)


def test_what_is_done_is_not_planned_again() -> None:
    done = well(CONVOLUTIONAL)
    left = {str(task.model) for task in planned([CONVOLUTIONAL, MIXING], done, quick=False)}
    assert left == set(map(str, MIXING.models))


def test_a_quick_plan_holds_one_file_of_each_family() -> None:
    tasks = planned(FAMILIES, (), quick=True)
    assert [len(task.exports) for task in tasks] == [1] * len(FAMILIES)


def test_some_families_are_exported_in_every_way() -> None:
    tasks = {str(task.model): task for task in planned(FAMILIES, (), quick=False)}
    whole = [family for family in FAMILIES if family.whole]
    assert len(whole) >= 8
    for family in whole:
        pairs = {(one.exporter, one.opset) for one in tasks[str(family.models[0])].exports}
        assert pairs == {(exporter, opset) for exporter in Exporter for opset in OPSETS[exporter]}


def test_the_journal_keeps_the_last_record_of_each_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "zoo.jsonl")
    key = expected(MIXING)[0]
    last = well(MIXING)[key]
    journal.add(replace(last, unwritten="killed"))
    journal.add(last)
    assert journal.read() == {key: last}
