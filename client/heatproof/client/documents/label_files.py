"""Files of labels: CSV with the columns `file`, `label` and `group`."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heatproof.client.errors import UsageError

COLUMNS: Final = ("label", "group")
"""Columns beside `file`; at least one of them."""


_MAX_DIGITS: Final = 9
"""Of a class index, which has 32 bits in the contract."""


@dataclass(frozen=True, slots=True)
class LabelFile:
    """What a file says of images, by their names.

    Attributes:
        labels: class indices; None without the column `label`.
        groups: what images have in common (patient, scene, camera); None without the column
            `group`.
    """

    labels: Mapping[str, int] | None
    groups: Mapping[str, str] | None


def read_label_file(path: Path) -> LabelFile:
    """Reads a CSV file.

    Raises:
        UsageError: it cannot be read, lacks a column, or names an image twice.
    """
    rows = _rows(path)
    present = [column for column in COLUMNS if rows and column in rows[0]]
    if not present:
        raise UsageError(
            f"labels {path}: line 2 needs the columns `file,label`, or `file,label,group`, "
            "separated by commas"
        )
    held: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        if any(row.get(column) is None for column in ("file", *present)):
            columns = ",".join(("file", *present))
            raise UsageError(f"labels {path}: line {line} needs the columns `{columns}`")
        name = row["file"].strip().replace("\\", "/")
        if name in held:
            raise UsageError(f"labels {path}: line {line} labels {name!r} a second time")
        held[name] = {column: _value(column, row[column], path, line) for column in present}
    has_labels, has_groups = (column in present for column in COLUMNS)
    return LabelFile(
        labels={name: int(row["label"]) for name, row in held.items()} if has_labels else None,
        groups={name: row["group"] for name, row in held.items()} if has_groups else None,
    )


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read labels {path}: {error}") from error


def _value(column: str, text: str, path: Path, line: int) -> str:
    value = text.strip()
    if column == "label" and not (value.isdecimal() and len(value) <= _MAX_DIGITS):
        raise UsageError(
            f"labels {path}: line {line}: {text!r} is no class index: "
            "write a whole number from 0 on"
        )
    if not value:
        raise UsageError(
            f"labels {path}: line {line} has no group: give an image that belongs to no other a "
            "group of its own"
        )
    return value
