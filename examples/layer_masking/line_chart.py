"""A line for each removal operator, drawn by OpenCV."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

COLOURS: Final = {  # blue, green, red, as OpenCV writes them
    "layer": (170, 60, 20),
    "blur": (60, 130, 0),
    "mean": (30, 120, 230),
    "grey": (150, 150, 150),
    "black": (20, 20, 20),
    "white": (190, 110, 220),
}
_TEXT: Final = (40, 40, 40)
_WIDTH, _HEIGHT, _LEFT, _TOP, _SPAN, _TALL = 760, 460, 70, 40, 520, 350


@dataclass(frozen=True)
class LineChart:
    """Lines over an axis.

    Attributes:
        lines: points (x, y) of each operator.
        x_title: what stands below.
        y_title: what stands above.
        x_ticks: from 0 or above; the last ends the axis.
        y_ticks: from 0; the last ends the axis.
    """

    lines: Mapping[str, Sequence[tuple[float, float]]]
    x_title: str
    y_title: str
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    def picture(self) -> np.ndarray:
        """Pixels [height, width, 3], blue first."""
        canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
        for tick in self.y_ticks:
            cv2.line(canvas, self._pixel(0, tick), self._end(tick), (225, 225, 225), 1)
            _write(canvas, f"{tick:g}", (_LEFT - 45, self._pixel(0, tick)[1] + 5))
        for tick in self.x_ticks:
            _write(canvas, f"{tick:g}", (self._pixel(tick, 0)[0] - 10, _TOP + _TALL + 20))
        for place, (name, points) in enumerate(self.lines.items()):
            drawn = [np.array([self._pixel(*point) for point in points])]
            cv2.polylines(canvas, drawn, False, COLOURS[name], 2, cv2.LINE_AA)  # noqa: FBT003  # open
            _legend(canvas, name, place)
        _write(canvas, self.x_title, (_LEFT + 100, _TOP + _TALL + 45))
        _write(canvas, self.y_title, (_LEFT, _TOP - 15))
        return canvas

    def _pixel(self, x: float, y: float) -> tuple[int, int]:
        right, up = x / self.x_ticks[-1], y / self.y_ticks[-1]
        return _LEFT + round(right * _SPAN), _TOP + round((1 - up) * _TALL)

    def _end(self, y: float) -> tuple[int, int]:
        return self._pixel(self.x_ticks[-1], y)


def _legend(canvas: np.ndarray, name: str, place: int) -> None:
    x, y = _LEFT + _SPAN + 20, _TOP + 15 + 24 * place
    cv2.line(canvas, (x, y), (x + 24, y), COLOURS[name], 2)
    _write(canvas, name, (x + 30, y + 5), COLOURS[name])


def _write(
    canvas: np.ndarray, text: str, at: tuple[int, int], colour: tuple[int, int, int] = _TEXT
) -> None:
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
