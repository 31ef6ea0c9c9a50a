"""Files of labels and of boxes: CSV with a column `file`."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from heatproof.client.errors import UsageError

COLUMNS: Final = ("label", "labels", "group")
"""Columns of labels beside `file`; at least one of them, and one of the first two at most."""

SEPARATOR: Final = ";"
"""Between the classes of an image in the column `labels`."""

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
        labels: class indices, or tuples of them from the column `labels`; None without either.
        groups: what images have in common (patient, scene, camera); None without the column
            `group`.
    """

    labels: Mapping[str, int | tuple[int, ...]] | None
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
            f"labels {path}: line 2 needs the columns `file,label`, `file,labels` (several classes "
            f"an image, as 1{SEPARATOR}4), or either with `group`, separated by commas; "
            f"{_header(rows)}"
        )
    if {"label", "labels"} <= set(present):
        raise UsageError(
            f"labels {path} has the columns `label` and `labels`: keep `labels`, with several "
            f"classes as 1{SEPARATOR}4, if images show several, else `label`"
        )
    held: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        if any(row.get(column) is None for column in ("file", *present)):
            needed = f"line {line} needs the columns `{','.join(('file', *present))}`"
            raise UsageError(f"labels {path}: {needed}; {_header(rows)}")
        name = _name(row["file"])
        if name in held:
            raise UsageError(
                f"labels {path}: line {line} labels {name!r} a second time: several classes of an "
                f"image stand in one line, as 1{SEPARATOR}4 in a column `labels`"
            )
        held[name] = {column: _value(column, row[column], path, line) for column in present}
    return LabelFile(
        labels=_labels(held, present),
        groups={name: row["group"] for name, row in held.items()} if "group" in present else None,
    )


def _labels(
    held: Mapping[str, Mapping[str, str]], present: Sequence[str]
) -> dict[str, int | tuple[int, ...]] | None:
    if "label" in present:
        return {name: int(row["label"]) for name, row in held.items()}
    if "labels" in present:
        return {
            name: tuple(int(index) for index in row["labels"].split(SEPARATOR) if index)
            for name, row in held.items()
        }
    return None


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


def _header(rows: Sequence[Mapping[str, object]]) -> str:
    """What the first line of a file says, which must name its columns."""
    if not rows:
        return "the file has no lines below its header"
    return f"line 1, the header, has `{','.join(str(name) for name in rows[0] if name)}`"


def _rows(path: Path, kind: str) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read {kind} {path}: {error}") from error


def _value(column: str, text: str, path: Path, line: int) -> str:
    value = text.strip()
    if column == "labels":
        return _set(value, path, line)
    if column == "label" and not _is_index(value):
        several = f"; call the column `labels` if images show several classes, as 1{SEPARATOR}4"
        raise UsageError(
            f"labels {path}: line {line}: {text!r} is no class index: "
            f"write a whole number from 0 on{several if SEPARATOR in text or not value else ''}"
        )
    if not value:
        raise UsageError(
            f"labels {path}: line {line} has no group: give an image that belongs to no other a "
            "group of its own"
        )
    return value


def _set(text: str, path: Path, line: int) -> str:
    """Class indices without blanks between; nothing for an image that shows none of the classes."""
    if not text:
        return text
    indices = [part.strip() for part in text.split(SEPARATOR)]
    if not all(map(_is_index, indices)):
        raise UsageError(
            f"labels {path}: line {line}: {text!r} are no class indices: write whole numbers from "
            f"0 on, as 1{SEPARATOR}4, and nothing for an image that shows none of the classes"
        )
    return SEPARATOR.join(indices)


def _is_index(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MAX_DIGITS
