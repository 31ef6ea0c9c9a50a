"""Prints how often comparisons of two models err, for each kind of score, on seeded draws.

`python -m benchmarks.statistics.comparisons [--repetitions N]`; two minutes of one core.

Two models are drawn whose true values are equal, and two that differ. Counted are intervals that
hold the true difference, p-values of at most 0.05, and of families of tests those in which at least
one corrected p-value is. The Monte Carlo error of a share p is about `sqrt(p (1 - p) / N)`.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from heatproof.evaluators.comparison.differences import Duel, ModelValue, differences_of
from heatproof.evaluators.comparison.values import ModelDifference
from heatproof.evaluators.registry.parameters import UNBOUNDED, UNIT
from heatproof.evaluators.statistics.arms import Arm, ArmContrast, Column
from heatproof.evaluators.statistics.intervals import Measured
from heatproof.evaluators.statistics.permutation import holm
from heatproof.evaluators.statistics.reductions import Mean, Proportion, RatioOfMeans, Reduction

SIZES = (8, 20, 30, 100)
LEVEL = 0.05
GROUP = 3
"""Images of a group."""
FAMILY = 12
"""Tests of one comparison: three pairs of models by four quantities."""

Rng = np.random.Generator
Pair = tuple[ArmContrast, ArmContrast]


@dataclass(frozen=True)
class Kind:
    """A kind of score.

    Attributes:
        name: what the table calls it.
        draw: draws the values of two models on n units, whose true values are `apart`.
        reduction: what is declared of them.
        apart: the difference that is planted.
        grouped: whether units are groups.
    """

    name: str
    draw: Callable[[Rng, int, float], Pair]
    reduction: Reduction
    apart: float
    grouped: bool = False


def mean_of(values: Column) -> ArmContrast:
    return ArmContrast((Arm.of_mean(values),))


def normal(rng: Rng, units: int, apart: float) -> Pair:
    """Scores that share what the images bring; the second model's spread is three times as wide."""
    shared = rng.normal(0.5, 0.1, units)
    first, second = rng.normal(0, (0.05, 0.15), (units, 2)).T
    return mean_of(shared + first + apart), mean_of(shared + second)


def skewed(rng: Rng, units: int, apart: float) -> Pair:
    """One model with a long tail, one without."""
    tail = 0.1 * (rng.lognormal(0, 0.7, units) - np.exp(0.245))
    return mean_of(tail + apart), mean_of(rng.normal(0, 0.03, units))


def flips(rng: Rng, units: int, apart: float) -> Pair:
    """Scores near 0.9, of which each model has a share of zeros of its own."""

    def scores(share: float) -> Column:
        return np.where(rng.random(units) < share, 0.0, rng.beta(90, 10, units))

    return mean_of(scores(0.1)), mean_of(scores(0.1 + apart / 0.9))


def hits(rng: Rng, units: int, apart: float) -> Pair:
    """Hits of two models that mostly hit the same images."""
    ease = rng.random(units)
    slip = rng.random((2, units)) < 0.1
    first, second = (
        np.where(slip[place], rng.random(units) < share, ease < share) * 1.0
        for place, share in enumerate((0.8, 0.8 - apart))
    )
    return mean_of(first), mean_of(second)


def ratios(rng: Rng, units: int, apart: float) -> Pair:
    """What maps win of what could be won; occlusion costs the second model a third."""
    possible = rng.beta(3, 4, units)
    arms = [
        Arm.of_ratio(room * rng.normal(share, 0.25, units), room)
        for room, share in (
            (possible, 0.6 + apart),
            (possible * rng.normal(0.33, 0.08, units).clip(0.05), 0.6),
        )
    ]
    return ArmContrast((arms[0],)), ArmContrast((arms[1],))


def panel(rng: Rng, units: int, apart: float) -> Pair:
    """Qualities of two of three models, each the mean of what two judges gain."""
    ease = rng.normal(0, 0.1, units)
    rooms = [rng.beta(3, 4, units) * width for width in (1.0, 0.6, 0.3)]

    def gain(judge: int, value: float) -> Arm:
        won = rooms[judge] * (value + ease + rng.normal(0, 0.2, units))
        return Arm.of_ratio(0.5 * won, rooms[judge])

    first = ArmContrast((gain(1, 0.6 + apart), gain(2, 0.6 + apart)), (1.0, 1.0))
    return first, ArmContrast((gain(0, 0.6), gain(2, 0.6)), (1.0, 1.0))


def groups(rng: Rng, units: int, apart: float) -> Pair:
    """Groups of 3 images, whose differences are alike."""
    common = rng.normal(apart, 0.1, units)
    sums = [
        (rng.normal(0, 0.1, (units, GROUP)) + at[:, None]).sum(axis=1)
        for at in (common, np.zeros(units))
    ]
    sizes = np.full(units, float(GROUP))
    first, second = (ArmContrast((Arm.of_ratio(one, sizes),)) for one in sums)
    return first, second


RATIO = RatioOfMeans(("a", "b"), ("a", "c"), 0.0, UNBOUNDED, (), UNIT)
KINDS = (
    Kind("means, spreads of 1 and 3", normal, Mean(), 0.1),
    Kind("means, one skewed", skewed, Mean(), 0.1),
    Kind("10 % zeros each, the rest near 0.9", flips, Mean(UNIT, (0.0,)), 0.2),
    Kind("proportions of 0.8", hits, Proportion(), 0.2),
    Kind("ratios of means, one a third as wide", ratios, RATIO, 0.15),
    Kind("qualities in a panel of three", panel, RATIO, 0.15),
    Kind("groups of 3 images", groups, Mean(), 0.1, grouped=True),
)


def duel(kind: Kind, pair: Pair) -> Duel:
    largest = GROUP if kind.grouped else 1
    first, second = (
        ModelValue(name, Measured(one, kind.reduction, kind.grouped, largest), one.estimate())
        for name, one in zip("ab", pair, strict=True)
    )
    return Duel(first, second, is_tested=True)


def drawn(kind: Kind, units: int, apart: float, repetitions: int) -> list[ModelDifference]:
    rng = np.random.default_rng(units)
    duels = [duel(kind, kind.draw(rng, units, apart)) for _ in range(repetitions)]
    return differences_of(duels, tolerance=0.0, tests=1, seed=0)


def row(kind: Kind, units: int, repetitions: int) -> str:
    cells = []
    for apart in (0.0, kind.apart):
        found = drawn(kind, units, apart, repetitions)
        ends = np.array([(f.interval.lower, f.interval.upper) for f in found if f.interval])
        covered = ((ends[:, 0] <= apart) & (apart <= ends[:, 1])).mean()
        told = np.mean([f.p_value is not None and f.p_value <= LEVEL for f in found])
        none = f" ({1 - len(ends) / len(found):.0%} without)" if len(ends) < len(found) else ""
        width = np.median(ends[:, 1] - ends[:, 0])
        cells += [f"{100 * covered:.1f}{none}", f"{100 * told:.1f}", f"{width:.3f}"]
    return f"| {kind.name} | {units} | {' | '.join(cells[:5])} |"


def false_families(units: int, repetitions: int) -> float:
    """Share of comparisons of equal models in which a corrected p-value is at most 0.05."""
    rng = np.random.default_rng(1)
    kinds = [KINDS[0], KINDS[2], KINDS[4], KINDS[5]]
    duels = [
        duel(kind, kind.draw(rng, units, 0.0))
        for _ in range(repetitions)
        for kind in kinds
        for _ in range(FAMILY // len(kinds))
    ]
    values = [f.p_value or 0.0 for f in differences_of(duels, tolerance=0.0, tests=1, seed=0)]
    families = np.array(values).reshape(repetitions, FAMILY)
    return float(np.mean([min(holm(one.tolist())) <= LEVEL for one in families]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=500)
    repetitions = parser.parse_args().repetitions
    print("| score | n | equal: covered | p <= 0.05 | width | apart: covered | p <= 0.05 |")
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        for units in SIZES:
            print(row(kind, units, repetitions), flush=True)
    for units in (20, 100):
        share = false_families(units, max(1, repetitions // 4))
        print(f"{FAMILY} tests, n = {units}: {100 * share:.1f} % of comparisons of equal models")


if __name__ == "__main__":
    main()
