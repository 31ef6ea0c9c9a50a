"""docs/agreement.md leaves nothing out and says what the last run of the peers found."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.registry.parameters import parameters_of
from tests.peers.absent import ABSENT
from tests.peers.journal import Found, Journal, Record, Verdict
from tests.peers.table import PAGE, agreement, unanswered

KINDS = {name: registry[name] for registry in (METRICS, EXPLAINERS) for name in registry}
MAKERS = {"metric", "explainer", "ours", "scores", "only_curve"}
"""Functions of the comparisons that hand their keywords to a metric or an explainer."""
FOUND = Journal().read()
RECORD = Record(
    "metric", "deletion", "a peer", "1.0", "case", "a | b", 1e-5, 2e-7, "absolute", Verdict.AGREES
)


def found_of(*records: Record) -> Found:
    return {record.key: record for record in records}


def test_everything_registered_has_a_row_or_a_reason_why_no_peer_has_it() -> None:
    assert unanswered(FOUND) == []


def test_what_no_peer_has_is_compared_with_none() -> None:
    assert not set(ABSENT) & {(kind, name) for kind, name, *_ in FOUND}


@pytest.mark.parametrize("record", FOUND.values(), ids=str)
def test_every_row_agrees_or_differs_as_stated(record: Record) -> None:
    assert record.verdict.is_well
    if record.verdict is Verdict.AGREES:
        assert record.difference is not None
        assert record.difference <= record.tolerance
    else:
        assert record.reason


def calls_with_parameters() -> Iterator[tuple[str, set[str]]]:
    """Names of metrics and explainers that the comparisons make, with the parameters they give.

    Read without importing them, for the peers are not installed here.
    """
    for path in sorted(Path(__file__).parent.glob("*/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in MAKERS:
                given = {one.arg for one in node.keywords if one.arg is not None}
                texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                named = [one for one in texts if isinstance(one, str) and one in KINDS]
                yield from ((name, given) for name in named if given)


def test_comparisons_give_parameters_that_there_are() -> None:
    called = list(calls_with_parameters())
    assert called
    for name, given in called:
        assert given <= {facts.name for facts in parameters_of(KINDS[name])}, name


def test_the_page_is_what_the_last_run_found() -> None:
    assert agreement(FOUND) in PAGE.read_text(encoding="utf-8")


def test_what_is_missing_is_said() -> None:
    found = found_of(RECORD)
    assert ("metric", "insertion") in unanswered(found)
    assert "| insertion | **not run** |" in agreement(found)
    assert ("metric", "deletion") not in unanswered(found)


def test_a_row_holds_what_was_compared_and_how_it_ended() -> None:
    failed = replace(
        RECORD, case="other", verdict=Verdict.FAILED, difference=None, reason="it broke"
    )
    rows = [
        line for line in agreement(found_of(RECORD, failed)).splitlines() if "deletion |" in line
    ]
    assert rows[0] == "| deletion | a peer | a \\| b | 1e-05 absolute | 2.0e-07 | agrees |"
    assert rows[1].endswith("| | FAILED: it broke |") or "FAILED: it broke" in rows[1]


def test_the_journal_gives_back_what_it_was_given(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "peers.jsonl")
    assert journal.read() == {}
    other = replace(RECORD, name="insertion", verdict=Verdict.EXPLAINED, reason="because")
    journal.write(found_of(RECORD, other))
    assert journal.read() == found_of(RECORD, other)
