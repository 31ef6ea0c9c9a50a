"""Curves of results; the template turns them into SVG."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from heatproof.client.report.content import Content
from heatproof.client.report.numbers import number
from heatproof.client.report.page.quantiles import LEAST, Quantiles, quantiles
from heatproof.v1.results_pb2 import Curve, ImageResult, MetricResult

CHART_WIDTH: Final = 340
CHART_HEIGHT: Final = 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 42
"""Pixels of a chart and of its margins."""

STYLES: Final = {
    Curve.ROLE_REFERENCE: ("random",),
    Curve.ROLE_ORACLE: ("oracle",),
    Curve.ROLE_CONTROL: ("control", "shifted"),
}
"""Styles of curves by their role, in turn; the others are the map's own."""

STEPS: Final = 5
"""Most steps of the vertical axis between the lowest and the highest value."""

READ_AT: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the horizontal axis that have a tick, and a column in the table of numbers."""


@dataclass(frozen=True, slots=True)
class Area:
    """A band between two curves, in pixels.

    Attributes:
        style: `outer` or `inner`.
        points: as SVG writes them.
    """

    style: str
    points: str


@dataclass(frozen=True, slots=True)
class Line:
    """A curve, in pixels.

    Attributes:
        name: name in the legend; empty for the curve of one image.
        style: `own`, `median`, `random`, `oracle`, `control`, `shifted` or `image`.
        points: as SVG writes them.
    """

    name: str
    style: str
    points: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A number on an axis, at its pixel."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves of one result.

    Attributes:
        title: metric, explainer and removal operator.
        model: name of the model that it is of; empty where there is one alone.
        x_title: what the horizontal axis shows.
        y_title: what the vertical axis shows.
        areas: the bands of single images, the lowest layer first; none of few images.
        lines: the curves, the lowest layer first.
        x_ticks: numbers of the horizontal axis.
        y_ticks: numbers of the vertical axis.
        images: how many images lie behind bands, median or lines of single images.
        numbers: what is drawn, and its values at the ticks of the horizontal axis.
    """

    title: str
    model: str
    x_title: str
    y_title: str
    areas: tuple[Area, ...]
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    images: int
    numbers: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def legend(self) -> list[Line]:
        """The lines that have a name, the highest layer first."""
        return [line for line in reversed(self.lines) if line.name]

    @property
    def words(self) -> str:
        """What is drawn, in words and numbers, for who does not see it."""
        at = ", ".join(tick.text for tick in self.x_ticks)
        told = "; ".join(f"{name}: {', '.join(values)}" for name, values in self.numbers)
        return f"{self.y_title} at {at} of {self.x_title}. {told}."


def charts(content: Content) -> list[Chart]:
    """One chart for each result that has curves."""
    results = content.report.results
    of_images = image_curves(results, content.report.images)
    return [
        chart(row.subject, row.model, result.curves, of_images.get(index, ()))
        for index, (row, result) in enumerate(zip(content.results, results, strict=True))
        if result.curves
    ]


def image_curves(
    results: Sequence[MetricResult], images: Iterable[ImageResult]
) -> Mapping[int, Sequence[Curve]]:
    """The curves of single images by result, without those of controls, which would hide them."""
    owns = {index: _own(result.curves) for index, result in enumerate(results) if result.curves}
    found: dict[int, list[Curve]] = {}
    for score in (score for image in images for score in image.scores):
        own = owns.get(score.result)
        if own is not None and own in score.curves:
            found.setdefault(score.result, []).append(score.curves[own])
    return found


def _own(curves: Mapping[str, Curve]) -> str:
    """The curve that is scored, else the first."""
    return min(curves, key=lambda name: (curves[name].role in STYLES, name))


def chart(
    title: str,
    model: str,
    curves: Mapping[str, Curve],
    images: Sequence[Curve] = (),
    *,
    within: Iterable[float] = (),
) -> Chart:
    """Draws curves of one unit; those of another than the scored one's are left out.

    Args:
        title: what is drawn.
        model: name of the model that it is of.
        curves: at least one, by name.
        images: the scored curve of single images.
        within: further values that the vertical axis must hold.
    """
    own, curves = curves[_own(curves)], of_one_unit(curves)
    spread = quantiles(images, own.fractions) if len(images) >= LEAST else None
    singles = () if spread else images
    drawn = [value for curve in (*singles, *curves.values()) for value in curve.values]
    drawn += [value for line in (spread.lines if spread else ()) for value in line]
    ticks = _ticks(max([1.0, *drawn, *within]), min([0.0, *drawn, *within]))
    scale = _Scale(ticks[0], ticks[-1])
    named = list(_named(curves))
    return Chart(
        title=title,
        model=model,
        x_title=own.x_unit or "share",
        y_title=own.unit or "value",
        areas=_areas(spread, scale) if spread else (),
        lines=(*_behind(singles, spread, scale), *(_line(*one, scale) for one in named)),
        x_ticks=tuple(Tick(scale.x(at), number(at)) for at in READ_AT),
        y_ticks=tuple(Tick(scale.y(at), number(at)) for at in ticks),
        images=len(images),
        numbers=(*map(_mean_row, named), *_spread_rows(spread)),
    )


def of_one_unit(curves: Mapping[str, Curve]) -> Mapping[str, Curve]:
    """The scored curve and those of its unit, for one axis has one unit."""
    unit = curves[_own(curves)].unit
    return {name: held for name, held in curves.items() if held.unit == unit}


_Named: TypeAlias = tuple[str, str, Curve]
"""A curve with its name and style."""


def _named(curves: Mapping[str, Curve]) -> Iterator[_Named]:
    """References and controls first, the scored curve over them."""
    drawn: Counter[int] = Counter()
    for name in sorted(curves, key=lambda name: (curves[name].role not in STYLES, name)):
        curve = curves[name]
        styles = STYLES.get(curve.role, ("own",))
        yield curve.label or name, styles[drawn[curve.role] % len(styles)], curve
        drawn[curve.role] += 1


def _line(name: str, style: str, curve: Curve, scale: "_Scale") -> Line:
    return Line(name, style, scale.points(curve.fractions, curve.values))


def _behind(singles: Sequence[Curve], spread: Quantiles | None, scale: "_Scale") -> Iterator[Line]:
    """What lies behind the means: the median of many images, or the curves of few."""
    for curve in singles:
        yield _line("", "image", curve, scale)
    if spread:
        yield Line("", "median", scale.points(spread.shares, spread.lines[2]))


def _areas(spread: Quantiles, scale: "_Scale") -> tuple[Area, ...]:
    lowest, low, _, high, highest = spread.lines
    return (
        Area("outer", scale.outline(spread.shares, lowest, highest)),
        Area("inner", scale.outline(spread.shares, low, high)),
    )


def _mean_row(named: _Named) -> tuple[str, tuple[str, ...]]:
    name, _, curve = named
    return f"{name}, mean", _read(curve.fractions, curve.values)


def _spread_rows(spread: Quantiles | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A row for each quantile, of the map's own curve."""
    names = ("5 % of images below", "25 % below", "median of images", "75 % below", "95 % below")
    for name, line in zip(names, spread.lines if spread else (), strict=False):
        yield name, _read(spread.shares, line) if spread else ()


def _read(shares: Sequence[float], values: Sequence[float]) -> tuple[str, ...]:
    found: list[float] = np.interp(READ_AT, shares, values).tolist()
    return tuple(map(number, found))


def _ticks(high: float, low: float) -> list[float]:
    """At most seven round numbers that enclose a range."""
    power = 10.0 ** math.floor(math.log10((high - low) / STEPS))
    steps = (power * factor for factor in (1, 2, 2.5, 5, 10))
    step = next(step for step in steps if (high - low) / step <= STEPS)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(index * step, 9) for index in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class _Scale:
    """From shares and values to pixels."""

    low: float
    high: float

    def x(self, share: float) -> float:
        return round(LEFT + share * (CHART_WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(CHART_HEIGHT - BOTTOM - share * (CHART_HEIGHT - TOP - BOTTOM), 1)

    def points(self, shares: Sequence[float], values: Sequence[float]) -> str:
        pairs = zip(shares, values, strict=True)
        return " ".join(f"{self.x(share)},{self.y(value)}" for share, value in pairs)

    def outline(self, shares: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
        return f"{self.points(shares, high)} {self.points(shares[::-1], low[::-1])}"
