"""The engine that holds attributions of subsets of the regions against what their removal takes."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.metrics.functions.subsets import (
    Effects,
    Output,
    Subset,
    effects_of,
    masses,
    singles,
)
from heatproof.evaluators.metrics.metric import Cost, Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions import Grid, Regions, Segmentation
from heatproof.evaluators.regions.segmentation import MIN_MASKED_CELL, check_segmentation
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.statistics.reductions import Mean, Reduction

COUNTS: Final[Mapping[str, Reduction]] = {"n_zero_coverage": Mean(NOT_NEGATIVE)}
"""Parts of all these metrics: subsets without which the model saw nothing."""

_NOT_FINITE: Final = Undefined(
    Reason.NOT_FINITE, "the model's answer to a perturbed image holds NaN or infinity"
)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is held against each other on one image.

    Attributes:
        map: the attributions.
        regions: what is removed, alone or together.
        subsets: gives the subsets, the same ones at each call, so that none is kept.
        drops: what the removal of each subset takes away.
    """

    map: Map
    regions: Regions
    subsets: Callable[[], Iterator[Subset]]
    drops: Float64[np.ndarray, "subsets"]

    @property
    def attributions(self) -> Float64[np.ndarray, "subsets"]:
        """The summed attribution of each subset."""
        return self.masses(self.regions.sums(self.map))

    def masses(self, values: Float64[np.ndarray, "cells"]) -> Float64[np.ndarray, "subsets"]:
        """The sum over each subset of one value a region."""
        return masses(self.subsets(), values)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetFidelity(Metric):
    """Removes subsets of the regions: `d = y(x) - y(x without S)` against `a = sum of A over S`."""

    output: Output = parameter(Output.PROBABILITY, "What is read of an answer.")

    @property
    @abstractmethod
    def segmentation(self) -> Segmentation:
        """What is removed, alone or together."""

    @abstractmethod
    def chosen(self, case: Case, regions: Regions) -> Iterator[Subset]:
        """The subsets of an image's regions that are removed, the same ones at each call."""

    @abstractmethod
    def measure(self, evidence: Evidence) -> Outcome:
        """Scores an image whose map is fit and whose drops are finite."""

    @property
    def reduction(self) -> Reduction:
        """The mean of correlations."""
        return Mean(Range(-1, 1))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Counts of subsets without which the model saw nothing."""
        return COUNTS

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit the input."""
        check_segmentation(self.segmentation, case.model.height, case.model.width)

    def unfit(self, case: Case, regions: Regions) -> Undefined | None:
        """Why an image is not scored, whatever the model says."""
        means = regions.means(case.map)
        if case.map.min() == case.map.max() or is_constant(means):
            return Undefined(Reason.DEGENERATE, "all regions have the same mean attribution")
        return None

    def effects(self, case: Case, regions: Regions) -> Procedure[Effects]:
        """Removes the subsets."""
        read = self.output.reading(case.sample)
        return effects_of(self.chosen(case, regions), case.sample, regions, case.removal, read)

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        regions = case.sample.regions(self.segmentation)
        if reason := self.unfit(case, regions):
            return Outcome(reason)
        found = yield from self.effects(case, regions)
        counts = {"n_zero_coverage": float(found.zero_coverage)}
        if not np.isfinite(found.drops).all():
            return Outcome(_NOT_FINITE, counts)
        evidence = Evidence(case.map, regions, lambda: self.chosen(case, regions), found.drops)
        outcome = self.measure(evidence)
        return Outcome(outcome.score, {**outcome.parts, **counts}, outcome.curves)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionSubsets(SubsetFidelity):
    """Removes subsets of regions of any kind."""

    regions: Segmentation = parameter(Grid(), "What is removed, alone or together.")

    @property
    def segmentation(self) -> Segmentation:
        """The parameter."""
        return self.regions


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleRegions(RegionSubsets):
    """Removes every region alone.

    Equal regions make equal queries, so that an evaluation answers those of all these metrics, and
    the single drops of `occlusion_corrected_deletion`, once.
    """

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit the input, or that the operator cannot hide alone."""
        height, width = case.model.height, case.model.width
        check_segmentation(self.segmentation, height, width, hidden_by=case.removal)

    def cost(self, case: Case) -> Cost:
        """Every region once."""
        return Cost(views=self.segmentation.most(case.model.height, case.model.width))

    def unfit(self, case: Case, regions: Regions) -> Undefined | None:
        """A flat map, and regions that an image made too small to be hidden alone."""
        if reason := SubsetFidelity.unfit(self, case, regions):
            return reason
        if case.removal.masking is not None and regions.mean_side < MIN_MASKED_CELL:
            detail = (
                f"the image has {regions.cells} regions of {regions.mean_side:.0f} pixels a side "
                f"on average, which vanish inside the network with {case.removal.name}"
            )
            return Undefined(Reason.NO_PLACE_EFFECT, detail)
        return None

    def chosen(self, case: Case, regions: Regions) -> Iterator[Subset]:
        """Every region alone."""
        return singles(regions.cells)
