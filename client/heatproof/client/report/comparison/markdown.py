"""A comparison as Markdown."""

from pathlib import Path

from heatproof.client.report.comparison.content import ComparisonContent
from heatproof.client.report.comparison.matrices import EXPLANATION, Cell, Matrix
from heatproof.client.report.comparison.quantities import (
    LEGEND,
    DifferenceRow,
    Quantity,
    ValueRow,
)
from heatproof.client.report.markdown import clean, escape, fact_lines, table_lines, warnings


def write(comparison: ComparisonContent, path: Path) -> None:
    """Writes a comparison as Markdown."""
    path.write_text(render(comparison), encoding="utf-8")


def render(comparison: ComparisonContent) -> str:
    """A comparison as Markdown."""
    content = comparison.content
    parts = [
        f"## Heatproof comparison: {escape(', '.join(comparison.names))}",
        *warnings(content),
        "",
        *fact_lines(content),
        f"- Differences: {escape(comparison.pairs)}; {escape(comparison.correction)}",
        "",
        escape(LEGEND),
    ]
    for quantity in comparison.quantities:
        parts += ["", *_quantity(quantity)]
    for one in comparison.matrices:
        parts += ["", *_matrix(one)]
    return "\n".join([*parts, "", *clean(content)]) + "\n"


def _quantity(quantity: Quantity) -> list[str]:
    heads = ("Model", "Value", "Interval", *quantity.controls, "Scored")
    pair_heads = ("First less second", "Difference", "Interval", "p", "Corrected p", "")
    return [
        f"### {escape(quantity.title)}",
        "",
        f"Compared over {quantity.shared} images.",
        *(f"\n> {escape(text)}" for text in quantity.cautions),
        "",
        *table_lines(tuple(map(escape, heads)), [_value(row, quantity) for row in quantity.values]),
        "",
        *table_lines(pair_heads, [_difference(row) for row in quantity.differences]),
    ]


def _value(row: ValueRow, quantity: Quantity) -> tuple[str, ...]:
    name = f"*{escape(row.name)}*" if row.is_control else escape(row.name)
    controls = tuple(escape(str(held)) for held in row.controls) or ("",) * len(quantity.controls)
    scored = escape(f"{row.scored} {row.undefined}".strip())
    return name, escape(row.estimate.value), escape(row.estimate.interval), *controls, scored


def _difference(row: DifferenceRow) -> tuple[str, ...]:
    cells = (row.pair, row.difference, row.interval, row.p_value, row.adjusted, row.reading)
    return tuple(map(escape, cells))


def _matrix(held: Matrix) -> list[str]:
    heads = ("Judge", *held.columns)
    rows = [(escape(judge), *map(_cell, cells)) for judge, cells in held.rows]
    return [
        f"### Gains: {escape(held.title)}",
        "",
        escape(EXPLANATION),
        "",
        *table_lines(tuple(map(escape, heads)), rows),
    ]


def _cell(held: Cell) -> str:
    text = escape(str(held.estimate))
    return f"**{text}**" if held.own else text
