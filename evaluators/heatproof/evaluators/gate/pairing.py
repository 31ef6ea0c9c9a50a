"""Pairs the scores of a candidate with a baseline's, image by image."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.evaluators.gate.policy import Evaluated
from heatproof.evaluators.outcomes import Direction, ProportionEstimator
from heatproof.evaluators.plan import result_keys
from heatproof.evaluators.results import ImageResult, ImageScore, MetricResult
from heatproof.evaluators.statistics.arms import Arm
from heatproof.evaluators.summaries import samples_of

PER_MODEL = {"models", "dataset", "keep_overlays"}
"""Fields of a spec that may differ between a candidate and its baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two arms over the images that both scored, turned so that higher is worse.

    Attributes:
        candidate: the model that is judged.
        baseline: what it is compared with.
        lost: larger share of images that one arm scored and the other did not.
        is_proportion: whether scores are 0 or 1.
    """

    candidate: Arm
    baseline: Arm
    lost: float
    is_proportion: bool


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
    if {i.image for i in candidate.images} != {i.image for i in baseline.images}:
        differing.append("images")
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
    """
    key = (result.metric, result.removal, result.explainer)
    images = [image.image for image in candidate.images]
    mine = _arm(candidate, key, images)
    theirs = _arm(baseline, key, images)
    both = mine.scored & theirs.scored
    lost = max((mine.scored & ~both).sum(), (theirs.scored & ~both).sum()) / max(1, len(images))
    first, second = mine.on(both), theirs.on(both)
    return Pair(
        _turned(_snapped(first, second, tolerance), result.direction),
        _turned(second, result.direction),
        float(lost),
        isinstance(result.metric.estimator, ProportionEstimator),
    )


def _arm(evaluated: Evaluated, key: tuple[object, ...], images: list[str]) -> Arm:
    for index, found in enumerate(result_keys(evaluated.spec)):
        own_key = (found.metric, found.removal, found.explainer)
        if found.model == evaluated.model and own_key == key:
            by_image = {image.image: _score(image, index) for image in evaluated.images}
            return samples_of(found, [by_image.get(image) for image in images])[""].arm
    message = "the baseline lacks a result that the candidate has"
    raise FailedPreconditionError(message)


def _score(image: ImageResult, result: int) -> ImageScore | None:
    scores: Mapping[int, ImageScore] = {score.result: score for score in image.scores}
    return scores.get(result)


def _snapped(arm: Arm, to: Arm, tolerance: float) -> Arm:
    near = np.abs(arm.numerators - to.numerators) <= tolerance
    near &= np.abs(arm.denominators - to.denominators) <= tolerance
    return Arm(
        np.where(near, to.numerators, arm.numerators),
        np.where(near, to.denominators, arm.denominators),
        arm.scored,
    )


def _turned(arm: Arm, direction: Direction) -> Arm:
    signs = {
        Direction.HIGHER_IS_BETTER: -1.0,
        Direction.LOWER_IS_BETTER: 1.0,
        Direction.CLOSER_TO_ZERO: -1.0 if arm.estimate() < 0 else 1.0,
    }
    return Arm(signs[direction] * arm.numerators, arm.denominators, arm.scored)
