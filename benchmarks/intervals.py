"""Prints how often intervals miss and regression checks raise false alarms, on seeded draws.

`python benchmarks/intervals.py`
"""

import numpy as np

from heatproof.evaluators.statistics.arms import Arm, Contrast
from heatproof.evaluators.statistics.bootstrap import bootstrap_t
from heatproof.evaluators.statistics.permutation import Trial, holm, paired_p_values

SAMPLES = 1_000
RUNS = 400
CHECKS = 10
RESAMPLES = 2_000


def misses(images: int, draw: str) -> tuple[float, float]:
    """Shares of samples whose 95 % interval misses the mean: bootstrap-t and percentile."""
    rng = np.random.default_rng(1)
    truth = {"normal": 0.0, "exponential": 1.0}[draw]
    studentised = percentile = 0
    for sample in range(SAMPLES):
        values = rng.normal(size=images) if draw == "normal" else rng.exponential(size=images)
        found = bootstrap_t([Contrast((Arm.of_mean(values),))], seed=sample)[0]
        lower, upper = (found.limit(0.025), found.limit(0.975)) if found else (None, None)
        studentised += not (lower is not None and upper is not None and lower <= truth <= upper)
        means = values[rng.integers(0, images, size=(RESAMPLES, images))].mean(axis=1)
        low, high = np.quantile(means, [0.025, 0.975])
        percentile += not low <= truth <= high
    return studentised / SAMPLES, percentile / SAMPLES


def drawn(rng: np.random.Generator, images: int) -> Arm:
    """Scores without any effect."""
    return Arm.of_mean(rng.normal(size=images))


def false_alarms(images: int) -> tuple[float, float]:
    """Shares of runs of ten checks without any change in which one fails: raw and by Holm."""
    rng = np.random.default_rng(2)
    raw = corrected = 0
    for run in range(RUNS):
        trials = [
            Trial(drawn(rng, images), drawn(rng, images), badness=np.asarray) for _ in range(CHECKS)
        ]
        p_values = paired_p_values(trials, seed=run)
        raw += min(p_values) <= 0.05
        corrected += min(holm(p_values)) <= 0.05
    return raw / RUNS, corrected / RUNS


def main() -> None:
    """Prints both tables."""
    print(f"95 % intervals that miss, of {SAMPLES} samples")
    for draw in ("normal", "exponential"):
        for images in (8, 30):
            studentised, percentile = misses(images, draw)
            shares = f"bootstrap-t {studentised:.1%}  percentile {percentile:.1%}"
            print(f"{draw:12} n = {images:3}  {shares}")
    raw, corrected = false_alarms(12)
    print(f"false alarms of {CHECKS} checks, {RUNS} runs: raw {raw:.1%}, Holm {corrected:.1%}")


if __name__ == "__main__":
    main()
