"""Mask-shape bias: whether the shape of what was removed gives the class away."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.images.labels import classes_of
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.masking.predicted_class import (
    label_hit,
    predicted_class,
    unlabelled,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure, ask
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Proportion, RatioOfMeans, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class MaskShapeBias(Metric):
    """Asks how often the class is still found when the object is removed.

    Over images that the model classifies rightly: the hits with the object removed, over the hits
    with the same mask rolled by half of the image in both axes. 1: the object's outline gives the
    class away as fully as a hole elsewhere leaves it; 0: the object carried the class. A property
    of model and operator. An image's own score is its hit without the object.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="mask_shape_bias",
        reference="Balasubramanian and Feizi 2022, arXiv 2211.14646",
        category=MetricCategory.MASKING,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.REMOVAL, Reads.OBJECTS, Reads.LABEL),
    )

    @property
    def reduction(self) -> Reduction:
        """The hits without the object over those without the rolled mask."""
        return RatioOfMeans(
            numerator=("object_hit", ""),
            denominator=("control_hit", ""),
            min_denominator=0.0,
            range=NOT_NEGATIVE,
            part_range=UNIT,
        )

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Both rates of hits."""
        return {"object_hit": Proportion(), "control_hit": Proportion()}

    def cost(self, case: Case) -> Cost:
        """The image without the object, and without the rolled mask."""
        return Cost(views=2)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`[argmax f(x - object) is the label]`, beside that of the rolled mask."""
        objects, sample = case.objects, case.sample
        if objects is None or not objects.any():
            return Outcome(Undefined(Reason.NO_OBJECT, "no pixel of the input is marked as object"))
        if reason := _unfit(case, objects):
            return Outcome(reason)
        shift = (sample.height // 2, sample.width // 2)
        hidden = (objects, np.roll(objects, shift, axis=(0, 1)))
        answers = yield from ask([sample.view(~mask, case.removal) for mask in hidden])
        if any(answer.coverage == 0 for answer in answers):
            detail = "the rest of the image vanishes inside the network"
            return Outcome(Undefined(Reason.ZERO_COVERAGE, detail))
        object_hit, control_hit = (label_hit(answer, case.label) for answer in answers)
        return Outcome(object_hit, {"object_hit": object_hit, "control_hit": control_hit})


def _unfit(case: Case, objects: Mask) -> Undefined | None:
    """Why an image with an object is not in the set."""
    if objects.all():
        return Undefined(Reason.FULL_OBJECT, "every pixel is marked as object")
    if (lacking := unlabelled(case.label)) is not None:
        return lacking
    found = predicted_class(case.sample.clean)
    if found not in classes_of(case.label):
        detail = f"the clean image is taken for class {found:g}, not for {case.label}"
        return Undefined(Reason.MISCLASSIFIED, detail)
    return None
