"""A linear model of what a network says of an image whose regions are shown or hidden at random."""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64

from heatproof.evaluators.errors import placed
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.regions import Regions
from heatproof.evaluators.regions.segmentation import Segmentation, check_segmentation
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.removal.operator import RemovalOperator

MOST_REGIONS: Final = 2048
"""Regions of one linear model: memory grows with their square, time with their cube."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What was fitted to one image.

    Attributes:
        coefficients: what showing each region adds to the probability of the target.
        shown: which regions each sample shows; all of them in the first.
        probabilities: of the target, for each sample.
        zero_coverage: samples in which the model saw nothing at all.
    """

    coefficients: Float64[np.ndarray, "cells"]
    shown: Bool[np.ndarray, "samples cells"]
    probabilities: Float64[np.ndarray, "samples"]
    zero_coverage: int


@dataclass(frozen=True, slots=True)
class Surrogate:
    """How the linear model is fitted (Ribeiro et al. 2016, arXiv 1602.04938).

    Attributes:
        samples: images with regions shown or hidden.
        width: of the kernel that weighs samples by their likeness to the whole image.
        ridge: weight of the coefficients' squares.
    """

    samples: int
    width: float
    ridge: float

    def fit(self, sample: Sample, regions: Regions, removal: RemovalOperator) -> Procedure[Fit]:
        """Asks for every sample and fits; NaN where the model answers NaN."""
        shown = shown_at_random(sample, regions.cells, self.samples)
        views = (sample.view(regions.spread(row), removal) for row in shown)
        found = yield from respond(views, sample.probability)
        weights = likeness(shown, self.width)
        coefficients = ridge_regression(shown, found.values, weights, self.ridge)
        return Fit(coefficients, shown, found.values, found.zero_coverage)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateParameters:
    """Parameters of what is registered and fits a linear model."""

    width: float = parameter(
        0.25,
        "Width of the kernel that weighs samples by their likeness to the image.",
        within=Range(0, 100, lower_included=False),
    )
    ridge: float = parameter(
        1.0, "Weight of the coefficients' squares.", within=Range(1e-9, 1_000_000)
    )

    def surrogate(self, samples: int) -> Surrogate:
        """How the linear model is fitted to so many samples."""
        return Surrogate(samples, self.width, self.ridge)


def check_regions(
    segmentation: Segmentation, height: int, width: int, *, most: int = MOST_REGIONS
) -> None:
    """Refuses regions that do not fit the input, or that are known to be too many.

    Raises:
        InvalidArgumentError: at a path such as `regions.slic.segments`.
    """
    check_segmentation(segmentation, height, width)
    least = ceil(sqrt(height * width / most))
    why = f"a linear model is fitted to at most {most} regions"
    with placed(f"regions.{segmentation.name}"):
        segmentation.check_coarse(height, width, least, why)


def unfit_regions(regions: Regions, *, most: int = MOST_REGIONS) -> Undefined | None:
    """Why no linear model is fitted to regions of which the image decided how many there are."""
    if regions.cells <= most:
        return None
    return Undefined(
        Reason.TOO_FINE,
        f"the image has {regions.cells} regions, and a linear model is fitted to at most "
        f"{most}: choose coarser ones",
    )


def shown_at_random(sample: Sample, cells: int, samples: int) -> Bool[np.ndarray, "samples cells"]:
    """Draws which regions each sample shows: all of them first, then each with probability 1/2.

    The same for all models and removal operators; more samples keep those that were drawn.
    """
    shown: Bool[np.ndarray, "samples cells"] = (
        sample.rng("subsets/surrogate").random((samples, cells)) < 0.5
    )
    shown[0] = True
    return shown


def likeness(
    shown: Bool[np.ndarray, "samples cells"], width: float
) -> Float64[np.ndarray, "samples"]:
    """`exp(-d^2 / (2 width^2))`, `d` being one minus the cosine to the sample that shows all.

    The cosine of `k` out of `n` shown regions is `sqrt(k / n)`.
    """
    distances = 1 - np.sqrt(shown.mean(axis=1))
    return np.asarray(np.exp(-(distances**2) / (2 * width**2)))


def ridge_regression(
    shown: Bool[np.ndarray, "samples cells"],
    values: Float64[np.ndarray, "samples"],
    weights: Float64[np.ndarray, "samples"],
    ridge: float,
) -> Float64[np.ndarray, "cells"]:
    """Minimises `sum of weight (value - b - shown . beta)^2 + ridge |beta|^2` over b and beta."""
    rows = shown.astype(np.float64)
    centred = rows - np.average(rows, axis=0, weights=weights)
    gram = (centred * weights[:, None]).T @ centred
    moments = (centred * weights[:, None]).T @ values
    return np.asarray(np.linalg.solve(gram + ridge * np.eye(len(gram)), moments))
