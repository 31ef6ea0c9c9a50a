"""From a value of each region to one of each pixel."""

from enum import StrEnum

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.regions.regions import Regions


class Spread(StrEnum):
    """How the coefficient of a region becomes a value of each of its pixels."""

    DENSITY = "density"
    COEFFICIENT = "coefficient"


def spread_over(regions: Regions, coefficients: Float64[np.ndarray, "cells"], how: Spread) -> Map:
    """Shares each coefficient among the pixels of its region, or gives it to each of them."""
    values = coefficients / regions.areas if how is Spread.DENSITY else coefficients
    spread: Map = regions.spread(values)
    return spread
