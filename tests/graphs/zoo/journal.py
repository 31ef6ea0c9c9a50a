"""What was found of each model and export: lines of JSON, so that a run can be taken up again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.graphs.zoo.checks import Finding, Verdict

JOURNAL = Path(__file__).with_name("journal.jsonl")
"""Kept with the code: the whole zoo takes hours, and no machine need run all of it."""

NOT_RUN = Finding(Verdict.BROKEN, reason="not run")


@dataclass(frozen=True, slots=True)
class Record:
    """A line of the journal.

    Attributes:
        model: as `Model` writes it.
        export: as `Export` writes it.
        half: whether the network is float16.
        opset: of the file; 0 if there is none.
        unwritten: why there is no file; "" if there is one.
        masking: see there.
        gradients: see there.
        seconds: for the export and all checks.
    """

    model: str
    export: str
    half: bool
    opset: int = 0
    unwritten: str = ""
    masking: Finding = NOT_RUN
    gradients: Finding = NOT_RUN
    seconds: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What identifies a record; a later line replaces an earlier one."""
        return self.model, self.export

    @property
    def is_well(self) -> bool:
        """Whether there is nothing left to do."""
        return not self.unwritten and self.masking.is_well and self.gradients.is_well

    def __str__(self) -> str:
        found = self.unwritten or f"{self.masking}; {self.gradients}"
        return f"{self.model}, {self.export}, {self.seconds:.0f} s: {found}"


class Journal:
    """A file of records."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def add(self, record: Record) -> None:
        """Appends a line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")

    def read(self) -> dict[tuple[str, str], Record]:
        """The last record of each model and export."""
        lines = self._path.read_text(encoding="utf-8").splitlines()
        return {record.key: record for record in map(_record, lines)}


def _record(line: str) -> Record:
    fields = json.loads(line)
    for name in ("masking", "gradients"):
        finding = fields[name]
        fields[name] = Finding(Verdict(finding["verdict"]), finding["error"], finding["reason"])
    return Record(**fields)
