"""Pairs the scores of a candidate with a baseline's, image by image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Bool

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.evaluators.evaluation.columns import ImageColumns, Places, Quantity
from heatproof.evaluators.evaluation.donors import labelled_donors_read
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.results import Disparity, MetricResult, Summary
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import (
    accuracy_of,
    disparities,
    quantities_of,
    summaries_of,
    units_of,
)
from heatproof.evaluators.gate.policy import Evaluated
from heatproof.evaluators.gate.settings import difference_of
from heatproof.evaluators.images.labels import Label
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.targets import LABEL
from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.registry.registry import Reads, reads_deeply
from heatproof.evaluators.statistics.arms import Arm, ArmContrast
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.intervals import Intervals
from heatproof.evaluators.statistics.reductions import Reduction

PER_MODEL = {"models", "dataset", "keep_overlays", "output", "activation", "units", "no_cache"}
"""Fields of a spec that may differ between a candidate and its baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Two arms over all units, scored on the images that both scored.

    Attributes:
        candidate: the model that is judged.
        baseline: what it is compared with.
        images: images that both scored.
        lost: larger share of the images that one arm scored and the other did not.
        direction: what a good score is.
        reduction: range and atoms of a score.
        grouped: whether units are groups of images.
        largest: images of the largest unit.
    """

    candidate: Arm
    baseline: Arm
    images: int
    lost: float
    direction: Direction
    reduction: Reduction
    grouped: bool = False
    largest: int = 1

    @property
    def count(self) -> int:
        """Units that both scored."""
        return self.candidate.count

    def is_unchanged(self) -> bool:
        """Whether all differences are 0."""
        return bool(
            np.array_equal(self.candidate.numerators, self.baseline.numerators)
            and np.array_equal(self.candidate.denominators, self.baseline.denominators)
        )

    def drop(self) -> ArmContrast:
        """How much worse the candidate is; for `closer_to_zero` the signs are the estimates'."""
        return ArmContrast.between(
            _turned(self.candidate, self.direction), _turned(self.baseline, self.direction)
        )

    def drop_range(self) -> Range:
        """Where the drop lies; an end that is not known is infinite."""
        ends = self.reduction.range
        mine, theirs = (
            sorted((sign * ends.lower, sign * ends.upper))
            for sign in (
                _sign(self.candidate, self.direction),
                _sign(self.baseline, self.direction),
            )
        )
        return Range(mine[0] - theirs[1], mine[1] - theirs[0])

    def successes(self) -> tuple[Bool[np.ndarray, "units"], Bool[np.ndarray, "units"]]:
        """On which units candidate and baseline have the good one of the scores 0 and 1."""
        wants_one = self.direction is Direction.HIGHER_IS_BETTER
        both = self.candidate.scored
        mine, theirs = self.candidate.numerators[both] > 0.5, self.baseline.numerators[both] > 0.5
        return mine == wants_one, theirs == wants_one


def require_comparable(candidate: Evaluated, baseline: Evaluated) -> None:
    """Refuses a baseline that was evaluated differently.

    Raises:
        FailedPreconditionError: lists the fields that differ, or the baseline stopped early.
    """
    is_another = baseline.circumstances.evaluation != candidate.circumstances.evaluation
    if baseline.stopped_early and is_another:
        raise FailedPreconditionError(
            "the baseline stopped early, so it has scores of some images only: evaluate it by a "
            "policy without sequential",
            metadata={"differing_fields": "images"},
        )
    differing = _differing_fields(candidate.spec, baseline.spec)
    differing |= _differing_panels(candidate, baseline) | _differing_images(candidate, baseline)
    differing |= _differing_data(candidate, baseline)
    if differing:
        listed = ", ".join(f"{name}{detail}" for name, detail in differing.items())
        raise FailedPreconditionError(
            f"the baseline was evaluated differently; differing fields: {listed}; "
            "evaluate the baseline again under this policy",
            metadata={"differing_fields": ",".join(differing)},
        )


def _differing_fields(candidate: EvaluationSpec, baseline: EvaluationSpec) -> dict[str, str]:
    """Fields of the specs, with how they differ where that is said in a few words."""
    found: dict[str, str] = {}
    for name in (field.name for field in fields(candidate) if field.name not in PER_MODEL):
        mine, theirs = getattr(candidate, name), getattr(baseline, name)
        if mine != theirs:
            told = difference_of(mine, theirs)
            found[name] = f" ({told})" if told else ""
    return found


def _differing_panels(candidate: Evaluated, baseline: Evaluated) -> dict[str, str]:
    """The models, where a score of one depends on the maps of all."""
    reads = {read for metric in candidate.spec.metrics for read in metric.reads}
    if Reads.PANEL_MAPS not in reads or candidate.spec.models == baseline.spec.models:
        return {}
    return {"models": " (a metric reads the maps of all of them)"}


_OF_THE_SET: Final[Mapping[Reads, str]] = MappingProxyType(
    {
        Reads.BOXES: "images are split by the boxes that came with it",
        Reads.REPLACEMENT: "images are replaced by those that came with it",
    }
)
"""What comes with images and is told apart by the name of their data set alone."""


def _differing_data(candidate: Evaluated, baseline: Evaluated) -> dict[str, str]:
    """The data set, whose name tells apart whatever comes with its images, where that is read."""
    spec = candidate.spec
    if spec.dataset == baseline.spec.dataset:
        return {}
    for read, why in _OF_THE_SET.items():
        if any(reads_deeply(thing, read) for thing in spec.registered):
            return {"dataset": f" ({why})"}
    return {}


_TOLD: Final[Mapping[Reads, str]] = MappingProxyType(
    {Reads.OBJECTS: "object_masks", Reads.DONORS: "groups"}  # groups decide which images are paired
)
"""Columns of images that scores depend on, by what metrics read."""


def _differing_images(candidate: Evaluated, baseline: Evaluated) -> dict[str, str]:
    """What differs in the images or in what came with them, with the first of them."""
    mine, theirs = candidate.columns.images, baseline.columns.images
    own, other = mine.first_places(), theirs.first_places()
    alone = [_named(mine, place) for digest, place in own.items() if digest not in other]
    strange = [_named(theirs, place) for digest, place in other.items() if digest not in own]
    if candidate.spec.units or candidate.stopped_early:
        strange = []  # the baseline may have evaluated more of them
    if alone or strange:
        counts = f"{len(alone)} only in the candidate, {len(strange)} only in the baseline"
        return {"images": f" ({counts}, {(alone or strange)[0]} first)"}
    places = [(place, other[digest]) for digest, place in own.items()]
    # Labels that are explained, or by which other images are chosen, decide scores.
    is_strict = candidate.spec.target == LABEL or bool(labelled_donors_read(candidate.spec.metrics))
    found = {
        "labels": [
            _named(mine, place)
            for place, at in places
            if _labels_differ(mine.labels[place], theirs.labels[at], is_strict)
        ]
    }
    read = {read for metric in candidate.spec.metrics for read in metric.reads}
    for name in (name for one, name in _TOLD.items() if one in read):
        ours, others = getattr(mine, name), getattr(theirs, name)
        found[name] = [_named(mine, place) for place, at in places if ours[place] != others[at]]
    return {
        name: f" (of {len(images)} of {len(own)} images, {images[0]} first)"
        for name, images in found.items()
        if images
    }


def _labels_differ(mine: Label | None, theirs: Label | None, is_strict: bool) -> bool:  # noqa: FBT001  # a rule
    """Whether labels contradict each other; a label that only one has does so if it is explained.

    Else the candidate's labels hold for both.
    """
    given = None not in {mine, theirs}
    return mine != theirs and (given or is_strict)


def _named(images: ImageColumns, place: int) -> str:
    return repr(images.display_names[place] or images.digests[place][:12])


def pair(
    result: MetricResult, candidate: Evaluated, baseline: Evaluated, *, tolerance: float
) -> Pair:
    """Pairs one result of the candidate with the baseline's of the same name.

    Images of equal bytes count once, and the candidate's groups are the units.
    Differences of up to `tolerance` count as none: scores differ between machines by rounding.

    Raises:
        FailedPreconditionError: the baseline has no such result.
    """
    return paired(
        *both_scores(result, candidate, baseline),
        counted_units(candidate),
        result.direction,
        tolerance=tolerance,
    )


def both_scores(
    result: MetricResult, candidate: Evaluated, baseline: Evaluated
) -> tuple[Quantity, Quantity]:
    """One result of the candidate and the baseline's of the same name, over the counted images.

    Raises:
        FailedPreconditionError: the baseline has no such result.
    """
    digests = _counted(candidate, counted_units(candidate))
    return _quantity(candidate, result, digests), _quantity(baseline, result, digests)


def accuracy_summary(kind: Intervals, evaluated: Evaluated) -> Summary:
    """The clean accuracy of the model that is judged, with intervals of a kind."""
    quantity, units = accuracy_quantity(evaluated), counted_units(evaluated)
    return summaries_of([quantity], units, seed=evaluated.spec.seed, kind=kind)[0]


def accuracy_quantity(evaluated: Evaluated) -> Quantity:
    """The clean answers of the model that is judged, over the images that count."""
    images = evaluated.columns.images.taken(counted_units(evaluated).images)
    return accuracy_of(evaluated.model, images)


def accuracy_pair(candidate: Evaluated, baseline: Evaluated) -> Pair:
    """Pairs the clean answers of two models; the candidate's labels hold for both."""
    return paired(
        *both_accuracies(candidate, baseline),
        counted_units(candidate),
        Direction.HIGHER_IS_BETTER,
        tolerance=0.0,
    )


def both_accuracies(candidate: Evaluated, baseline: Evaluated) -> tuple[Quantity, Quantity]:
    """The clean answers of two models over the counted images, by the candidate's labels."""
    images = candidate.columns.images.taken(counted_units(candidate).images)
    places = _places(baseline, images.digests)
    others = replace(baseline.columns.images.taken(places), labels=images.labels)
    if images.are_multi_label:  # whose score is of the images together, so they must be the same
        images, others = _both_answered(images, candidate.model, others, baseline.model)
    return accuracy_of(candidate.model, images), accuracy_of(baseline.model, others)


def _both_answered(
    images: ImageColumns, model: str, others: ImageColumns, other_model: str
) -> tuple[ImageColumns, ImageColumns]:
    """Both without the labels of images that one of the models has no answer to."""
    held = (images.answers_of(model) >= 0) & (others.answers_of(other_model) >= 0)
    labels = tuple(
        label if answered else None
        for label, answered in zip(images.labels, held.tolist(), strict=True)
    )
    return replace(images, labels=labels), replace(others, labels=labels)


def paired(
    candidate: Quantity, baseline: Quantity, units: Units, direction: Direction, *, tolerance: float
) -> Pair:
    """Pairs two quantities over the images that count, in their order.

    Args:
        candidate: the model that is judged.
        baseline: what it is compared with.
        units: the units that the images make up.
        direction: what a good score is.
        tolerance: differences up to this count as none, in units of the score.
    """
    mine, theirs = candidate.arm, baseline.arm
    both = mine.scored & theirs.scored
    lost = max((mine.scored & ~both).sum(), (theirs.scored & ~both).sum()) / max(1, len(both))
    first, second = mine.within(both), theirs.within(both)
    return Pair(
        candidate=units.summed(_snapped(first, second, tolerance)),
        baseline=units.summed(second),
        images=int(both.sum()),
        lost=float(lost),
        direction=direction,
        reduction=candidate.reduction,
        grouped=units.grouped,
        largest=units.largest,
    )


def summary_by(kind: Intervals, result: MetricResult, evaluated: Evaluated) -> Summary:
    """Summarizes a result anew, with other intervals."""
    quantity, units = result_quantity(result, evaluated), counted_units(evaluated)
    return summaries_of([quantity], units, seed=evaluated.spec.seed, kind=kind)[0]


def result_quantity(result: MetricResult, evaluated: Evaluated) -> Quantity:
    """The scores of a result over the images that count."""
    return _quantity(evaluated, result, _counted(evaluated, counted_units(evaluated)))


def disparity_by(kind: Intervals, result: MetricResult, evaluated: Evaluated) -> Disparity | None:
    """Compares the groups of images by a result anew, with other intervals."""
    index, key = _held(evaluated, result)
    columns = {key: evaluated.columns.results[index]}
    return disparities(columns, evaluated.columns.images, evaluated.spec.seed, kind).get(key)


def counted_units(evaluated: Evaluated) -> Units:
    """The units of sampling, of which images of equal bytes count once."""
    return units_of(evaluated.columns.images, seed=evaluated.spec.seed)


def _counted(evaluated: Evaluated, units: Units) -> tuple[str, ...]:
    """Digests of the images that count, in their order."""
    return evaluated.columns.images.taken(units.images).digests


def _places(evaluated: Evaluated, digests: Sequence[str]) -> Places:
    """Where images are in an evaluation that has all of them."""
    first = evaluated.columns.images.first_places()
    return np.array([first[digest] for digest in digests], np.int64)


def _quantity(evaluated: Evaluated, result: MetricResult, digests: Sequence[str]) -> Quantity:
    """The same score of another evaluation, over these images."""
    index, found = _held(evaluated, result)
    columns = evaluated.columns.results[index].taken(_places(evaluated, digests))
    return quantities_of(found, columns)[""]


def _held(evaluated: Evaluated, result: MetricResult) -> tuple[int, ResultKey]:
    """The same result of another evaluation: its index and key."""
    key = (result.metric, result.removal, result.explainer)
    for index, found in enumerate(result_keys(evaluated.spec)):
        own_key = (found.metric, found.removal, found.explainer)
        if found.models == (evaluated.model,) and own_key == key:
            return index, found
    raise FailedPreconditionError(
        f"the evaluation of {evaluated.model!r} lacks a result that the other has; "
        "evaluate the baseline again under this policy"
    )


def _snapped(arm: Arm, to: Arm, tolerance: float) -> Arm:
    # In units of the score: areas of a ratio may all be smaller than the tolerance.
    least = tolerance * np.abs(to.denominators)
    near = np.abs(arm.numerators - to.numerators) <= least
    near &= np.abs(arm.denominators - to.denominators) <= least
    return Arm(
        np.where(near, to.numerators, arm.numerators),
        np.where(near, to.denominators, arm.denominators),
        arm.scored,
    )


def _turned(arm: Arm, direction: Direction) -> Arm:
    """The arm, so that a higher estimate is worse."""
    return Arm(_sign(arm, direction) * arm.numerators, arm.denominators, arm.scored)


def _sign(arm: Arm, direction: Direction) -> float:
    """What turns the arm, so that a higher estimate is worse."""
    return _SIGNS[direction] or (-1.0 if arm.estimate() < 0 else 1.0)


_SIGNS: Mapping[Direction, float | None] = {
    Direction.HIGHER_IS_BETTER: -1.0,
    Direction.LOWER_IS_BETTER: 1.0,
    Direction.CLOSER_TO_ZERO: None,
}
