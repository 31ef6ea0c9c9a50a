"""Subsets of cells: how they are drawn, and what their removal takes away.

Every metric that holds attributions against the effects of removing cells shares this engine.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64

from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.outcomes import Reason, Score, Undefined
from heatproof.evaluators.queries.procedure import Procedure, Readout, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.regions import Regions
from heatproof.evaluators.removal.operator import RemovalOperator

Subset: TypeAlias = Bool[np.ndarray, "cells"]
"""The cells that are removed together."""

LEAST_EFFECT: Final = 1e-7
"""Outputs that differ by less do not differ."""


class Output(StrEnum):
    """What is read of an answer."""

    PROBABILITY = "probability"
    LOGIT = "logit"

    def reading(self, sample: Sample) -> Readout:
        """Reads an answer about the sample's target."""
        return sample.probability if self is Output.PROBABILITY else sample.logit


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """What the removal of subsets takes away.

    Attributes:
        drops: `y(x) - y(x without S)` for each subset S.
        zero_coverage: subsets without which the model saw nothing at all.
    """

    drops: Float64[np.ndarray, "subsets"]
    zero_coverage: int


def size_of(share: float, cells: int) -> int:
    """How many cells a share of them is, at least one."""
    return max(1, round(share * cells))


def fixed_size(sample: Sample, cells: int, size: int, count: int) -> Iterator[Subset]:
    """Draws subsets of `size` cells; each by itself, so that their number changes none."""
    for index in range(count):
        rng = sample.rng(f"subsets/{size}/{index}")
        chosen = np.zeros(cells, np.bool_)
        chosen[rng.choice(cells, size, replace=False)] = True
        yield chosen


def independent(sample: Sample, cells: int, share: float, count: int) -> Iterator[Subset]:
    """Draws subsets that hold each cell with chance `share`; each by itself, as `fixed_size`."""
    for index in range(count):
        yield sample.rng(f"subsets/independent/{share}/{index}").random(cells) < share


def squares(sample: Sample, side: int, count: int) -> Iterator[Subset]:
    """Draws squares of the cells of a grid; each by itself, as `fixed_size`.

    Args:
        sample: the image.
        side: cells along each side of the grid, at least 2.
        count: of squares. Their sides are uniform in 1..side/2 cells, their places uniform.
    """
    for index in range(count):
        rng = sample.rng(f"subsets/squares/{side}/{index}")
        length = rng.integers(1, side // 2, endpoint=True)
        top, left = rng.integers(0, side - length, size=2, endpoint=True)
        chosen = np.zeros((side, side), np.bool_)
        chosen[top : top + length, left : left + length] = True
        yield chosen.reshape(-1)


def singles(cells: int) -> Iterator[Subset]:
    """Every cell alone."""
    for cell in range(cells):
        chosen = np.zeros(cells, np.bool_)
        chosen[cell] = True
        yield chosen


def effects_of(
    subsets: Iterable[Subset],
    sample: Sample,
    regions: Regions,
    removal: RemovalOperator,
    read: Readout,
    *,
    draw: int = 0,
) -> Procedure[Effects]:
    """Removes one subset after the other from the clean image; `subsets` may be lazy.

    `draw` tells what is painted by operators that draw it; see `Sample.view`.
    """
    views = (sample.view(regions.spread(~subset), removal, draw=draw) for subset in subsets)
    found = yield from respond(views, read)
    return Effects(read(sample.clean) - found.values, found.zero_coverage)


def masses(
    subsets: Iterable[Subset], sums: Float64[np.ndarray, "cells"]
) -> Float64[np.ndarray, "subsets"]:
    """The attribution of each subset, of the sums of its cells."""
    return np.array([sums[subset].sum() for subset in subsets])


def correlated(
    attributions: Float64[np.ndarray, "subsets"],
    drops: Float64[np.ndarray, "subsets"],
    measure: Callable[[np.ndarray, np.ndarray], float | None],
    subject: str,
) -> Score:
    """Correlates attributions with effects; a constant side has a status.

    Args:
        attributions: of each subset.
        drops: what the removal of each takes away.
        measure: a correlation, None where a side is constant.
        subject: what is removed, in words, such as `10% of the cells`.
    """
    if is_constant(drops, LEAST_EFFECT):
        detail = f"removing {subject} has the same effect wherever they lie"
        return Undefined(Reason.NO_PLACE_EFFECT, detail)
    found = measure(attributions, drops)
    if found is None:
        return Undefined(Reason.DEGENERATE, f"all sets of {subject} have the same attribution")
    return found
