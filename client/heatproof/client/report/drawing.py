"""Geometry of the page's drawings; the template turns it into SVG."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from heatproof.client.report.content import Content
from heatproof.client.report.numbers import number
from heatproof.v1.comparison_pb2 import ModelDifference
from heatproof.v1.gate_pb2 import Check
from heatproof.v1.results_pb2 import Curve, ImageResult, MetricResult, Summary

WIDTH: Final = 340
HEIGHT: Final = 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 42
"""Pixels of a chart and of its margins."""

IMAGE_LINES: Final = 100
"""Images whose own curves are drawn behind the mean."""

STYLES: Final = {
    Curve.ROLE_REFERENCE: ("random",),
    Curve.ROLE_ORACLE: ("oracle",),
    Curve.ROLE_CONTROL: ("control", "shifted"),
}
"""Styles of curves by their role, in turn; the others are the map's own."""

STEPS: Final = 5
"""Most steps of the vertical axis between the lowest and the highest value."""

WHISKER_WIDTH: Final = 150
"""Pixels of the drawing of an interval."""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve, in pixels.

    Attributes:
        name: name in the legend; empty for the curve of one image.
        style: `own`, `random`, `oracle`, `control`, `shifted` or `image`.
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
        x_title: what the horizontal axis shows.
        y_title: what the vertical axis shows.
        lines: the curves, the lowest layer first.
        x_ticks: numbers of the horizontal axis.
        y_ticks: numbers of the vertical axis.
        images: how many images have a line of their own.
    """

    title: str
    model: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    images: int

    @property
    def legend(self) -> list[Line]:
        """The lines that have a name."""
        return [line for line in self.lines if line.name]


@dataclass(frozen=True, slots=True)
class Whisker:
    """An estimate with its interval and bounds, in pixels.

    Attributes:
        dot: the estimate.
        low: lower end of the interval.
        high: upper end.
        bounds: the bounds it is held against.
    """

    dot: float
    low: float
    high: float
    bounds: tuple[float, ...]


def charts(content: Content) -> list[Chart]:
    """One chart for each result that has curves."""
    results = content.report.results
    of_images = image_curves(results, content.report.images[:IMAGE_LINES])
    return [
        chart(row.subject, row.model, result.curves, of_images.get(index, ()))
        for index, (row, result) in enumerate(zip(content.results, results, strict=True))
        if result.curves
    ]


def whisker(summary: Summary, check: Check | None) -> Whisker | None:
    """Draws an estimate against the bounds of a check; None without an estimate."""
    if not summary.HasField("value"):
        return None
    ends = (summary.value, summary.value)
    if summary.HasField("interval"):
        ends = summary.interval.lower, summary.interval.upper
    named = [] if check is None else [name for name in ("min", "max") if check.HasField(name)]
    bounds = [float(getattr(check, name)) for name in named]
    return _whisker(summary.value, ends, bounds, (summary.value, *ends, *bounds))


def whiskers(differences: Sequence[ModelDifference]) -> list[Whisker | None]:
    """Draws differences against 0, on one scale; None where there is none."""
    drawn = [(held.difference, _ends(held)) for held in differences if held.HasField("difference")]
    within = [0.0, *(value for difference, ends in drawn for value in (difference, *ends))]
    return [
        _whisker(held.difference, _ends(held), (0.0,), within)
        if held.HasField("difference")
        else None
        for held in differences
    ]


def _ends(held: ModelDifference) -> tuple[float, float]:
    if held.HasField("interval"):
        return held.interval.lower, held.interval.upper
    return held.difference, held.difference


def _whisker(
    value: float, ends: tuple[float, float], bounds: Sequence[float], within: Sequence[float]
) -> Whisker:
    """Draws a value between its ends on a scale that holds all of `within`."""
    low, high = min(within), max(within)
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return round(8 + (value - low) / span * (WHISKER_WIDTH - 16), 1)

    return Whisker(at(value), at(ends[0]), at(ends[1]), tuple(map(at, bounds)))


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
    values = [value for curve in (*images, *curves.values()) for value in curve.values]
    ticks = _ticks(max([1.0, *values, *within]), min([0.0, *values, *within]))
    scale = _Scale(ticks[0], ticks[-1])
    lines = [Line("", "image", scale.points(curve)) for curve in images]
    return Chart(
        title=title,
        model=model,
        x_title=own.x_unit,
        y_title=own.unit,
        lines=(*lines, *_lines(curves, scale)),
        x_ticks=tuple(Tick(scale.x(at), number(at)) for at in (0, 0.25, 0.5, 0.75, 1)),
        y_ticks=tuple(Tick(scale.y(at), number(at)) for at in ticks),
        images=len(images),
    )


def of_one_unit(curves: Mapping[str, Curve]) -> Mapping[str, Curve]:
    """The scored curve and those of its unit, for one axis has one unit."""
    unit = curves[_own(curves)].unit
    return {name: held for name, held in curves.items() if held.unit == unit}


def _lines(curves: Mapping[str, Curve], scale: "_Scale") -> Iterator[Line]:
    """The named curves: references and controls first, the scored one over them."""
    drawn: Counter[int] = Counter()
    for name in sorted(curves, key=lambda name: (curves[name].role not in STYLES, name)):
        curve = curves[name]
        styles = STYLES.get(curve.role, ("own",))
        yield Line(
            curve.label or name, styles[drawn[curve.role] % len(styles)], scale.points(curve)
        )
        drawn[curve.role] += 1


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
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def points(self, curve: Curve) -> str:
        pairs = zip(curve.fractions, curve.values, strict=True)
        return " ".join(f"{self.x(share)},{self.y(value)}" for share, value in pairs)
