"""Draws points side by side, coloured by kind."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

LEFT: Final = 70
TOP: Final = 40
SIDE: Final = 340
STEP: Final = 460
"""Pixels from one drawing to the next."""
COLOURS: Final = ((170, 60, 20), (60, 130, 0), (30, 120, 230), (40, 40, 200))
"""Blue, green, red, as OpenCV writes them."""
INK: Final = (40, 40, 40)
TICKS: Final = 5


@dataclass(frozen=True)
class Scatter:
    """Points of one drawing.

    Attributes:
        title: what is drawn upwards.
        across: values to the right, [points].
        upwards: values, [points].
        kinds: index of the colour, [points].
    """

    title: str
    across: np.ndarray
    upwards: np.ndarray
    kinds: np.ndarray


def drawn(scatters: Sequence[Scatter], legend: Sequence[str], across: str) -> np.ndarray:
    """A picture of all drawings, under a legend of the kinds."""
    canvas = np.full((TOP + SIDE + 90, LEFT + STEP * len(scatters), 3), 255, np.uint8)
    for place, scatter in enumerate(scatters):
        _draw(canvas[:, STEP * place :], scatter, across)
    for kind, text in enumerate(legend):
        at = (LEFT + 215 * kind, TOP + SIDE + 75)
        cv2.circle(canvas, (at[0] - 12, at[1] - 5), 5, COLOURS[kind], -1, cv2.LINE_AA)
        _write(canvas, text, at)
    return canvas


def _draw(canvas: np.ndarray, scatter: Scatter, across: str) -> None:
    columns, rows = _Axis.over(scatter.across), _Axis.over(scatter.upwards)
    for tick in columns.ticks:
        x = LEFT + columns.pixel(tick)
        cv2.line(canvas, (x, TOP), (x, TOP + SIDE), (225, 225, 225), 1)
        _write(canvas, f"{tick:.2f}", (x - 14, TOP + SIDE + 18))
    for tick in rows.ticks:
        y = TOP + SIDE - rows.pixel(tick)
        cv2.line(canvas, (LEFT, y), (LEFT + SIDE, y), (225, 225, 225), 1)
        _write(canvas, f"{tick:.2f}", (LEFT - 42, y + 4))
    for x, y, kind in zip(scatter.across, scatter.upwards, scatter.kinds, strict=True):
        at = (LEFT + columns.pixel(x), TOP + SIDE - rows.pixel(y))
        cv2.circle(canvas, at, 5, COLOURS[kind], -1, cv2.LINE_AA)
    _write(canvas, scatter.title, (LEFT, TOP - 14))
    _write(canvas, across, (LEFT + 80, TOP + SIDE + 42))


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float

    @classmethod
    def over(cls, values: np.ndarray) -> "_Axis":
        margin = 0.05 * float(np.ptp(values)) or 1.0
        return cls(float(values.min()) - margin, float(values.max()) + margin)

    @property
    def ticks(self) -> np.ndarray:
        return np.linspace(self.low, self.high, TICKS)

    def pixel(self, value: float) -> int:
        return round(SIDE * (value - self.low) / (self.high - self.low))


def _write(canvas: np.ndarray, text: str, at: tuple[int, int]) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
