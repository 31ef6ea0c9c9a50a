"""How the scores of images become the score of a data set."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar, Final, Protocol, runtime_checkable

import numpy as np

from heatproof.evaluators.outcomes import Reason
from heatproof.evaluators.registry.parameters import UNBOUNDED, UNIT, Range
from heatproof.evaluators.statistics.arms import Arm, ArmContrast, Column
from heatproof.evaluators.statistics.betting import grouped_limits, mean_limits, ratio_limits


@runtime_checkable
class Reduction(Protocol):
    """From the scores of images to the score of a data set.

    What is declared here decides how the interval is made; see docs/statistics.md. A reduction is
    a frozen value.

    Attributes:
        is_mean: whether it is the mean of the images' scores, each of which lies in `range`.
        is_proportion: whether it is the mean of scores that are 0 or 1.
        is_resampled: whether it is a ratio of sums over the images, which can be resampled; else
            it has neither standard error nor interval, and two models are not compared by it.
        left_out: why an image with a score of its own is in no sum.
    """

    is_mean: ClassVar[bool]
    is_proportion: ClassVar[bool]
    is_resampled: ClassVar[bool]
    left_out: ClassVar[Reason]

    @property
    def range(self) -> Range:
        """Where the data set's score lies; an end that is not known is infinite."""
        ...

    @property
    def atoms(self) -> tuple[float, ...]:
        """Scores that a real share of the images has exactly, such as the 0 of a flip."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that it reads beside the score."""
        ...

    @property
    def is_bounded(self) -> bool:
        """Whether everything that it sums has a finite range, so that `betting_limits` serve."""
        ...

    @property
    def min_denominator(self) -> float:
        """Mean denominators up to this give no score."""
        ...

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:
        """What is resampled, image by image; an image without a score of its own is in no sum.

        Args:
            scores: one an image; NaN where there is none.
            parts: each of `parts` by its name, likewise.
        """
        ...

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:
        """The data set's score.

        Args:
            images: the contrast.
            units: the contrast summed over the units of sampling.
        """
        ...

    def betting_limits(
        self, arm: Arm, *, grouped: bool, largest: int, tail: float
    ) -> tuple[float, float] | None:
        """Lower and upper betting limit, each of which errs with chance `tail`; None if none.

        Args:
            arm: summed over the units.
            grouped: whether units are groups of images.
            largest: images of the largest unit.
            tail: chance of error of each limit.
        """
        ...


class _Averaged:
    """What means and proportions share."""

    __slots__ = ()

    is_mean: ClassVar[bool] = True
    is_resampled: ClassVar[bool] = True
    left_out: ClassVar[Reason] = Reason.NO_PLACE_EFFECT

    @property
    def parts(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def min_denominator(self) -> float:
        """Less than the 1 of every image."""
        return 0.0

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:  # noqa: ARG002  # as the protocol says
        """The mean of the scores."""
        return ArmContrast((Arm.of_mean(scores),))

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:  # noqa: ARG002  # as above
        """The mean."""
        return units.estimate()


@dataclass(frozen=True, slots=True)
class Mean(_Averaged):
    """A data set's score is the mean of its images' scores.

    Attributes:
        range: where every image's score lies; an end that is not known is infinite.
        atoms: scores that a real share of the images has exactly, such as the 0 of a flip.
    """

    is_proportion: ClassVar[bool] = False

    range: Range = UNBOUNDED
    atoms: tuple[float, ...] = ()

    @property
    def is_bounded(self) -> bool:
        """Whether both ends of the range are finite."""
        return is_finite(self.range)

    def betting_limits(
        self, arm: Arm, *, grouped: bool, largest: int, tail: float
    ) -> tuple[float, float] | None:
        """Limits of the mean of bounded scores."""
        if grouped:
            return grouped_limits(arm, self.range, largest, tail)
        lower, width = self.range.lower, self.range.width
        low, high = mean_limits((arm.numerators[arm.scored] - lower) / width, tail)
        return (lower + width * float(low), lower + width * float(high)) if low <= high else None


@dataclass(frozen=True, slots=True)
class Proportion(_Averaged):
    """A data set's score is the share of images whose score is 1; the others' is 0."""

    is_proportion: ClassVar[bool] = True

    @property
    def range(self) -> Range:
        """Shares."""
        return UNIT

    @property
    def atoms(self) -> tuple[float, ...]:
        """Both scores that there are."""
        return (0.0, 1.0)

    @property
    def is_bounded(self) -> bool:
        """Always."""
        return True

    def betting_limits(
        self, arm: Arm, *, grouped: bool, largest: int, tail: float
    ) -> tuple[float, float] | None:
        """Limits of the mean of scores in [0, 1]."""
        return Mean(UNIT).betting_limits(arm, grouped=grouped, largest=largest, tail=tail)


@dataclass(frozen=True, slots=True)
class RatioOfMeans:
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

    is_mean: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False
    is_resampled: ClassVar[bool] = True
    left_out: ClassVar[Reason] = Reason.NO_PLACE_EFFECT

    numerator: tuple[str, str]
    denominator: tuple[str, str]
    min_denominator: float
    range: Range = UNBOUNDED
    atoms: tuple[float, ...] = ()
    part_range: Range = UNBOUNDED

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts a, b, c and d, each once."""
        return tuple(name for name in dict.fromkeys((*self.numerator, *self.denominator)) if name)

    @property
    def is_bounded(self) -> bool:
        """Whether the ranges of ratio and parts are finite."""
        return is_finite(self.range) and is_finite(self.part_range)

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:
        """The ratio of the means of `a - b` and `c - d`."""
        nothing = np.zeros(len(scores))
        a, b, c, d = (
            parts[name] if name else nothing for name in (*self.numerator, *self.denominator)
        )
        return ArmContrast((Arm.of_ratio(a - b, c - d).within(np.isfinite(scores)),))

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:  # noqa: ARG002  # as the protocol says
        """The ratio of the means."""
        return units.estimate()

    def betting_limits(
        self,
        arm: Arm,
        *,
        grouped: bool,  # noqa: ARG002  # a unit of one image is a group of one
        largest: int,
        tail: float,
    ) -> tuple[float, float] | None:
        """Limits of a ratio of means of bounded parts."""
        numerators = self._sums(self.numerator, largest)
        denominators = self._sums(self.denominator, largest)
        return ratio_limits(arm, self.range, numerators, denominators, tail)

    def _sums(self, names: tuple[str, str], images: int) -> Range:
        """Where the sum of a difference of two parts over so many images lies."""
        first, second = (self.part_range if name else Range(0, 0) for name in names)
        return Range(images * (first.lower - second.upper), images * (first.upper - second.lower))


class Unbounded:
    """What reductions share whose parts may be any number."""

    __slots__ = ()

    is_mean: ClassVar[bool] = False
    is_proportion: ClassVar[bool] = False
    left_out: ClassVar[Reason] = Reason.NO_PLACE_EFFECT

    @property
    def atoms(self) -> tuple[float, ...]:
        """None."""
        return ()

    @property
    def is_bounded(self) -> bool:
        """Never."""
        return False

    @property
    def min_denominator(self) -> float:
        """Any above 0 will do."""
        return 0.0

    def betting_limits(
        self,
        arm: Arm,  # noqa: ARG002  # as the protocol says
        *,
        grouped: bool,  # noqa: ARG002  # as above
        largest: int,  # noqa: ARG002  # as above
        tail: float,  # noqa: ARG002  # as above
    ) -> tuple[float, float] | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class Linearized(Unbounded):
    """A data set's score of which each image has a share to first order.

    The images' scores are linearized: their mean is the data set's score, which lies in the range,
    as none of them need.

    Attributes:
        range: where the data set's score lies.
    """

    is_resampled: ClassVar[bool] = True

    range: Range

    @property
    def parts(self) -> tuple[str, ...]:
        """None."""
        return ()

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:  # noqa: ARG002  # as the protocol says
        """The mean of the scores."""
        return ArmContrast((Arm.of_mean(scores),))

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:  # noqa: ARG002  # as the protocol says
        """The mean, without what rounding adds to the range."""
        return self.range.clip(units.estimate())


_ENTROPY_SHIFT: Final = 1e-7


@dataclass(frozen=True, slots=True)
class Entropy(Unbounded):
    """A data set's score is the entropy of how often each score occurs, in nats.

    `-sum_c p_c ln(p_c + 1e-7)` over the images' scores c, such as predicted classes
    (Balasubramanian and Feizi 2022, arXiv 2211.14646). High means no collapse into few of them; at
    most `ceiling(images, classes)`. A score of the set: no image's share in it can be resampled.
    """

    is_resampled: ClassVar[bool] = False

    @property
    def range(self) -> Range:
        """Not negative, but for the shift in the logarithm of one class alone."""
        return Range(-_ENTROPY_SHIFT, math.inf, upper_included=False)

    @property
    def parts(self) -> tuple[str, ...]:
        """None."""
        return ()

    @staticmethod
    def ceiling(images: int, classes: int) -> float:
        """The highest entropy that so many images of so many classes can have."""
        return math.log(min(images, classes))

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:  # noqa: ARG002  # as the protocol says
        """The scores as they are, image by image."""
        return ArmContrast((Arm.of_mean(scores),))

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:  # noqa: ARG002  # as the protocol says
        """The entropy; NaN of no image."""
        (arm,) = images.arms
        _, counts = np.unique(arm.numerators[arm.scored], return_counts=True)
        shares = counts / images.count if images.count else np.array([np.nan])
        return float(-(shares * np.log(shares + _ENTROPY_SHIFT)).sum())


@dataclass(frozen=True, slots=True)
class EntropyCeiling(Entropy):
    """The highest entropy that the set can have; each image's score is the number of classes."""

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:  # noqa: ARG002  # as the protocol says
        """`ln(min(images, classes))`; NaN of no image."""
        (arm,) = images.arms
        if not arm.count:
            return math.nan
        return self.ceiling(arm.count, int(arm.numerators.max()))


def is_finite(numbers: Range) -> bool:
    """Whether both ends are finite."""
    return isfinite(numbers.lower) and isfinite(numbers.upper)
