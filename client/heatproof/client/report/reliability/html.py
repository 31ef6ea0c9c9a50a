"""Which metrics deserve trust, as one HTML page in the house of the other reports."""

from pathlib import Path

from heatproof.client.report.html import environment, facts
from heatproof.client.report.page.rendering import filled
from heatproof.client.report.reliability.content import TONES, TRUST_LEGEND, ReliabilityContent


def write(reliability: ReliabilityContent, path: Path) -> None:
    """Writes which metrics deserve trust as one HTML page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    path.write_text(render(reliability), encoding="utf-8")


def render(reliability: ReliabilityContent) -> str:
    """Which metrics deserve trust, as one HTML page; every name in it is escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    content = reliability.content
    return filled(
        "reliability.html.jinja",
        title="Heatproof: which scores deserve trust",
        kind="sanity",
        names=[content.captions.model(model.name) for model in content.report.models],
        warnings=content.warnings,
        facts=facts(content),
        metrics=reliability.metrics,
        several_models=content.several_models,
        legend=TRUST_LEGEND,
        tones=TONES,
        environment=environment(content),
    )
