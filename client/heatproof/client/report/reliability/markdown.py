"""Which metrics deserve trust, as Markdown."""

from pathlib import Path

from heatproof.client.report.markdown import clean, escape, fact_lines, table_lines, warnings
from heatproof.client.report.reliability.content import (
    TRUST_LEGEND,
    MetricRow,
    ReliabilityContent,
)

HEADS = (
    "Metric",
    "Mean",
    "Single images",
    "Images agree",
    "Explainers agree",
    "Resilience",
    "Images",
)


def write(reliability: ReliabilityContent, path: Path) -> None:
    """Writes which metrics deserve trust as Markdown."""
    path.write_text(render(reliability), encoding="utf-8")


def render(reliability: ReliabilityContent) -> str:
    """Which metrics deserve trust, as Markdown."""
    content = reliability.content
    several = content.several_models
    heads = ("Model", *HEADS) if several else HEADS
    rows = [_summary(row, several=several) for row in reliability.metrics]
    parts = [
        "## Heatproof: which scores deserve trust",
        *warnings(content),
        "",
        *fact_lines(content),
        "",
        escape(TRUST_LEGEND),
        "",
        *table_lines(heads, rows),
    ]
    for row in reliability.metrics:
        parts += ["", *_metric(row, several=several)]
    return "\n".join([*parts, "", *clean(content)]) + "\n"


def _summary(row: MetricRow, *, several: bool) -> tuple[str, ...]:
    numbers = (row.image_agreement, row.explainer_agreement, row.resilience)
    cells = (row.title, row.of_mean, row.of_image, *map(str, numbers), row.images)
    return tuple(map(escape, (row.model, *cells) if several else cells))


def _metric(row: MetricRow, *, several: bool) -> list[str]:
    title = f"{row.title} · {row.model}" if several else row.title
    maps = [
        (one.explainer, one.role, str(one.score), str(one.gain), one.reading) for one in row.maps
    ]
    lines = [
        f"### {escape(title)}",
        "",
        *(f"- {escape(reason)}" for reason in row.reasons),
        "",
        *table_lines(
            ("Maps of", "Role", "Score", "Better than random by", ""),
            [tuple(map(escape, cells)) for cells in maps],
        ),
    ]
    if row.agreements:
        cells = [tuple(map(escape, map(str, held))) for held in row.agreements]
        heads = ("Goes with", "Correlation over images", "Same order of maps")
        lines += ["", *table_lines(heads, cells)]
    return lines
