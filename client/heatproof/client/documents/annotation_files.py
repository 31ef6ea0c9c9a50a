"""Files of labels and of boxes: CSV with a column `file`."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from heatproof.client.errors import UsageError

COLUMNS: Final = ("label", "group")
"""Columns of labels beside `file`; at least one of them."""

CORNERS: Final = ("left", "top", "right", "bottom")
"""Columns of boxes beside `file`, in pixels."""

Corners: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a box."""

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
    rows = _rows(path, "labels")
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
        name = _name(row["file"])
        if name in held:
            raise UsageError(f"labels {path}: line {line} labels {name!r} a second time")
        held[name] = {column: _value(column, row[column], path, line) for column in present}
    has_labels, has_groups = (column in present for column in COLUMNS)
    return LabelFile(
        labels={name: int(row["label"]) for name, row in held.items()} if has_labels else None,
        groups={name: row["group"] for name, row in held.items()} if has_groups else None,
    )


def read_box_file(path: Path) -> Mapping[str, Sequence[Corners]]:
    """Reads boxes by the names of their images: a row a box, as many as an image has.

    Raises:
        UsageError: it cannot be read, lacks a column, or holds what is no number.
    """
    found: dict[str, list[Corners]] = {}
    for line, row in enumerate(_rows(path, "boxes"), start=2):
        if any(row.get(column) is None for column in ("file", *CORNERS)):
            raise UsageError(
                f"boxes {path}: line {line} needs the columns `file,{','.join(CORNERS)}`, "
                "separated by commas"
            )
        left, top, right, bottom = (_number(row[column], path, line) for column in CORNERS)
        found.setdefault(_name(row["file"]), []).append((left, top, right, bottom))
    if not found:
        raise UsageError(f"boxes {path} holds none")
    return found


def _name(text: str) -> str:
    return text.strip().replace("\\", "/")


def _number(text: str, path: Path, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"boxes {path}: line {line}: {text!r} is no number: write pixels"
        ) from None


def _rows(path: Path, kind: str) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {kind} {path}: {error}") from error


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
