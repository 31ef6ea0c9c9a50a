"""What was found of each comparison: lines of JSON, so that a run can be taken up again."""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

JOURNAL = Path(__file__).with_name("journal.jsonl")
"""Kept with the code: the tests of this tree read it without the peers being installed."""


XPLIQUE = Path(__file__).with_name("xplique.json")
"""What Xplique said in an environment of its own."""


class Verdict(StrEnum):
    """What a comparison came to.

    Attributes:
        AGREES: no difference is above the tolerance.
        EXPLAINED: the peer computes something else, and a check showed the stated cause.
        DISAGREES: a difference is above the tolerance, or the stated cause does not show.
        FAILED: the comparison ended in an error.
    """

    AGREES = "agrees"
    EXPLAINED = "differs as stated"
    DISAGREES = "DISAGREES"
    FAILED = "FAILED"

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to find out."""
        return self in {Verdict.AGREES, Verdict.EXPLAINED}


@dataclass(frozen=True, slots=True)
class Record:
    """A line of the journal.

    Attributes:
        kind: `metric`, `explainer` or `removal`.
        name: as registered.
        peer: the package that it was compared with.
        version: of the package.
        case: name of the comparison's function.
        compared: on what, in words.
        tolerance: largest difference at which both agree; in `unit`.
        difference: largest difference found, in `unit`.
        unit: what differences are in.
        verdict: see there.
        reason: why the peer differs, or the error; "" if both agree.
    """

    kind: str
    name: str
    peer: str
    version: str
    case: str
    compared: str
    tolerance: float
    difference: float | None
    unit: str
    verdict: Verdict
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What identifies a record; a later line replaces an earlier one."""
        return self.kind, self.name, self.peer, self.case

    def __str__(self) -> str:
        size = "" if self.difference is None else f" ({self.difference:.1e} {self.unit})"
        return f"{self.kind} {self.name}, {self.peer}: {self.verdict}{size} {self.reason}".rstrip()


Found = dict[tuple[str, str, str, str], Record]


class Journal:
    """A file of records."""

    def __init__(self, path: Path = JOURNAL) -> None:
        self._path = path

    def read(self) -> Found:
        """The last record of each comparison."""
        if not self._path.exists():
            return {}
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return {record.key: record for record in map(_record, lines)}

    def write(self, found: Found) -> None:
        """Writes all records in the order of their keys."""
        lines = [json.dumps(asdict(found[key])) for key in sorted(found)]
        self._path.write_text("\n".join([*lines, ""]), encoding="utf-8")


def _record(line: str) -> Record:
    fields = json.loads(line)
    return Record(**{**fields, "verdict": Verdict(fields["verdict"])})
