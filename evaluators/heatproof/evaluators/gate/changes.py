"""What changed against the baseline, score by score and image by image.

Every score that a check covers is told, whether or not the check bounds its regression: regressions
judge, changes inform. Differences have the two-sided intervals and tests of compared models.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from heatproof.evaluators.comparison.differences import Duel, ModelValue, differences_of
from heatproof.evaluators.comparison.values import Lack, Missing, ModelDifference
from heatproof.evaluators.evaluation.columns import ImageColumns, Quantity
from heatproof.evaluators.gate.pairing import paired
from heatproof.evaluators.gate.policy import ImageChange, ScoreChange
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.statistics.arms import Arm, Column
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.intervals import Measured
from heatproof.evaluators.statistics.permutation import holm
from heatproof.evaluators.statistics.reductions import Linearized

WORST_IMAGES: Final = 10
"""Images that a change lists at most."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreOfBoth:
    """A score of candidate and baseline, image by image.

    Attributes:
        result: index of the candidate's result.
        candidate: the candidate's, over the counted images.
        baseline: the baseline's, over the same.
        direction: what a good score is.
    """

    result: int
    candidate: Quantity
    baseline: Quantity
    direction: Direction


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What is counted.

    Attributes:
        images: the images, each once.
        units: the units of sampling that they make up.
    """

    images: ImageColumns
    units: Units


def changes_of(
    scores: Sequence[ScoreOfBoth],
    counted: Counted,
    models: tuple[str, str],
    *,
    tolerance: float,
    seed: int,
) -> tuple[ScoreChange, ...]:
    """Tells the change of each score; p-values are corrected over all of them.

    Args:
        scores: over the counted images, in their order.
        counted: the images and units.
        models: candidate and baseline.
        tolerance: units that differ by no more count as equal in tests.
        seed: of resamples and signs.
    """
    duels = [_duel(score, counted.units, models) for score in scores]
    found = differences_of(duels, tolerance=tolerance, tests=len(duels), seed=seed)
    return tuple(
        _change(score, duel, difference, counted.images)
        for score, duel, difference in zip(scores, duels, _corrected(found), strict=True)
    )


def _duel(score: ScoreOfBoth, units: Units, models: tuple[str, str]) -> Duel:
    pair = paired(score.candidate, score.baseline, units, score.direction, tolerance=0.0)
    first, second = (
        _value(model, Measured.of(arm, pair.reduction, grouped=pair.grouped, largest=pair.largest))
        for model, arm in zip(models, (pair.candidate, pair.baseline), strict=True)
    )
    return Duel(first, second, is_tested=True)


def _value(model: str, measured: Measured) -> ModelValue:
    estimate = measured.arm.estimate()
    if np.isfinite(estimate):
        return ModelValue(model, measured, estimate)
    lack = Missing(Lack.NOTHING_SHARED, "no image has a score of both models")
    if measured.arm.count:
        lack = Missing(Lack.NO_VALUE, f"{model} has nothing to divide by over the shared images")
    return ModelValue(model, measured, None, lack)


def _corrected(found: Sequence[ModelDifference]) -> Iterator[ModelDifference]:
    """The differences, with Holm's correction over all that have a p-value."""
    adjusted = iter(holm([one.p_value for one in found if one.p_value is not None]))
    for one in found:
        yield one if one.p_value is None else replace(one, adjusted_p_value=next(adjusted))


def _change(
    score: ScoreOfBoth, duel: Duel, difference: ModelDifference, images: ImageColumns
) -> ScoreChange:
    mine, theirs = score.candidate.arm.scored, score.baseline.arm.scored
    return ScoreChange(
        result=score.result,
        images=int((mine & theirs).sum()),
        only_candidate=int((mine & ~theirs).sum()),
        only_baseline=int((theirs & ~mine).sum()),
        candidate=duel.first.value,
        baseline=duel.second.value,
        difference=difference,
        worst=_worst(score, images),
    )


def _worst(score: ScoreOfBoth, images: ImageColumns) -> tuple[ImageChange, ...]:
    """The images that lost most; none where an image has a share in the score but none itself."""
    if isinstance(score.candidate.reduction, Linearized):
        return ()
    candidate, baseline = _per_image(score.candidate.arm), _per_image(score.baseline.arm)
    drops = _worsened(candidate, score.direction) - _worsened(baseline, score.direction)
    lost = np.flatnonzero(drops > 0)
    order = lost[np.argsort(-drops[lost], kind="stable")][:WORST_IMAGES]
    return tuple(
        ImageChange(
            image=images.digests[place],
            display_name=images.display_names[place],
            candidate=float(candidate[place]),
            baseline=float(baseline[place]),
            drop=float(drops[place]),
        )
        for place in order.tolist()
    )


def _per_image(arm: Arm) -> Column:
    """The score of each image; NaN where it has none."""
    found: Column = np.full(len(arm.scored), np.nan)
    np.divide(arm.numerators, arm.denominators, out=found, where=arm.denominators != 0)
    return found


def _worsened(scores: Column, direction: Direction) -> Column:
    """The scores, so that a higher one is worse."""
    found: Column = np.abs(scores) if direction is Direction.CLOSER_TO_ZERO else scores
    return -found if direction is Direction.HIGHER_IS_BETTER else found
