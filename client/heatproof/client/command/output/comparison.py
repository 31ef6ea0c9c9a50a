"""Tables of a comparison on a terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from heatproof.client.command.output.console import out
from heatproof.client.command.output.tables import show_conditions, show_warnings, table
from heatproof.client.report.comparison.content import ComparisonContent
from heatproof.client.report.comparison.matrices import EXPLANATION, Matrix
from heatproof.client.report.comparison.quantities import LEGEND, MARK, Quantity, ValueRow


def show_comparison(comparison: ComparisonContent) -> None:
    """Prints warnings, how images and answers were read, each quantity, and the gains."""
    show_warnings(comparison.content)
    show_conditions(comparison.content)
    out.print(f"differences: {escape(comparison.pairs)}; {comparison.correction}")
    places = {name: place for place, name in enumerate(comparison.names, 1)}
    for quantity in comparison.quantities:
        _show_quantity(quantity, places)
    for held in comparison.matrices:
        _show_matrix(held)
    out.print(Text(LEGEND, style="dim"))


def _show_quantity(quantity: Quantity, places: Mapping[str, int]) -> None:
    """Prints values and differences; pairs go by the models' places, for names would not fit."""
    out.print()
    out.print(Text(quantity.title, style="bold"), Text(f"over {quantity.shared} images"))
    for caution in quantity.cautions:
        out.print(Text(caution, style="yellow"))
    values = _table("model", ("value", "interval", *quantity.controls, "scored"))
    for row in quantity.values:
        values.add_row(
            *map(escape, _value(row, quantity, places)), style="dim" if row.is_control else ""
        )
    out.print(values)
    pairs = _table("first less second", ("difference", "interval", "p", "corrected", ""))
    for pair in quantity.differences:
        cells = (f"{places[pair.first]} less {places[pair.second]}", pair.difference, pair.interval)
        tests = (pair.p_value, pair.adjusted, MARK if pair.told else "")
        pairs.add_row(*cells, *tests, style="bold" if pair.told else "")
    out.print(pairs)
    for line in _absences(quantity, places):
        out.print(Text(line, style="dim"))


def _absences(quantity: Quantity, places: Mapping[str, int]) -> Iterator[str]:
    """Why images have no value and differences no number."""
    reasons = [f"{places[row.name]} {row.undefined}" for row in quantity.values if row.undefined]
    if reasons:
        yield f"images without a value: {'; '.join(reasons)}"
    yield from dict.fromkeys(pair.missing for pair in quantity.differences if pair.missing)


def _table(name: str, numbers: Sequence[str]) -> Table:
    """An empty table whose names give way to its numbers where the terminal is narrow."""
    made = table(name, *numbers, right=numbers)
    for column in made.columns[1:]:
        column.no_wrap = True
    return made


def _value(row: ValueRow, quantity: Quantity, places: Mapping[str, int]) -> tuple[str, ...]:
    controls = tuple(held.value for held in row.controls) or ("",) * len(quantity.controls)
    name = row.name if row.is_control else f"{places[row.name]} {row.name}"
    return name, row.estimate.value, row.estimate.interval, *controls, row.scored


def _show_matrix(held: Matrix) -> None:
    """Prints gains over their intervals; columns have numbers, for names would not fit."""
    out.print()
    out.print(Text(f"gains: {held.title}", style="bold"))
    out.print(Text(EXPLANATION, style="dim"))
    heads = [str(place) for place in range(1, len(held.rows) + 1)]
    heads += held.columns[len(held.rows) :]
    made = _table("judge", heads)
    for place, (judge, cells) in enumerate(held.rows, 1):
        texts = (f"{cell.estimate.value}\n{cell.estimate.interval}" for cell in cells)
        made.add_row(*map(escape, (f"{place} {judge}", *texts)))
    out.print(made)
