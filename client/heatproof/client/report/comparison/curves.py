"""Curves of the compared models, side by side on one scale."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from heatproof.client.report.content import Content
from heatproof.client.report.page.charts import Chart, chart, of_one_unit
from heatproof.v1.results_pb2 import Curve, MetricResult

_OF_MODEL: Final = re.compile(r"(.*)\[(\d+)\]")
"""Names of curves of metrics over several models: `own[1]` is one of the second model."""


@dataclass(frozen=True, slots=True)
class Strip:
    """Charts of one metric, explainer and removal operator, one a model."""

    title: str
    charts: tuple[Chart, ...]


def strips(content: Content, hidden: Collection[str]) -> tuple[Strip, ...]:
    """The mean curves of the models, in the order of the results.

    Args:
        content: the report.
        hidden: captions of explainers whose curves are not drawn.
    """
    found: dict[str, list[tuple[str, Mapping[str, Curve]]]] = {}
    for row, result in zip(content.results, content.report.results, strict=True):
        if row.explainer not in hidden and result.curves:
            found.setdefault(row.subject, []).extend(_of_models(content, result))
    return tuple(Strip(title, _charts(title, held)) for title, held in found.items())


def _of_models(content: Content, result: MetricResult) -> Iterator[tuple[str, Mapping[str, Curve]]]:
    """Each model of a result with its curves."""
    names = [content.captions.model(model) for model in result.models]
    if len(names) == 1:
        yield names[0], result.curves
        return
    for place, name in enumerate(names):
        curves = dict(_of_place(result.curves, place))
        if curves:
            yield name, curves


def _of_place(curves: Mapping[str, Curve], place: int) -> Iterator[tuple[str, Curve]]:
    for name, held in curves.items():
        match = _OF_MODEL.fullmatch(name)
        if match and int(match[2]) == place:
            plain = Curve()
            plain.CopyFrom(held)
            # The chart names its model.
            plain.label = held.label.removeprefix(f"model {place}, ") or match[1]
            yield match[1], plain


def _charts(title: str, held: Sequence[tuple[str, Mapping[str, Curve]]]) -> tuple[Chart, ...]:
    values = list(_values(curves for _, curves in held))
    return tuple(chart(title, model, curves, within=values) for model, curves in held)


def _values(all_curves: Iterable[Mapping[str, Curve]]) -> Iterator[float]:
    """What the common axis must hold."""
    for curves in all_curves:
        for curve in of_one_unit(curves).values():
            yield from curve.values
