"""Curves of the class probability as cells are removed or added, and their areas."""

from enum import StrEnum


class CurveScale(StrEnum):
    """Scalings of a curve before its area is taken."""

    PROBABILITY = "probability"
    RELATIVE = "relative"
