"""Writes the tables of docs/agreement.md from the journal."""

import re
from collections.abc import Iterator
from pathlib import Path

from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.removal import REMOVALS
from tests.peers.absent import ABSENT
from tests.peers.journal import Found, Record, Verdict

PAGE = Path(__file__).parents[2] / "docs" / "agreement.md"
_TABLES = re.compile(r"(<!-- agreement -->\n).*?(\n<!-- end -->)", re.DOTALL)
_KINDS = {
    "metric": ("Metrics", METRICS),
    "explainer": ("Explainers", EXPLAINERS),
    "removal": ("Removal operators", REMOVALS),
}
_HEAD = ("peer", "compared", "tolerance", "largest difference", "verdict")


def registered() -> Iterator[tuple[str, str]]:
    """Kind and name of everything that is registered."""
    for kind, (_, registry) in _KINDS.items():
        for name in registry:
            yield kind, name


def unanswered(found: Found) -> list[tuple[str, str]]:
    """What has neither a comparison nor a reason why it has none."""
    answered = {(kind, name) for kind, name, *_ in found} | set(ABSENT)
    return [one for one in registered() if one not in answered]


def write_page(found: Found) -> None:
    """Replaces the tables."""
    text = PAGE.read_text(encoding="utf-8")
    body = agreement(found)
    PAGE.write_text(_TABLES.sub(lambda place: place[1] + body + place[2], text), encoding="utf-8")


def agreement(found: Found) -> str:
    """Markdown: a table a kind, a row a comparison, and a row for what no peer has."""
    versions = sorted({f"{one.peer} {one.version}" for one in found.values()})
    parts = [f"Compared with {', '.join(versions)}. {_counts(found)}"]
    for kind, (title, registry) in _KINDS.items():
        rows = [row for name in registry for row in _rows(kind, name, found)]
        head = f"| {' | '.join((kind, *_HEAD))} |\n|{'---|' * (1 + len(_HEAD))}"
        parts.append("\n".join([f"## {title}\n", head, *rows]))
    return "\n\n".join(parts)


def _counts(found: Found) -> str:
    verdicts = [one.verdict for one in found.values()]
    counts = ", ".join(f"{verdicts.count(one)} {one}" for one in Verdict if one in verdicts)
    return f"Of {len(verdicts)} comparisons: {counts}."


def _rows(kind: str, name: str, found: Found) -> Iterator[str]:
    records = sorted(
        (one for one in found.values() if (one.kind, one.name) == (kind, name)),
        key=lambda one: (one.peer, one.case),
    )
    yield from map(_row, records)
    if (kind, name) in ABSENT:
        yield f"| {name} | none | {_cell(ABSENT[kind, name])} | | | |"
    elif not records:
        yield f"| {name} | **not run** | | | | |"


def _row(record: Record) -> str:
    tolerance = "" if not record.tolerance else f"{record.tolerance:.0e} {record.unit}"
    size = "" if record.difference is None else f"{record.difference:.1e}"
    verdict = f"{record.verdict}{': ' if record.reason else ''}{record.reason}"
    cells = (record.name, record.peer, record.compared, tolerance, size, verdict)
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
