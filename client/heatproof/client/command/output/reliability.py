"""Tables of which metrics deserve trust, on a terminal."""

from rich.markup import escape
from rich.text import Text

from heatproof.client.command.output.console import out
from heatproof.client.command.output.tables import COLOURS, show_conditions, show_warnings, table
from heatproof.client.report.reliability.content import (
    TONES,
    TRUST_LEGEND,
    MetricRow,
    ReliabilityContent,
)


def show_reliability(reliability: ReliabilityContent) -> None:
    """Prints how each metric rates each map, why, and last which scores deserve trust."""
    content = reliability.content
    show_warnings(content)
    show_conditions(content)
    for row in reliability.metrics:
        _show_metric(row, several=content.several_models)
    out.print()
    _show_summary(reliability)
    out.print(Text(TRUST_LEGEND, style="dim"))


def _show_metric(row: MetricRow, *, several: bool) -> None:
    out.print()
    title = f"{row.title} · {row.model}" if several else row.title
    out.print(Text(title, style="bold"), Text(f"over {row.images} images"))
    numbers = ("score", "interval", "beats random by", "interval ")
    made = table("maps of", "role", *numbers, "", right=numbers)
    for one in row.maps:
        cells = (one.score.value, one.score.interval, one.gain.value, one.gain.interval)
        made.add_row(*map(escape, (one.explainer, one.role, *cells, one.reading)))
    out.print(made)
    for reason in row.reasons:
        out.print(Text(f"- {reason}"))
    if row.agreements:
        numbers = ("over images", "interval", "same order of maps", "interval ")
        goes = table("goes with", *numbers, right=numbers)
        for other, found, ranked in row.agreements:
            cells = (found.value, found.interval, ranked.value, ranked.interval)
            goes.add_row(*map(escape, (other, *cells)))
        out.print(goes)


def _show_summary(reliability: ReliabilityContent) -> None:
    several = reliability.content.several_models
    numbers = ("images agree", "explainers agree", "resilience")
    heads = ("metric", "mean", "single images", *numbers)
    made = table(*(["model"] if several else []), *heads, right=numbers)
    for row in reliability.metrics:
        found = (row.image_agreement, row.explainer_agreement, row.resilience)
        made.add_row(
            *([escape(row.model)] if several else []),
            escape(row.title),
            *(Text(word, style=COLOURS[TONES[word]]) for word in (row.of_mean, row.of_image)),
            *(escape(f"{one.value}\n{one.interval}") for one in found),
        )
    out.print(made)
