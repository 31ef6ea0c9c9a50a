"""What a metric says of one image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


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
    FULL_OBJECT = "FULL_OBJECT"
    NO_MAP = "NO_MAP"
    ZERO_COVERAGE = "ZERO_COVERAGE"
    NO_CONFIDENCE = "NO_CONFIDENCE"
    NOT_FINITE = "NOT_FINITE"
    FLIPPED = "FLIPPED"
    NO_DONOR = "NO_DONOR"
    MISCLASSIFIED = "MISCLASSIFIED"
    DISAGREEMENT = "DISAGREEMENT"
    PAIRED = "PAIRED"
    UNPAIRED = "UNPAIRED"
    TOO_FINE = "TOO_FINE"
    NO_LABEL = "NO_LABEL"
    NO_REPLACEMENT = "NO_REPLACEMENT"


OUTSIDE_OF_THE_SET: Final = frozenset({Reason.MISCLASSIFIED, Reason.PAIRED, Reason.UNPAIRED})
"""Reasons of images that a metric does not score by its definition, so that none is missing."""


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


class CurveRole(StrEnum):
    """What a curve is to its score."""

    SCORED = "scored"
    REFERENCE = "reference"
    ORACLE = "oracle"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class CurveFacts:
    """How a curve is drawn.

    Attributes:
        label: what it is, in a legend.
        role: what it is to the score.
        unit: what its values are.
        x_unit: what its fractions are of.
    """

    label: str
    role: CurveRole
    unit: str
    x_unit: str = "share of cells hidden"


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
