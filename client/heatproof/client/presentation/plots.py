"""Drawings of a report by matplotlib."""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from heatproof.client.documents.results import Report
from heatproof.client.errors import UsageError
from heatproof.client.extras import required
from heatproof.client.report.numbers import ARROWS, number
from heatproof.v1.results_pb2 import Curve, ImageResult, MetricResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHART: Final = (4.6, 3.2)
"""Width and height of a chart of curves in inches."""

ROW: Final = 0.32
"""Height of a row of scores in inches."""

PICTURE: Final = 2.2
"""Side of a map in inches."""

CHARTS_ABREAST: Final = 3
"""Charts side by side."""

DASHES: Final = {
    Curve.ROLE_REFERENCE: ":",
    Curve.ROLE_ORACLE: "--",
    Curve.ROLE_CONTROL: "-.",
}
"""Lines of what a curve is held against; its own is solid."""


@dataclass(frozen=True, slots=True)
class ReportPlots:
    """Drawings of one report, as figures that nobody else holds: show or save them.

    Attributes:
        report: what is drawn.
    """

    report: Report

    def curves(self) -> "Figure":
        """The mean curves: a chart for each metric, operator and model, a colour an explainer.

        Raises:
            UsageError: no metric of the report has curves.
        """
        charts: dict[str, list[tuple[str, MetricResult]]] = {}
        for result in self.report.results:
            if result.curves:
                row = self.report.captions.row(result)
                charts.setdefault(self._chart(row), []).append((row["explainer"], result))
        if not charts:
            raise UsageError("no metric of this report has curves: deletion is one that has")
        figure, axes = _grid(len(charts), CHART)
        for axis, (title, drawn) in zip(axes, charts.items(), strict=True):
            _draw_curves(axis, title, drawn)
        return figure

    def maps(self, images: int = 4) -> "Figure":
        """The maps over the first images, each with the attribution at the ends of its scale.

        A row an image; a column the image as models see it, then one a model and explainer.

        Args:
            images: how many images, at least 1.

        Raises:
            UsageError: the evaluation has kept no overlays.
        """
        held = [image for image in self.report.images if image.overlays][: max(images, 1)]
        if not held:
            raise UsageError("this report has no maps: evaluate with keep_overlays=True")
        pictures = [list(self._pictures(image)) for image in held]
        columns = max(map(len, pictures))
        figure = _figure(PICTURE * columns, PICTURE * len(held) * 1.12)
        grid = figure.subplots(len(held), columns, squeeze=False)
        for row, drawn in zip(grid, pictures, strict=True):
            for axis in row:
                axis.axis("off")
            for axis, (title, pixels) in zip(row, drawn, strict=False):
                axis.imshow(pixels)
                axis.set_title(title, fontsize=8)
        return figure

    def _pictures(self, image: ImageResult) -> Iterator[tuple[str, Any]]:
        """An image as models see it, once where they see the same, and its maps, with titles."""
        for jpeg in dict.fromkeys(held.jpeg for held in image.input_pictures):
            yield image.display_name, _picture(jpeg, "jpg")
        for overlay in image.overlays:
            text = self.report.captions.short(overlay.explainer)
            scale = f"{number(overlay.lowest)} to {number(overlay.highest)}"
            title = f"{self._model_prefix(overlay.model)}{text}\n{scale}"
            yield title, _picture(overlay.png, "png")

    def scores(self) -> "Figure":
        """The scores with their 95 % intervals: a chart a metric, a row an explainer and operator.

        Raises:
            UsageError: nothing was scored.
        """
        return self._scored([model.name for model in self.report.models])

    def compare(self) -> "Figure":
        """The same for several models, whose scores stand beside each other in each row.

        What tells two models apart is `Client.compare_models`, for their scores are paired.

        Raises:
            UsageError: the report is of one model.
        """
        if len(self.report.models) < 2:
            raise UsageError("this report is of one model: evaluate a list of them to compare")
        return self._scored([model.name for model in self.report.models])

    def _scored(self, models: Sequence[str]) -> "Figure":
        charts: dict[str, dict[str, list[MetricResult]]] = {}
        for result in self.report.results:
            if result.summary.HasField("value") and set(result.models) <= set(models):
                row = self.report.captions.row(result)
                place = " · ".join(filter(None, (row["explainer"], row["removal"]))) or "model"
                charts.setdefault(row["metric"], {}).setdefault(place, []).append(result)
        if not charts:
            raise UsageError("nothing of this report was scored: see its images for the reasons")
        rows = sum(len(chart) for chart in charts.values())
        height = ROW * max(1, len(models)) ** 0.5 * rows + 0.75 * len(charts)
        figure = _figure(6.8, height)
        ratios = [len(chart) + 1 for chart in charts.values()]
        grid = figure.subplots(len(charts), 1, squeeze=False, height_ratios=ratios)
        for axis, (metric, chart) in zip(grid[:, 0], charts.items(), strict=True):
            self._draw_scores(axis, metric, chart)
        if len(models) > 1:
            figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper right")
        return figure

    def _draw_scores(self, axis: "Axes", metric: str, chart: dict[str, list[MetricResult]]) -> None:
        named = [",".join(result.models) for held in chart.values() for result in held]
        order = list(dict.fromkeys(named))
        for index, models in enumerate(order):
            shift = (index - (len(order) - 1) / 2) * 0.7 / len(order)
            points = [
                (at + shift, result)
                for at, held in enumerate(chart.values())
                for result in held
                if ",".join(result.models) == models
            ]
            caption = self.report.captions.panel(models.split(","))
            _draw_points(axis, points, f"C{index}", caption)
        axis.set_yticks(range(len(chart)), list(chart), fontsize=8)
        axis.set_ylim(len(chart) - 0.5, -0.5)
        arrow = ARROWS.get(next(iter(chart.values()))[0].direction, "")
        axis.set_title(f"{metric} {arrow}".strip(), fontsize=9, loc="left")
        axis.grid(axis="x", alpha=0.3)
        axis.tick_params(axis="x", labelsize=8)

    def _chart(self, row: dict[str, str]) -> str:
        model = row["model"] if len(self.report.models) > 1 else ""
        return " · ".join(filter(None, (row["metric"], row["removal"], model)))

    def _model_prefix(self, model: str) -> str:
        several = len(self.report.models) > 1
        return f"{self.report.captions.model(model)}: " if several else ""


def _figure(width: float, height: float) -> "Figure":
    # No pyplot: it would keep every figure alive, and needs a main thread.
    figures = required("matplotlib.figure", extra="plot")
    figure: Figure = figures.Figure(figsize=(width, height), layout="constrained")
    return figure


def _grid(charts: int, size: tuple[float, float]) -> "tuple[Figure, list[Axes]]":
    columns = min(charts, CHARTS_ABREAST)
    rows = math.ceil(charts / columns)
    figure = _figure(size[0] * columns, size[1] * rows)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis in axes[charts:]:
        axis.remove()
    return figure, axes[:charts]


def _draw_curves(axis: "Axes", title: str, drawn: Sequence[tuple[str, MetricResult]]) -> None:
    for index, (explainer, result) in enumerate(drawn):
        for name, curve in _own_first(result):
            own = curve.label or name
            label = f"{explainer} {own}".strip() if len(result.curves) > 1 else explainer or own
            style = DASHES.get(curve.role, "-")
            axis.plot(
                curve.fractions, curve.values, style, color=f"C{index}", label=label, linewidth=1.4
            )
            axis.set_xlabel(curve.x_unit, fontsize=8)
            axis.set_ylabel(curve.unit, fontsize=8)
    axis.set_title(title, fontsize=9, loc="left")
    axis.grid(alpha=0.3)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=7)


def _own_first(result: MetricResult) -> Iterator[tuple[str, Curve]]:
    yield from sorted(result.curves.items(), key=lambda held: (held[1].role in DASHES, held[0]))


def _draw_points(
    axis: "Axes", points: Sequence[tuple[float, MetricResult]], colour: str, label: str
) -> None:
    values = [result.summary.value for _, result in points]
    axis.plot(values, [at for at, _ in points], "o", color=colour, label=label, markersize=4)
    for at, result in points:
        if result.summary.HasField("interval"):
            held = result.summary.interval
            axis.plot([held.lower, held.upper], [at, at], "-", color=colour, linewidth=1.4)


def _picture(data: bytes, form: str) -> Any:  # noqa: ANN401  # an array of matplotlib's
    return required("matplotlib.image", extra="plot").imread(io.BytesIO(data), format=form)
