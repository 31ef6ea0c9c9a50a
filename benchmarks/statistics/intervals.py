"""Prints how often intervals and regression checks err, for each kind of score, on seeded draws.

`python -m benchmarks.statistics.intervals [--repetitions N]`; minutes of one core.

A row's draws share their 10,000 resamples; the Monte Carlo error of a share p is about
`sqrt(p (1 - p) / N)`. Simpler rules stand beside: bootstrap-t whatever the score's atoms and
groups, and a regression that fails only if the test of no change rejects and the lower limit
exceeds the allowed drop, and passes otherwise.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from heatproof.evaluators.gate.drops import upper_limits
from heatproof.evaluators.gate.pairing import Pair
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import UNBOUNDED, UNIT
from heatproof.evaluators.statistics.arms import Arm, ArmContrast
from heatproof.evaluators.statistics.bootstrap import Studentised, bootstrap_t
from heatproof.evaluators.statistics.cross_model import CrossModel
from heatproof.evaluators.statistics.intervals import Intervals, Limits, Measured, intervals
from heatproof.evaluators.statistics.permutation import holm, sign_flip_p_values
from heatproof.evaluators.statistics.reductions import Mean, Proportion, RatioOfMeans, Reduction

SIZES = (8, 20, 30, 100)
GROUP = 3
"""Images of a group."""
ALLOWED = 0.05
"""The drop that regression checks allow."""
CHECKS = 10
"""Regression checks of one policy."""

GAINS = ((0.9, 0.5, 0.3), (0.6, 0.7, 0.1), (0.8, 0.4, 0.8))
"""What the maps of three models are worth to each of them."""

PLAIN = Mean()
Draws = Any
"""An array [repetitions, n], or of two such for ratios, or several by the name of a part."""


@dataclass(frozen=True)
class Kind:
    """A kind of score.

    Attributes:
        name: what the table calls it.
        draw: draws scores [repetitions, n].
        truth: their mean, or ratio of means.
        reduction: what is declared of them.
        bounded: whether bounded intervals are asked for.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int]], Draws]
    truth: float
    reduction: Reduction = PLAIN
    bounded: bool = False


def with_atom(share: float, at: float) -> Callable[[np.random.Generator, tuple[int, int]], Draws]:
    """Scores of which a share lies on an atom, the others around 0.9 or 0.1."""
    good = (90, 10) if at < 0.5 else (10, 90)
    return lambda rng, shape: np.where(rng.random(shape) < share, at, rng.beta(*good, shape))


def ratio_parts(rng: np.random.Generator, shape: tuple[int, int]) -> Draws:
    """Parts like those of occlusion-corrected deletion: what a map wins, what could be won."""
    possible = rng.beta(3, 4, shape)
    return np.stack([possible * rng.normal(0.6, 0.25, shape), possible])


def panel_parts(rng: np.random.Generator, shape: tuple[int, int]) -> Draws:
    """Areas like those of inter_model_deletion, by part; all models find the same images hard."""
    models = len(GAINS)
    hard = rng.beta(3, 4, shape)
    found = {}
    for judge, gains in enumerate(GAINS):
        won = hard * rng.beta(6, 3, shape)
        found[CrossModel.random_area(judge)] = 0.3 + won
        found[CrossModel.oracle_area(judge)] = np.full(shape, 0.3)
        for order, gain in zip(map(str, range(models)), gains, strict=True):
            lost = won * rng.normal(gain, 0.25, shape)
            found[CrossModel.map_area(judge, order)] = 0.3 + won - lost
    return found


def grouped(rng: np.random.Generator, shape: tuple[int, int]) -> Draws:
    """Images [repetitions, groups, 3] of which those of a group are alike (correlation 0.5)."""
    groups = rng.normal(0.5, 0.1, shape)
    return groups[..., None] + rng.normal(0, 0.1, (*shape, GROUP))


def grouped_atom(rng: np.random.Generator, shape: tuple[int, int]) -> Draws:
    """Images of groups of which each has its own share of zeros, 10 % on average."""
    shares = rng.beta(0.3, 2.7, shape)[..., None]
    return np.where(rng.random((*shape, GROUP)) < shares, 0.0, rng.beta(90, 10, (*shape, GROUP)))


ZERO, ONE = Mean(UNIT, (0.0,)), Mean(UNIT, (1.0,))
KINDS = (
    Kind("normal", lambda rng, shape: rng.normal(0.5, 0.1, shape), 0.5),
    Kind("lognormal", lambda rng, shape: rng.lognormal(0, 0.7, shape), float(np.exp(0.245))),
    Kind("bounded, beta(2, 8)", lambda rng, shape: rng.beta(2, 8, shape), 0.2, Mean(UNIT)),
    Kind(
        'the same, `interval = "bounded"`',
        lambda rng, shape: rng.beta(2, 8, shape),
        0.2,
        Mean(UNIT),
        bounded=True,
    ),
    *(
        Kind(
            f"{100 * share:.0f} % zeros, the rest near 0.9",
            with_atom(share, 0.0),
            (1 - share) * 0.9,
            ZERO,
        )
        for share in (0.03, 0.1, 0.3)
    ),
    Kind("10 % ones, the rest near 0.1", with_atom(0.1, 1.0), 0.1 + 0.9 * 0.1, ONE),
    Kind(
        "proportion 0.9",
        lambda rng, shape: (rng.random(shape) < 0.9) * 1.0,
        0.9,
        Proportion(),
    ),
    Kind(
        "ratio of means",
        ratio_parts,
        0.6,
        RatioOfMeans(("a", "b"), ("a", "c"), 0.0, UNBOUNDED, (), UNIT),
    ),
    Kind("mean quality of 3 models", panel_parts, 0.45, CrossModel.mean_quality(len(GAINS))),
    Kind("groups of 3 images", grouped, 0.5),
    Kind("groups of 3, 10 % zeros", grouped_atom, 0.9 * 0.9, ZERO),
)


def measured(kind: Kind, draws: Draws) -> tuple[list[Measured], list[ArmContrast]]:
    """What the rules measure, and what the simple ones resample: images, whatever their groups."""
    if isinstance(kind.reduction, RatioOfMeans):
        arms = [Arm.of_ratio(u, v) for u, v in zip(*draws, strict=True)]
        return [Measured.of(arm, kind.reduction) for arm in arms], [
            ArmContrast((arm,)) for arm in arms
        ]
    if isinstance(kind.reduction, CrossModel):
        columns = zip(*draws.values(), strict=True)
        rows = [dict(zip(draws, one, strict=True)) for one in columns]
        scored = np.zeros(len(rows[0][CrossModel.random_area(0)]))
        sums = [kind.reduction.contrast(scored, row) for row in rows]
        return [Measured(one, kind.reduction) for one in sums], sums
    simple = [ArmContrast((Arm.of_mean(row.reshape(-1)),)) for row in draws]
    if draws.ndim == 2:  # repetitions, images
        return [Measured.of(Arm.of_mean(row), kind.reduction) for row in draws], simple
    sizes = np.full(draws.shape[1], float(GROUP))
    arms = [Arm.of_ratio(row.sum(axis=1), sizes) for row in draws]
    return [Measured.of(arm, kind.reduction, grouped=True, largest=GROUP) for arm in arms], simple


def simple_limit(found: Studentised | None, tail: float) -> float | None:
    """The limit of bootstrap-t, none only where it is infinite."""
    if found is None:
        return None
    if found.standard_error == 0:
        return found.estimate
    pivot = np.quantile(found.pivots, 1 - tail, method="inverted_cdf")
    limit = found.estimate - pivot * found.standard_error
    return float(limit) if np.isfinite(limit) else None


def simple_limits(found: Studentised | None) -> Limits | None:
    """The interval of the simple rule."""
    lower, upper = simple_limit(found, 0.025), simple_limit(found, 0.975)
    return None if lower is None or upper is None else Limits(lower, upper, "simple")


def shares(found: Sequence[Limits | None], truth: float) -> str:
    """Covered, false pass of a minimum and of a maximum at the truth, none, and width."""
    made = [limits for limits in found if limits is not None]
    low = np.array([limits.lower for limits in made])
    high = np.array([limits.upper for limits in made])
    false_low, false_high = (low > truth).sum() / len(found), (high < truth).sum() / len(found)
    none = 1 - len(made) / len(found)
    width = f"{np.median(high - low):.3f}" if made else "-"
    covered = 1 - false_low - false_high
    return f"{covered:.1%} | {false_low:.1%} | {false_high:.1%} | {none:.0%} | {width}"


def interval_row(kind: Kind, n: int, repetitions: int) -> str:
    """One row of the table of intervals."""
    draws = kind.draw(np.random.default_rng(n), (repetitions, n))
    scores, contrasts = measured(kind, draws)
    wanted = Intervals.BOUNDED if kind.bounded else Intervals.STANDARD
    found = intervals(scores, seed=1, level=0.95, kind=wanted)
    if isinstance(kind.reduction, Proportion):
        simple: list[Limits | None] = found
    else:
        simple = [simple_limits(one) for one in bootstrap_t(contrasts, seed=1)]
    return f"| {kind.name} | {n} | {shares(found, kind.truth)} | {shares(simple, kind.truth)} |"


@dataclass(frozen=True)
class Drop:
    """A kind of drop: how a candidate falls short of its baseline.

    Attributes:
        name: what the table calls it.
        draw: draws candidate and baseline [repetitions, n] with a mean drop.
        reduction: what is declared of the scores.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, int], float], tuple[Any, Any]]
    reduction: Reduction


def smooth(rng: np.random.Generator, shape: tuple[int, int], drop: float) -> tuple[Any, Any]:
    """Every image loses a little."""
    baseline = rng.normal(0.7, 0.05, shape)
    return baseline - rng.normal(drop, 0.06, shape), baseline


def skewed(rng: np.random.Generator, shape: tuple[int, int], drop: float) -> tuple[Any, Any]:
    """Few images lose much: drops are exponential about their mean."""
    baseline = rng.normal(0.7, 0.05, shape)
    return baseline - (drop - 0.06 + rng.exponential(0.06, shape)), baseline


def flips(rng: np.random.Generator, shape: tuple[int, int], drop: float) -> tuple[Any, Any]:
    """A share of the images falls to 0."""
    baseline = np.clip(rng.normal(0.95, 0.01, shape), 0, 1)
    candidate = np.clip(baseline + rng.normal(0, 0.005, shape), 0, 1)
    return np.where(rng.random(shape) < drop / 0.95, 0.0, candidate), baseline


def misses(rng: np.random.Generator, shape: tuple[int, int], drop: float) -> tuple[Any, Any]:
    """Hits that become misses, and 2 % misses that become hits."""
    baseline = (rng.random(shape) < 0.9) * 1.0
    lost = rng.random(shape) < (drop + 0.002) / 0.9
    won = rng.random(shape) < 0.02
    return np.where(baseline == 1, ~lost, won) * 1.0, baseline


DROPS = (
    Drop("every image drops a little", smooth, PLAIN),
    Drop("skewed drops", skewed, PLAIN),
    Drop("flips to 0, declared atom", flips, ZERO),
    Drop("flips to 0, atom not declared", flips, PLAIN),
    Drop("proportion", misses, Proportion()),
)


def outcomes(drop: Drop, n: int, true: float, repetitions: int) -> tuple[float, ...]:
    """Shares that pass and fail: by the rule, and by the simple one."""
    rng = np.random.default_rng(n)
    candidates, baselines = drop.draw(rng, (repetitions, n), true)
    pairs = [
        Pair(
            Arm.of_mean(mine),
            Arm.of_mean(theirs),
            n,
            0.0,
            Direction.HIGHER_IS_BETTER,
            drop.reduction,
        )
        for mine, theirs in zip(candidates, baselines, strict=True)
    ]
    contrasts = [pair.drop() for pair in pairs]
    upper = upper_limits(pairs, seed=1, tail=0.05, kind=Intervals.STANDARD)
    beyond = np.array(sign_flip_p_values(contrasts, [ALLOWED] * repetitions, seed=1))
    changed = np.array(sign_flip_p_values(contrasts, [0.0] * repetitions, seed=1))
    lower = [simple_limit(found, 0.05) for found in bootstrap_t(contrasts, seed=1)]
    unchanged = np.array([pair.is_unchanged() for pair in pairs])
    is_within = np.array([limit is not None and limit <= ALLOWED for limit in upper]) | unchanged
    fails = beyond <= 0.05
    simple_fails = np.array([limit is not None and limit > ALLOWED for limit in lower])
    simple_fails &= changed <= 0.05
    known = np.array([limit is not None for limit in lower]) | unchanged
    passes = (is_within & ~fails).mean(), fails.mean()
    return *map(float, passes), float((known & ~simple_fails).mean()), float(simple_fails.mean())


def regression_row(drop: Drop, n: int, repetitions: int) -> str:
    """One row of the table of regression checks."""
    cells = []
    for true in (0.0, ALLOWED, 0.095, 0.2):
        passed, failed, simple_passed, simple_failed = outcomes(drop, n, true, repetitions)
        wanted = (passed, simple_passed) if true in {0.0, 0.095} else (failed, simple_failed)
        if true == ALLOWED:
            cells.append(f"{passed:.1%} ({simple_passed:.1%})")
        cells.append(f"{wanted[0]:.1%} ({wanted[1]:.1%})")
    return f"| {drop.name} | {n} | {' | '.join(cells)} |"


def false_alarms(n: int, repetitions: int) -> tuple[float, float]:
    """Shares of policies of ten checks, all at the allowed drop, of which one fails.

    By the rule, and if the test of no change alone decided.
    """
    rng = np.random.default_rng(n)
    alarms = np.zeros(2)
    for run in range(repetitions):
        candidates, baselines = smooth(rng, (CHECKS, n), ALLOWED)
        drops = [
            ArmContrast((Arm.of_mean(theirs - mine),))
            for mine, theirs in zip(candidates, baselines, strict=True)
        ]
        for place, allowed in enumerate((ALLOWED, 0.0)):
            p_values = sign_flip_p_values(drops, [allowed] * CHECKS, seed=run)
            alarms[place] += min(holm(p_values)) <= 0.05
    return float(alarms[0] / repetitions), float(alarms[1] / repetitions)


def main() -> None:
    """Prints the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=1000, help="draws of each row")
    repetitions = parser.parse_args().repetitions
    print(
        "| score | n | covered | lower too high | upper too low | none | width |"
        " simple: covered | lower too high | upper too low | none | width |"
    )
    print(f"|{'---|' * 12}")
    for kind in KINDS:
        for n in SIZES:
            print(interval_row(kind, n, repetitions), flush=True)
    print("\n| drop | n | pass at 0 | pass at d | fail at d | pass at .095 | fail at .2 |")
    print(f"|{'---|' * 7}")
    for drop in DROPS:
        for n in SIZES:
            print(regression_row(drop, n, repetitions), flush=True)
    for n in (12, 30):
        rule, simple = false_alarms(n, repetitions // 5)
        print(f"\n{CHECKS} checks at d, n = {n}: rule {rule:.1%}, test of no change {simple:.1%}")


if __name__ == "__main__":
    main()
