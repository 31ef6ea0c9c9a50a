from pathlib import Path

import pytest

from benchmarks import page
from benchmarks.__main__ import Failure, measured, write
from benchmarks.sections import SOURCES, Section, Source, Table

FIRST, SECOND = SOURCES[1], SOURCES[0]


def told(title: str, number: int) -> str:
    return page.block(Section(title, "How.", (Table(("name", "s"), ((title, number),)), "Words.")))


def test_a_section_has_its_date_its_machine_and_its_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page, "_today", lambda: "2031-02-03")
    text = told("Starting", 7)

    heading, _, circumstances = text.partition("\n\n")
    assert heading == "## Starting"
    assert circumstances.startswith(f"*2031-02-03, {page.machine()}; Python 3.")
    assert "onnxruntime 1." in circumstances
    assert "| name | s |\n| --- | --- |\n| Starting | 7 |\n\nWords." in text


def test_a_section_measured_anew_leaves_the_others_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    write(path, FIRST, told("One", 1))
    write(path, SECOND, told("Two", 2))
    before = page.blocks(path.read_text())
    write(path, FIRST, told("One", 3))
    after = page.blocks(path.read_text())

    assert before[FIRST.key] == told("One", 1)
    assert after == {SECOND.key: before[SECOND.key], FIRST.key: told("One", 3)}
    assert list(after) == [SECOND.key, FIRST.key]  # in the order of the page
    assert path.read_text().startswith(page.HEAD)


def test_a_section_that_fails_keeps_what_was_known_and_says_so_once(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    write(path, FIRST, told("One", 1))
    write(path, FIRST, Failure("it took longer than 3 s."))
    write(path, FIRST, Failure("it ended with the code 1; its output says why."))
    text = path.read_text()

    assert text.count("> The run of ") == 1
    assert "failed: it ended with the code 1" in text
    assert "| One | 1 |" in text
    write(path, FIRST, told("One", 2))
    assert "failed" not in path.read_text()


def test_a_section_that_has_never_run_says_so(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    write(path, FIRST, Failure("it ended with the code 1."))

    assert f"## {FIRST.key.capitalize()}\n\n> The run of " in path.read_text()


def test_sections_that_end_badly_or_late_are_failures() -> None:
    bad = Source("peers", "benchmarks.peers.section", needs_peers=True)
    found = measured(bad, "/bin/false", quick=True)
    assert isinstance(found, Failure)
    assert "code 1" in found.reason

    late = Source("start", "benchmarks.service.start", seconds=0)
    found = measured(late, "python", quick=True)
    assert isinstance(found, Failure)
    assert "longer than 0 s" in found.reason


def test_rows_are_as_long_as_their_columns() -> None:
    with pytest.raises(ValueError, match="1 cells"):
        Table(("a", "b"), (("only",),))


@pytest.mark.parametrize("source", [one for one in SOURCES if not one.needs_peers], ids=str)
def test_every_section_has_its_measurement(source: Source) -> None:
    assert source.measurement().__name__ == "section"
