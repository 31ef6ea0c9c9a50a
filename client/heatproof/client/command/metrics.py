"""`heatproof metrics`: what can be computed."""

from collections.abc import Sequence

from rich.markup import escape

from heatproof.client.command.options import shared
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import out
from heatproof.client.command.output.tables import table
from heatproof.client.report.numbers import ARROWS
from heatproof.v1.catalog_service_pb2 import CatalogEntry, ParameterInfo


@grouped
def metrics(server: shared.ServerOptions) -> None:
    """List metrics, explainers and removal operators with their parameters and references."""
    with server.connected() as client:
        catalog = client.catalog()
    _show("metric", catalog.metrics)
    _show("explainer", catalog.explainers)
    _show("removal operator", catalog.removals)
    _show("kind of regions", catalog.regions)


def _show(kind: str, entries: Sequence[CatalogEntry]) -> None:
    made = table(kind, "", "what it does", "parameters", "needs", "reference")
    for entry in entries:
        parameters = "\n".join(map(_parameter, entry.parameters))
        arrow = ARROWS.get(entry.direction, "")
        needs = ", ".join(entry.needs)
        cells = (entry.name, arrow, entry.summary, parameters, needs, entry.reference)
        made.add_row(*map(escape, cells))
    out.print(made)


def _parameter(info: ParameterInfo) -> str:
    limits = f" in {info.range}" if info.range else ""
    return f"{info.name} = {info.default_value or 'none'}{limits}"
