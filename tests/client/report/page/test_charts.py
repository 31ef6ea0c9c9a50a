"""Curves of images as quantiles, and numbers for who does not see them."""

import re

import numpy as np
import pytest

from heatproof.client.report.page.charts import CHART_HEIGHT, chart
from heatproof.client.report.page.quantiles import LEAST, LEVELS, quantiles
from heatproof.v1.results_pb2 import Curve


def slope(factor: float, points: int = 2) -> Curve:
    """A straight line through 0, which any shares describe alike."""
    shares = np.linspace(0, 1, points)
    return Curve(fractions=shares, values=factor * shares)


@pytest.mark.parametrize("points", [2, 3, 7])
def test_quantiles_of_lines_are_lines_by_the_quantiles_of_their_slopes(points: int) -> None:
    slopes = [0.9, 0.1, 0.5, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6, 0.0, 1.0]  # quantile q is q itself
    found = quantiles([slope(factor, points) for factor in slopes], (0.0, 0.5, 1.0))
    assert found.images == len(slopes)
    for level, line in zip(LEVELS, found.lines, strict=True):
        assert line == pytest.approx((0, level / 2, level), abs=1e-12)


def test_few_images_are_drawn_one_by_one_and_many_as_bands() -> None:
    own = {"own": slope(0.5)}
    few = chart("t", "", own, [slope(0.1)] * (LEAST - 1))
    many = chart("t", "", own, [slope(0.1)] * LEAST)
    assert (few.areas, [line.style for line in few.lines]) == (
        (),
        ["image"] * (LEAST - 1) + ["own"],
    )
    assert [area.style for area in many.areas] == ["outer", "inner"]
    assert [line.style for line in many.lines] == ["median", "own"]
    assert (few.images, many.images) == (LEAST - 1, LEAST)


def heights(points: str) -> list[float]:
    return [CHART_HEIGHT - float(y) for _, y in re.findall(r"([\d.]+),([\d.]+)", points)]


def test_the_inner_band_lies_in_the_outer_one_and_the_median_in_both() -> None:
    images = [slope(factor) for factor in np.linspace(0, 1, 21)]
    drawn = chart("t", "", {"own": slope(0.5)}, images)
    (outer, inner), (median, _) = drawn.areas, drawn.lines
    # An outline goes along the upper line and back along the lower one.
    (_, top, bottom, _), (_, high, low, _) = heights(outer.points), heights(inner.points)
    middle = heights(median.points)[-1]
    assert bottom < low < middle < high < top
    assert (top - middle, high - middle) == pytest.approx(
        (middle - bottom, middle - low), abs=0.2
    )  # pixels are rounded


def test_the_axis_holds_the_bands_and_not_every_image() -> None:
    images = [slope(1)] * 40 + [slope(90)]
    assert chart("t", "", {"own": slope(1)}, images).y_ticks[-1].text == "1"


def test_numbers_say_what_is_drawn_at_each_tick() -> None:
    curves = {
        "own": Curve(fractions=[0, 1], values=[1, 0], label="this map", unit="p", x_unit="hidden"),
        "oracle": Curve(fractions=[0, 0.5, 1], values=[1, 0, 0], role="ROLE_ORACLE", unit="p"),
    }
    images = [slope(factor) for factor in np.linspace(0, 1, 21)]
    found = chart("t", "", curves, images)
    assert dict(found.numbers) == {
        "oracle, mean": ("1", "0.5", "0", "0", "0"),
        "this map, mean": ("1", "0.75", "0.5", "0.25", "0"),
        "5 % of images below": ("0", "0.0125", "0.025", "0.0375", "0.05"),
        "25 % below": ("0", "0.0625", "0.125", "0.1875", "0.25"),
        "median of images": ("0", "0.125", "0.25", "0.375", "0.5"),
        "75 % below": ("0", "0.1875", "0.375", "0.5625", "0.75"),
        "95 % below": ("0", "0.2375", "0.475", "0.7125", "0.95"),
    }
    assert found.words.startswith("p at 0, 0.25, 0.5, 0.75, 1 of hidden. oracle, mean: 1, 0.5, 0")
