"""Subsets of cells: how they are drawn, and what their removal takes away.

Every metric that holds attributions against the effects of removing cells shares this engine.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
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

_LEAST_EFFECT: Final = 1e-7
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


def fixed_size(sample: Sample, cells: int, size: int, count: int) -> Iterator[Subset]:
    """Draws subsets of `size` cells; each by itself, so that their number changes none."""
    for index in range(count):
        rng = sample.rng(f"subsets/{size}/{index}")
        chosen = np.zeros(cells, np.bool_)
        chosen[rng.choice(cells, size, replace=False)] = True
        yield chosen


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
) -> Procedure[Effects]:
    """Removes one subset after the other from the clean image; `subsets` may be lazy."""
    views = (sample.view(regions.spread(~subset), removal) for subset in subsets)
    found = yield from respond(views, read)
    return Effects(read(sample.clean) - found.values, found.zero_coverage)


def masses(
    subsets: Sequence[Subset], sums: Float64[np.ndarray, "cells"]
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
    if is_constant(drops, _LEAST_EFFECT):
        detail = f"removing {subject} has the same effect wherever they lie"
        return Undefined(Reason.NO_PLACE_EFFECT, detail)
    found = measure(attributions, drops)
    if found is None:
        return Undefined(Reason.DEGENERATE, f"all sets of {subject} have the same attribution")
    return found
