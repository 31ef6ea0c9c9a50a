"""Scores with their intervals on the left, curves on the right, drawn by OpenCV."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from axes import LinearAxis, axis_of
from orderings import number

_INK: Final = (50, 50, 50)
_PALE: Final = (228, 228, 228)
_PALETTE: Final = (  # blue, green, red, as OpenCV writes them
    (150, 150, 150),
    (200, 160, 60),
    (70, 190, 200),
    (30, 120, 230),
    (40, 40, 200),
    (60, 130, 0),
    (170, 60, 20),
    (190, 110, 220),
)
_SCALE: Final = 2
"""Pixels a unit: the pictures are read at half their size."""
_TOP, _LEFT, _BAR, _ROW = 44, 178, 300, 27
_CURVE_LEFT, _CURVE = 640, 300
_WIDTH_OF_SCORES, _WIDTH = 590, 980


@dataclass(frozen=True)
class Score:
    """A row on the left.

    Attributes:
        name: what it is of.
        value: the estimate; None where there is none.
        lower: end of its interval; None where there is none.
        upper: the other end.
        note: what stands behind it, such as how many images have no score.
    """

    name: str
    value: float | None
    lower: float | None = None
    upper: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """A picture.

    Attributes:
        title: what stands above.
        scores: rows, in their order.
        curves: points (x, y) by the rows' names; none leaves the right side out.
        x_title: what stands below the curves.
        y_title: what stands above them.
    """

    title: str
    scores: Sequence[Score]
    curves: Mapping[str, Sequence[tuple[float, float]]]
    x_title: str = ""
    y_title: str = ""

    def picture(self) -> np.ndarray:
        """Pixels [height, width, 3], blue first."""
        height = _TOP + _ROW * len(self.scores) + 46
        tall = max(height, 250 if self.curves else height)
        width = _WIDTH if self.curves else _WIDTH_OF_SCORES
        canvas = np.full((_SCALE * tall, _SCALE * width, 3), 255, np.uint8)
        _write(canvas, self.title, (12, 20), size=0.5)
        self._draw_scores(canvas)
        if self.curves:
            self._draw_curves(canvas, tall - _TOP - 46)
        return canvas

    def _draw_scores(self, canvas: np.ndarray) -> None:
        axis, tall = axis_of(list(_ends(self.scores)), _BAR), _ROW * len(self.scores)
        for tick in axis.ticks:
            x = _LEFT + axis.pixel(tick)
            _line(canvas, (x, _TOP), (x, _TOP + tall), _PALE)
            _write(canvas, number(tick), (x - 12, _TOP + tall + 18))
        for place, score in enumerate(self.scores):
            y = _TOP + _ROW * place + _ROW // 2
            _write(canvas, score.name, (12, y + 4))
            if score.value is None:
                _write(canvas, "no score", (_LEFT + 6, y + 4), (140, 140, 140))
                continue
            colour, x = _colour(place), _LEFT + axis.pixel(score.value)
            if score.lower is not None and score.upper is not None:
                ends = (_LEFT + axis.pixel(score.lower), _LEFT + axis.pixel(score.upper))
                _line(canvas, (ends[0], y), (ends[1], y), colour, 2)
                for end in ends:
                    _line(canvas, (end, y - 4), (end, y + 4), colour, 2)
            cv2.circle(canvas, (_SCALE * x, _SCALE * y), 5 * _SCALE, colour, -1, cv2.LINE_AA)
            _write(canvas, f"{number(score.value)}{score.note}", (_LEFT + _BAR + 12, y + 4))

    def _draw_curves(self, canvas: np.ndarray, tall: int) -> None:
        points = [np.array(line, np.float64) for line in self.curves.values()]
        across = LinearAxis.over([x for line in points for x in line[:, 0]], _CURVE)
        upwards = LinearAxis.over([y for line in points for y in line[:, 1]], tall)
        for tick in across.ticks:
            _write(canvas, number(tick), (_CURVE_LEFT + across.pixel(tick) - 10, _TOP + tall + 18))
        for tick in upwards.ticks:
            y = _TOP + tall - upwards.pixel(tick)
            _line(canvas, (_CURVE_LEFT, y), (_CURVE_LEFT + _CURVE, y), _PALE)
            _write(canvas, number(tick), (_CURVE_LEFT - 40, y + 4))
        names = [score.name for score in self.scores]
        for name, line in zip(self.curves, points, strict=True):
            drawn = [
                (
                    _SCALE * (_CURVE_LEFT + across.pixel(x)),
                    _SCALE * (_TOP + tall - upwards.pixel(y)),
                )
                for x, y in line
            ]
            line_of = np.array(drawn)[:, None]
            cv2.polylines(
                canvas,
                [line_of],
                color=_colour(names.index(name)),
                thickness=3,
                isClosed=False,
                lineType=cv2.LINE_AA,
            )
        _write(canvas, self.y_title, (_CURVE_LEFT, _TOP - 8))
        _write(canvas, self.x_title, (_CURVE_LEFT + 60, _TOP + tall + 36))


def _ends(scores: Sequence[Score]) -> Iterator[float]:
    for score in scores:
        yield from (end for end in (score.value, score.lower, score.upper) if end is not None)


def _colour(place: int) -> tuple[int, int, int]:
    return _PALETTE[place % len(_PALETTE)]


def _line(
    canvas: np.ndarray,
    start: tuple[int, int],
    end: tuple[int, int],
    colour: tuple[int, int, int],
    width: int = 1,
) -> None:
    ends = [tuple(_SCALE * value for value in point) for point in (start, end)]
    cv2.line(canvas, *ends, colour, _SCALE * width, cv2.LINE_AA)


def _write(
    canvas: np.ndarray,
    text: str,
    at: tuple[int, int],
    colour: tuple[int, int, int] = _INK,
    size: float = 0.42,
) -> None:
    place = (_SCALE * at[0], _SCALE * at[1])
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(canvas, text, place, font, _SCALE * size, colour, _SCALE, cv2.LINE_AA)
