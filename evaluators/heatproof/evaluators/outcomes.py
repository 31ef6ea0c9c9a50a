"""What a metric says of one image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from heatproof.evaluators.catalogue import UNBOUNDED, UNIT, Range


class Direction(StrEnum):
    """What a good score is."""

    HIGHER_IS_BETTER = "higher_is_better"
    LOWER_IS_BETTER = "lower_is_better"
    CLOSER_TO_ZERO = "closer_to_zero"


class Reason(StrEnum):
    """Why an image has no score."""

    DEGENERATE = "DEGENERATE"
    NO_PLACE_EFFECT = "NO_PLACE_EFFECT"
    WEAK_ORACLE = "WEAK_ORACLE"
    NO_GRADIENT = "NO_GRADIENT"
    NO_BACKGROUND = "NO_BACKGROUND"
    NO_OBJECT = "NO_OBJECT"
    NO_MAP = "NO_MAP"
    ZERO_COVERAGE = "ZERO_COVERAGE"
    NO_CONFIDENCE = "NO_CONFIDENCE"
    NOT_FINITE = "NOT_FINITE"
    FLIPPED = "FLIPPED"


@dataclass(frozen=True, slots=True)
class Undefined:
    """Why there is no score.

    Attributes:
        reason: for machines.
        detail: for people.
    """

    reason: Reason
    detail: str


Score = float | Undefined
"""A finite score, or why there is none; never a silent NaN."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over the share of cells removed or added.

    Attributes:
        fractions: ascending, in [0, 1].
        values: at `fractions`.
    """

    fractions: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a metric says of one image.

    Attributes:
        score: the score, or why there is none.
        parts: what it is made of and its controls, by name.
        curves: the curves behind it, by name.
    """

    score: Score
    parts: Mapping[str, Score] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeanEstimator:
    """A data set's score is the mean of its images' scores.

    The declarations decide how the interval is made; see docs/statistics.md.

    Attributes:
        range: where every image's score lies; an end that is not known is infinite.
        atoms: scores that a real share of the images has exactly, such as the 0 of a flip.
    """

    range: Range = UNBOUNDED
    atoms: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ProportionEstimator:
    """A data set's score is the share of images whose score is 1; the others' is 0."""

    range: ClassVar[Range] = UNIT
    atoms: ClassVar[tuple[float, ...]] = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class RatioEstimator:
    """A data set's score is a ratio of differences of means, never a mean of ratios.

    `(mean a - mean b) / (mean c - mean d)` over the images that have this score and these parts.

    Attributes:
        numerator: names of the parts a and b; an empty name stands for 0.
        denominator: names of the parts c and d; an empty name stands for 0.
        min_denominator: smaller denominators give no score.
        range: where the data set's score lies; an end that is not known is infinite.
        atoms: scores that a real share of the images has exactly.
        part_range: where each of the parts a, b, c and d lies.
    """

    numerator: tuple[str, str]
    denominator: tuple[str, str]
    min_denominator: float
    range: Range = UNBOUNDED
    atoms: tuple[float, ...] = ()
    part_range: Range = UNBOUNDED


Estimator = MeanEstimator | RatioEstimator | ProportionEstimator
"""From the scores of images to the scores of a data set, with their intervals."""
