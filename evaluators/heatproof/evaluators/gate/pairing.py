"""Pairs the scores of a candidate with a baseline's, image by image."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.evaluators.gate.policy import Evaluated
from heatproof.evaluators.outcomes import Direction, ProportionEstimator
from heatproof.evaluators.plan import result_keys
from heatproof.evaluators.results import ImageResult, ImageScore, MetricResult
from heatproof.evaluators.spec import Target
from heatproof.evaluators.statistics.arms import Arm, Contrast
from heatproof.evaluators.statistics.permutation import Trial, Values
from heatproof.evaluators.summaries import samples_of

PER_MODEL = {"models", "dataset", "keep_overlays"}
"""Fields of a spec that may differ between a candidate and its baseline."""

ImageKey = tuple[str, int]
"""Digest of an image, and how many images before it have the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two arms over all images, scored on those that both scored.

    Attributes:
        candidate: the model that is judged.
        baseline: what it is compared with.
        lost: larger share of the images that one arm scored and the other did not.
        direction: what a good score is.
        is_proportion: whether scores are 0 or 1.
    """

    candidate: Arm
    baseline: Arm
    lost: float
    direction: Direction
    is_proportion: bool

    @property
    def count(self) -> int:
        """Images that both scored."""
        return self.candidate.count

    def is_unchanged(self) -> bool:
        """Whether all differences are 0."""
        return bool(
            np.array_equal(self.candidate.numerators, self.baseline.numerators)
            and np.array_equal(self.candidate.denominators, self.baseline.denominators)
        )

    def drop(self) -> Contrast:
        """How much worse the candidate is; for `closer_to_zero` the signs are the estimates'."""
        return Contrast.between(
            _turned(self.candidate, self.direction), _turned(self.baseline, self.direction)
        )

    def trial(self) -> Trial:
        """The same for the permutation test."""
        return Trial(self.candidate, self.baseline, _BADNESS[self.direction])

    def successes(self) -> tuple[Bool[np.ndarray, "pairs"], Bool[np.ndarray, "pairs"]]:
        """On which pairs candidate and baseline have the good one of the scores 0 and 1."""
        wants_one = self.direction is Direction.HIGHER_IS_BETTER
        both = self.candidate.scored
        mine, theirs = self.candidate.numerators[both] > 0.5, self.baseline.numerators[both] > 0.5
        return mine == wants_one, theirs == wants_one


def require_comparable(candidate: Evaluated, baseline: Evaluated) -> None:
    """Refuses a baseline that was evaluated differently.

    Raises:
        FailedPreconditionError: lists the fields that differ.
    """
    differing = [
        field.name
        for field in fields(candidate.spec)
        if field.name not in PER_MODEL
        and getattr(candidate.spec, field.name) != getattr(baseline.spec, field.name)
    ]
    mine, theirs = _by_key(candidate), _by_key(baseline)
    if mine.keys() != theirs.keys():
        differing.append("images")
    elif candidate.spec.target is Target.LABEL and any(
        mine[key].label != theirs[key].label for key in mine
    ):
        differing.append("labels")
    if differing:
        raise FailedPreconditionError(
            f"the baseline was evaluated differently; differing fields: {', '.join(differing)}; "
            "evaluate the baseline again under this policy",
            metadata={"differing_fields": ",".join(differing)},
        )


def pair(
    result: MetricResult, candidate: Evaluated, baseline: Evaluated, *, tolerance: float
) -> Pair:
    """Pairs one result of the candidate with the baseline's of the same name.

    Differences of up to `tolerance` count as none: scores differ between machines by rounding.

    Raises:
        FailedPreconditionError: the baseline has no such result.
    """
    key = (result.metric, result.removal, result.explainer)
    images = list(_by_key(candidate))
    mine, theirs = _arm(candidate, key, images), _arm(baseline, key, images)
    both = mine.scored & theirs.scored
    lost = max((mine.scored & ~both).sum(), (theirs.scored & ~both).sum()) / max(1, len(images))
    first, second = mine.within(both), theirs.within(both)
    return Pair(
        _snapped(first, second, tolerance),
        second,
        float(lost),
        result.direction,
        isinstance(result.metric.estimator, ProportionEstimator),
    )


def _by_key(evaluated: Evaluated) -> Mapping[ImageKey, ImageResult]:
    return dict(zip(_keys(evaluated.images), evaluated.images, strict=True))


def _keys(images: Sequence[ImageResult]) -> Iterator[ImageKey]:
    seen: Counter[str] = Counter()
    for image in images:
        yield image.image, seen[image.image]
        seen[image.image] += 1


def _arm(evaluated: Evaluated, key: tuple[object, ...], images: Sequence[ImageKey]) -> Arm:
    for index, found in enumerate(result_keys(evaluated.spec)):
        own_key = (found.metric, found.removal, found.explainer)
        if found.model == evaluated.model and own_key == key:
            by_key = _by_key(evaluated)
            return samples_of(found, [_score(by_key[image], index) for image in images])[""].arm
    raise FailedPreconditionError(
        f"the evaluation of {evaluated.model!r} lacks a result that the other has; "
        "evaluate the baseline again under this policy"
    )


def _score(image: ImageResult, result: int) -> ImageScore | None:
    return next((score for score in image.scores if score.result == result), None)


def _snapped(arm: Arm, to: Arm, tolerance: float) -> Arm:
    near = np.abs(arm.numerators - to.numerators) <= tolerance
    near &= np.abs(arm.denominators - to.denominators) <= tolerance
    return Arm(
        np.where(near, to.numerators, arm.numerators),
        np.where(near, to.denominators, arm.denominators),
        arm.scored,
    )


def _turned(arm: Arm, direction: Direction) -> Arm:
    """The arm, so that a higher estimate is worse."""
    sign = _SIGNS[direction] or (-1.0 if arm.estimate() < 0 else 1.0)
    return Arm(sign * arm.numerators, arm.denominators, arm.scored)


_SIGNS: Mapping[Direction, float | None] = {
    Direction.HIGHER_IS_BETTER: -1.0,
    Direction.LOWER_IS_BETTER: 1.0,
    Direction.CLOSER_TO_ZERO: None,
}


def _same(values: Values) -> Values:
    return values


def _negative(values: Values) -> Values:
    return -values


def _magnitude(values: Values) -> Values:
    return np.asarray(np.abs(values))


_BADNESS: Mapping[Direction, Callable[[Values], Values]] = {
    Direction.HIGHER_IS_BETTER: _negative,
    Direction.LOWER_IS_BETTER: _same,
    Direction.CLOSER_TO_ZERO: _magnitude,
}
