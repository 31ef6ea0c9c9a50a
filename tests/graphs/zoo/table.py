"""Writes the table of docs/coverage.md from the journal."""

import platform
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.graphs.zoo.checks import Finding, Verdict
from tests.graphs.zoo.families import FAMILIES, Family
from tests.graphs.zoo.journal import Record
from tests.graphs.zoo.planning import expected

PAGE = Path(__file__).parents[3] / "docs" / "coverage.md"
_TABLE = re.compile(r"(<!-- coverage -->\n).*?(\n<!-- end -->)", re.DOTALL)
_HEAD = (
    "| family | models | files | mask | error | differentiate | error | what does not, and why |",
    "|---|---|---|---|---|---|---|---|",
)
_PACKAGES = ("torch", "torchvision", "timm", "onnx", "onnxscript", "onnxruntime")

Found = dict[tuple[str, str], Record]
Pick = Callable[[Record], Finding]


def write_page(found: Found) -> None:
    """Replaces the table; families that have not run stay in it and say so."""
    text = PAGE.read_text(encoding="utf-8")
    body = f"{coverage_table(found)}\n\n{_setting()}"
    PAGE.write_text(_TABLE.sub(lambda place: place[1] + body + place[2], text), encoding="utf-8")


def coverage_table(found: Found) -> str:
    """Markdown: one row a family, and the totals."""
    rows = {family: _records(family, found) for family in FAMILIES}
    lines = [
        _row(family.title, records, _missing(family, found)) for family, records in rows.items()
    ]
    everything = [record for records in rows.values() for record in records]
    missing = sum(_missing(family, found) for family in FAMILIES)
    return "\n".join([*_HEAD, *lines, _row("**all**", everything, missing, reasons=False)])


def _records(family: Family, found: Found) -> list[Record]:
    return [found[key] for key in expected(family) if key in found]


def _missing(family: Family, found: Found) -> int:
    return sum(key not in found for key in expected(family))


def _row(title: str, records: Sequence[Record], missing: int, *, reasons: bool = True) -> str:
    written = [record for record in records if not record.unwritten]
    cells = [title, str(len({record.model for record in written})), str(len(written))]
    for pick in _PICKS.values():
        cells += [_share(written, pick), _worst(written, pick)]
    notes = [
        *(_reasons(records) if reasons else []),
        *([f"{missing} file{'s' * (missing > 1)} not run"] if missing else []),
    ]
    return f"| {' | '.join(cells)} | {'; '.join(notes)} |"


_PICKS: dict[str, Pick] = {
    "masking": lambda record: record.masking,
    "gradient": lambda record: record.gradients,
}


def _share(written: Sequence[Record], pick: Pick) -> str:
    """Models of which every file holds, of all that must; in per cent."""
    models = {record.model for record in written if pick(record).verdict is not Verdict.DUE}
    if not models:
        return "refused" if written else "-"
    failing = {record.model for record in written if not pick(record).is_well}
    return f"{100 * len(models - failing) / len(models):.0f} %"


def _worst(written: Iterable[Record], pick: Pick) -> str:
    """The worst relative error in float32 and, in brackets, in float16."""
    ran = [record for record in written if pick(record).verdict is Verdict.HOLDS]
    single = max((pick(one).error for one in ran if not one.half), default=None)
    half = max((pick(one).error for one in ran if one.half), default=None)
    shown = [] if single is None else [f"{single:.0e}"]
    return " ".join([*shown, *([] if half is None else [f"({half:.0e})"])]) or "-"


def _reasons(records: Sequence[Record]) -> list[str]:
    """Each distinct reason with its first file; refusals that are due included."""
    first: dict[tuple[str, str], Record] = {}
    for record in records:
        if record.unwritten:
            first.setdefault(("torch writes no file that loads", record.unwritten), record)
            continue
        for kind, pick in _PICKS.items():
            if pick(record).reason:
                first.setdefault((kind, _without_node(pick(record).reason)), record)
    return [
        f"{kind}: {_in_a_cell(reason)} ({record.model}, {record.export})"
        for (kind, reason), record in first.items()
    ]


def _without_node(reason: str) -> str:
    return re.sub(r" \([^()]*\):", ":", reason, count=1)


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _setting() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    day = datetime.now(UTC).date()
    return (
        f"Measured on {day}, {platform.machine()}, Python {platform.python_version()}, {packages}."
    )
