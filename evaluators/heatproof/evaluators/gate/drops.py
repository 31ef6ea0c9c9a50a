"""How large a drop may still be: upper limits of the drop of a candidate against its baseline.

| score | upper limit of the mean drop |
|---|---|
| proportion | Wilson's, of the share that only the candidate loses |
| mean or ratio of means, no atoms | bootstrap-t |
| mean with atoms | `q w + max(0, h)`, see `AtomLimit` |
| groups with atoms; bounded means where bounded intervals are asked for | betting |
| ratio of means with atoms | none |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from heatproof.evaluators.gate.pairing import Pair
from heatproof.evaluators.statistics.arms import Arm, ArmContrast, Rows
from heatproof.evaluators.statistics.bootstrap import Studentised, bootstrap_t, limit_of
from heatproof.evaluators.statistics.intervals import Intervals
from heatproof.evaluators.statistics.proportions import wilson_upper
from heatproof.evaluators.statistics.reductions import Mean


@runtime_checkable
class UpperLimit(Protocol):
    """Limits a drop from above."""

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """What it needs resampled."""
        ...

    def limit(self, found: Sequence[Studentised | None], tail: float) -> float | None:
        """The limit that the drop exceeds with chance `tail`; None if the data do not tell."""
        ...


def upper_limits(
    pairs: Sequence[Pair], *, seed: int, tail: float, kind: Intervals
) -> list[float | None]:
    """One-sided upper limits of the drops of several pairs, on the same resamples.

    Args:
        pairs: over the same units in the same order.
        seed: of the resamples.
        tail: chance of error of each limit.
        kind: which limits bounded means and proportions get.
    """
    methods = [_method(pair, kind) for pair in pairs]
    wanted = [() if method is None else method.contrasts() for method in methods]
    found = iter(bootstrap_t([one for group in wanted for one in group], seed=seed))
    limits = [
        None if method is None else method.limit([next(found) for _ in group], tail)
        for method, group in zip(methods, wanted, strict=True)
    ]
    return [
        None if limit is None else pair.drop_range().clip(limit)
        for limit, pair in zip(limits, pairs, strict=True)
    ]


def _method(pair: Pair, kind: Intervals) -> UpperLimit | None:
    reduction = pair.reduction
    is_bounded = reduction.is_mean and reduction.is_bounded
    if is_bounded and kind is Intervals.BOUNDED:
        return BettingLimit(pair)
    if not reduction.atoms:
        return BootstrapLimit(pair)
    if not is_bounded:
        return None
    make: Callable[[Pair], UpperLimit] = AtomLimit
    if pair.grouped:
        make = BettingLimit
    elif reduction.is_proportion:
        make = LossLimit
    return make(pair)


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapLimit:
    """Bootstrap-t limit of a drop of means or of ratios of means."""

    pair: Pair

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """The drop."""
        return (self.pair.drop(),)

    def limit(self, found: Sequence[Studentised | None], tail: float) -> float | None:
        """The limit; None if the resamples refuse it."""
        (studentised,) = found
        return limit_of(studentised, 1 - tail)


@dataclass(frozen=True, slots=True, eq=False)
class LossLimit:
    """Limit of the drop of a proportion: Wilson's, of the share that only the candidate loses.

    What it gains is not set against that, so the limit errs on the safe side. Ours.
    """

    pair: Pair

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """Nothing."""
        return ()

    def limit(self, found: Sequence[Studentised | None], tail: float) -> float | None:  # noqa: ARG002  # as the protocol says
        """The limit."""
        candidate, baseline = self.pair.successes()
        lost = int((baseline & ~candidate).sum())
        return wilson_upper(lost, len(candidate), tail=tail)


@dataclass(frozen=True, slots=True, eq=False)
class AtomLimit:
    """Limit of the drop of scores of which a share lies on an atom: `q w + max(0, h)`.

    `q` limits the share of units that are worse because one of the two scores, and not the other,
    is on an atom (Wilson), each of which costs the whole width `w` of the drop at most; `h` limits
    the mean of the other differences (bootstrap-t). Each errs with half the chance. Ours.
    """

    pair: Pair

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """The differences beside those that jump."""
        drop = self.pair.drop().arms[0]
        return (ArmContrast((drop.within(~self._jumps(drop)),)),)

    def limit(self, found: Sequence[Studentised | None], tail: float) -> float | None:
        """The limit; None with fewer than 8 other differences, or if their resamples refuse."""
        drop = self.pair.drop().arms[0]
        (others,) = found
        rest = limit_of(others, 1 - tail / 2)
        if rest is None:
            return None
        share = wilson_upper(int(self._jumps(drop).sum()), drop.count, tail=tail / 2)
        return share * self.pair.drop_range().upper + max(0.0, rest)

    def _jumps(self, drop: Arm) -> Rows:
        atoms = np.array(self.pair.reduction.atoms)
        mine = np.isin(self.pair.candidate.numerators, atoms)
        theirs = np.isin(self.pair.baseline.numerators, atoms)
        jumped: Rows = drop.scored & (mine | theirs) & (drop.numerators > 0)
        return jumped


@dataclass(frozen=True, slots=True, eq=False)
class BettingLimit:
    """Betting limit of the mean of bounded differences."""

    pair: Pair

    def contrasts(self) -> tuple[ArmContrast, ...]:
        """Nothing."""
        return ()

    def limit(self, found: Sequence[Studentised | None], tail: float) -> float | None:  # noqa: ARG002  # as the protocol says
        """The limit; None if no mean is left."""
        pair = self.pair
        differences = Mean(pair.drop_range())
        ends = differences.betting_limits(
            pair.drop().arms[0], grouped=pair.grouped, largest=pair.largest, tail=tail
        )
        return None if ends is None else ends[1]
