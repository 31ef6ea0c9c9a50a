"""Geometry of the page's drawings; the template turns it into SVG."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from heatproof.client.documents.captions import Captions, choice, parameters
from heatproof.client.documents.results import Report
from heatproof.client.report.rows import number
from heatproof.v1.gate_pb2 import Check
from heatproof.v1.results_pb2 import Curve, MetricResult, Summary

WIDTH: Final = 340
HEIGHT: Final = 230
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 42
"""Pixels of a chart and of its margins."""

IMAGE_LINES: Final = 100
"""Images whose own curves are drawn behind the mean."""

STYLES: Final = {"random": "random", "oracle": "oracle", "uniform": "control", "rolled": "shifted"}
"""Styles of named curves; the others are the map's own."""

NAMES: Final = {
    "deletion": "this map",
    "insertion": "this map",
    "random": "random orders",
    "oracle": "oracle order",
    "uniform": "one random order",
    "rolled": "shifted map",
}
"""Names of curves in a legend."""

UNSEEN: Final = frozenset({"normalized"})
"""Curves of another unit than the others of their result."""

Y_TITLES: Final = {
    "probability": "class probability",
    "relative": "share of the clean probability",
    "logit_margin": "logit less the highest other",
}
"""What curves show, by the parameter `scale` of their metric."""

RELATIVE_METRICS: Final = frozenset({"occlusion_robustness"})
"""Metrics without that parameter whose curves are relative."""

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


def charts(report: Report) -> list[Chart]:
    """One chart for each result that has curves."""
    captions = report.captions
    return [
        _chart(captions, result, _image_curves(report, index))
        for index, result in enumerate(report.results)
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
    low, high = min(*ends, *bounds, summary.value), max(*ends, *bounds, summary.value)
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return round(8 + (value - low) / span * (WHISKER_WIDTH - 16), 1)

    return Whisker(at(summary.value), at(ends[0]), at(ends[1]), tuple(map(at, bounds)))


def _image_curves(report: Report, result: int) -> list[Curve]:
    """The curves of single images, without those of controls, which would hide them."""
    return [
        score.curves[_own(score.curves)]
        for image in report.images[:IMAGE_LINES]
        for score in image.scores
        if score.result == result and score.curves
    ]


def _own(names: Iterable[str]) -> str:
    """The curve of the map itself, else the first."""
    ordered = sorted(names, key=lambda name: (name in STYLES, name))
    return ordered[0]


def _chart(captions: Captions, result: MetricResult, images: Sequence[Curve]) -> Chart:
    row = captions.row(result)
    seen = [item for item in result.curves.items() if item[0] not in UNSEEN]
    curves = dict(sorted(seen, key=lambda item: item[0] not in STYLES))
    values = [value for curve in (*images, *curves.values()) for value in curve.values]
    ticks = _ticks(max([1.0, *values]), min([0.0, *values]))
    scale = _Scale(ticks[0], ticks[-1])
    added = any("insertion" in name for name in curves)
    lines = [Line("", "image", scale.points(curve)) for curve in images]
    lines += [
        Line(NAMES.get(name, name), STYLES.get(name, "own"), scale.points(curve))
        for name, curve in curves.items()
    ]
    return Chart(
        title=" · ".join(
            part for part in (row["metric"], row["explainer"], row["removal"]) if part
        ),
        model=row["model"],
        x_title=f"share of cells {'shown' if added else 'hidden'}",
        y_title=_y_title(result),
        lines=tuple(lines),
        x_ticks=tuple(Tick(scale.x(at), number(at)) for at in (0, 0.25, 0.5, 0.75, 1)),
        y_ticks=tuple(Tick(scale.y(at), number(at)) for at in ticks),
        images=len(images),
    )


def _y_title(result: MetricResult) -> str:
    usual = "relative" if choice(result.metric)[0] in RELATIVE_METRICS else "probability"
    scale = parameters(result.metric).get("scale", usual)
    return Y_TITLES.get(scale, scale)


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
