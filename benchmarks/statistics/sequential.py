"""Prints how often sequential gates err, and how many units they save, on seeded draws.

`python benchmarks/statistics/sequential.py [--repetitions N]`; a minute of one core.

Looks are taken where the server takes them. The Monte Carlo error of a share p is about
`sqrt(p (1 - p) / N)`.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Final

import numpy as np

from heatproof.evaluators.statistics.betting import GRID_STEPS, Horizon, fortunes
from heatproof.evaluators.statistics.permutation import SIGNIFICANCE
from heatproof.server.evaluations.runs.agenda import by_units
from heatproof.server.workers.inputs import Blob, EncodedSource, StoredImage

UNITS: Final = 500
MIN_IMAGES: Final = 30
TAIL: Final = SIGNIFICANCE / 2
NEVER: Final = UNITS + 1
GAPS: Final = (0.0, 0.02, 0.05, 0.1, 0.2)
"""How far the true mean lies above the bound."""
ALLOWED: Final = 0.05
"""The drop that regression checks allow."""
DROPS: Final = (0.0, 0.03, 0.05, 0.07, 0.1, 0.2)
CHECKS: Final = 10
"""Regression checks of one policy."""

Scores = Any
"""An array [..., units]."""
Shares = Any
"""Truths, whose mean is a share; an array [...]."""
Times = Any
"""Units after which something is decided, `NEVER` where it is not; an array [...]."""


@dataclass(frozen=True)
class Kind:
    """A kind of score in [0, 1].

    Attributes:
        name: what the table calls it.
        draw: draws scores.
        mean: their true mean.
    """

    name: str
    draw: Callable[[np.random.Generator, tuple[int, ...]], Scores]
    mean: float


KINDS: Final = (
    Kind("narrow, beta(60, 40)", lambda rng, shape: rng.beta(60, 40, shape), 0.6),
    Kind("wide, beta(6, 4)", lambda rng, shape: rng.beta(6, 4, shape), 0.6),
    Kind(
        "30 % zeros, the rest near 0.9",
        lambda rng, shape: np.where(rng.random(shape) < 0.3, 0.0, rng.beta(90, 10, shape)),
        0.63,
    ),
    Kind("proportion 0.9", lambda rng, shape: (rng.random(shape) < 0.9) * 1.0, 0.9),
)


def looks() -> Times:
    """Units behind which a server looks, the end included."""
    digests = (f"{number:064x}" for number in range(UNITS))
    images = [StoredImage(digest, "", EncodedSource(Blob(digest))) for digest in digests]
    found = [shard.units or 0 for shard in by_units(images, range(UNITS), seed=0)]
    return np.array([units for units in found if units >= MIN_IMAGES or units == UNITS])


LOOKS: Final = looks()


def first(won: Shares) -> Times:
    """The first unit after which something holds."""
    return np.where(won.any(axis=-1), won.argmax(axis=-1) + 1, NEVER)


def lower_reaches(scores: Scores, bound: float, tail: float) -> Times:
    """When the lower limit is first at least `bound`, on the grid that limits are rounded to."""
    mean = np.full(scores.shape[:-1], min(1.0, ceil(bound * GRID_STEPS - 1e-9) / GRID_STEPS))
    return first(fortunes(scores, mean, tail, Horizon.OPEN) >= -np.log(tail))


def upper_falls_below(scores: Scores, bound: float) -> Times:
    """When the upper limit is first less than `bound`."""
    rest = (floor((1 - bound) * GRID_STEPS + 1e-9) + 1) / GRID_STEPS
    return lower_reaches(1 - scores, rest, TAIL)


def seen(times: Times) -> Times:
    """The look at which it is noticed."""
    ends = np.append(LOOKS, NEVER)
    return ends[np.searchsorted(LOOKS, times)]


def percent(share: Shares) -> str:
    """A share in per cent."""
    return f"{100 * float(np.mean(share)):.1f}"


def units_of(times: Times) -> str:
    """The median of the units taken, and the share of all that is saved on the average."""
    taken = np.minimum(times, UNITS)
    return f"{np.median(taken):.0f} | {percent(1 - taken / UNITS)}"


def bounds(repetitions: int) -> Iterator[str]:
    """Checks of `min`: rows of a table."""
    yield (
        "| score | true mean above `min` by | pass | fail | decided | median units | saved | "
        "decided by a t interval of all |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for number, kind in enumerate(KINDS):
        scores = kind.draw(np.random.default_rng(number), (repetitions, UNITS))
        means, errors = scores.mean(axis=-1), scores.std(axis=-1, ddof=1) / UNITS**0.5
        for gap in (*GAPS, *(-gap for gap in GAPS[1:])):
            least = kind.mean - gap
            if least > 1:
                continue
            passed, failed = lower_reaches(scores, least, TAIL), upper_falls_below(scores, least)
            taken = seen(np.minimum(passed, failed))
            fixed = np.abs(means - least) >= 1.96 * errors
            ends = f"{percent(passed < NEVER)} | {percent(failed < NEVER)}"
            cost = f"{percent(taken < NEVER)} | {units_of(taken)} | {percent(fixed)}"
            yield f"| {kind.name} | {gap:g} | {ends} | {cost} |"


def drops(rng: np.random.Generator, drop: float, shape: tuple[int, ...]) -> Scores:
    """Paired differences of this mean, mapped to [0, 1]: images drop a little, one in 20 jumps."""
    jumps = rng.random(shape) < 0.05
    differences = np.where(jumps, 4 * drop, 0.8 * drop / 0.95) + rng.normal(0, 0.08, shape)
    return (np.clip(differences, -1, 1) + 1) / 2


def rejected(scores: Scores, tests: int) -> Times:
    """When Holm's correction first rejects each of the checks [..., checks, units]."""
    mean = np.full(scores.shape[:-1], (ALLOWED + 1) / 2)
    p_values = np.exp(-fortunes(scores, mean, TAIL, Horizon.OPEN))
    order = np.argsort(p_values, axis=-2)
    ranked = np.take_along_axis(p_values, order, axis=-2)
    levels = SIGNIFICANCE / (tests - np.arange(tests))
    held = np.logical_and.accumulate(ranked <= levels[:, None], axis=-2)
    won = np.empty_like(held)
    np.put_along_axis(won, order, held, axis=-2)
    return first(won)


def shown(scores: Scores) -> Times:
    """When the upper limit of the drop is first at most what is allowed."""
    return lower_reaches(1 - scores, 1 - (ALLOWED + 1) / 2, SIGNIFICANCE)


def regressions(repetitions: int) -> Iterator[str]:
    """Policies of several regression checks: rows of a table."""
    yield "| checks | true drop | some fail | some pass | all decided | median units | saved |"
    yield "|---|---|---|---|---|---|---|"
    for tests in (1, CHECKS):
        for number, drop in enumerate(DROPS):
            rng = np.random.default_rng(100 + number)
            scores = drops(
                rng, drop, (repetitions if tests == 1 else repetitions // 5, tests, UNITS)
            )
            failed, passed = rejected(scores, tests), shown(scores)
            taken = seen(np.minimum(failed, passed)).max(axis=-1)
            yield (
                f"| {tests} | {drop:g} | {percent((failed < NEVER).any(axis=-1))} | "
                f"{percent((passed < NEVER).any(axis=-1))} | {percent(taken < NEVER)} | "
                f"{units_of(taken)} |"
            )


def peeking(repetitions: int) -> Iterator[str]:
    """What looking after each shard does to intervals for a fixed number: rows of a table."""
    yield "| score | t interval, all looks | confidence sequence, all units |"
    yield "|---|---|---|"
    for number, kind in enumerate(KINDS):
        scores = kind.draw(np.random.default_rng(200 + number), (repetitions, UNITS))
        counts = np.arange(1, UNITS + 1)
        means = scores.cumsum(axis=-1) / counts
        spreads = np.sqrt(np.maximum((scores**2).cumsum(axis=-1) / counts - means**2, 0) / counts)
        missed = np.abs(means - kind.mean) > 1.96 * spreads
        sides = (lower_passes(scores, kind.mean), lower_passes(1 - scores, 1 - kind.mean))
        yield (
            f"| {kind.name} | {percent(missed[:, LOOKS - 1].any(axis=-1))} | "
            f"{percent(np.logical_or(*sides))} |"
        )


def lower_passes(scores: Scores, mean: float) -> Shares:
    """Whether the lower limit is ever above the true mean."""
    held = fortunes(scores, np.full(len(scores), mean), TAIL, Horizon.OPEN)
    return held[:, -1] >= -np.log(TAIL)


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=4000)
    repetitions = parser.parse_args().repetitions
    tables: Sequence[tuple[str, Callable[[int], Iterator[str]]]] = (
        (f"Bounds, {UNITS} units, looks after {LOOKS[0]}, {LOOKS[1]}, ...", bounds),
        (f"Regressions of at most {ALLOWED}", regressions),
        ("Runs in which an interval misses the true mean at some time", peeking),
    )
    for title, rows in tables:
        print(f"\n{title}, {repetitions} repetitions, in per cent:\n")
        for row in rows(repetitions):
            print(row, flush=True)


if __name__ == "__main__":
    main()
