"""A comparison as one HTML page, in the house of the other reports."""

from dataclasses import dataclass
from pathlib import Path

from heatproof.client.report.comparison.content import ComparisonContent
from heatproof.client.report.comparison.curves import strips
from heatproof.client.report.comparison.matrices import EXPLANATION
from heatproof.client.report.comparison.quantities import LEGEND, DifferenceRow, Quantity
from heatproof.client.report.html import environment, facts
from heatproof.client.report.page.gallery import cards
from heatproof.client.report.page.image_table import image_table
from heatproof.client.report.page.rendering import filled
from heatproof.client.report.page.whiskers import Whisker, compared


@dataclass(frozen=True, slots=True)
class QuantityView:
    """A quantity with the drawings of its differences."""

    quantity: Quantity
    differences: tuple[tuple[DifferenceRow, Whisker | None], ...]


def write(comparison: ComparisonContent, path: Path) -> None:
    """Writes a comparison as one HTML page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    path.write_text(render(comparison), encoding="utf-8")


def render(comparison: ComparisonContent) -> str:
    """A comparison as one HTML page; every name in it is escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    content = comparison.content
    table = image_table(content, hidden=comparison.controls)
    return filled(
        "comparison.html.jinja",
        title=f"Heatproof comparison: {', '.join(comparison.names)}",
        kind="comparison",
        names=comparison.names,
        warnings=content.warnings,
        facts=[
            *facts(content),
            ("Differences", f"{comparison.pairs}; {comparison.correction}"),
        ],
        quantities=[_view(quantity) for quantity in comparison.quantities],
        legend=LEGEND,
        matrices=comparison.matrices,
        matrix_explanation=EXPLANATION,
        strips=strips(content, comparison.controls),
        table=table,
        cards=cards(content, table.order, comparison.controls),
        environment=environment(content),
    )


def _view(quantity: Quantity) -> QuantityView:
    differences = [row.message for row in quantity.differences]
    drawn = compared(differences, [quantity.shared] * len(differences))
    return QuantityView(quantity, tuple(zip(quantity.differences, drawn, strict=True)))
