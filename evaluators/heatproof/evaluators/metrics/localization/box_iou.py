"""Box IoU: how well the box of the largest hot region fits the object's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
import scipy

from heatproof.evaluators.images.arrays import Map, Mask
from heatproof.evaluators.images.boxes import PixelBox
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.distances import unit_scaled
from heatproof.evaluators.metrics.localization.objects import ObjectMetric
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import (
    Curve,
    CurveFacts,
    CurveRole,
    Direction,
    Outcome,
    Reason,
    Undefined,
)
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Proportion, Reduction

_LOCALIZED: Final = 0.5
"""The least overlap that counts as found."""
_TOUCHING: Final = np.ones((3, 3), np.int64)
"""Pixels are one region if they touch, by a corner at least."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class BoxIou(ObjectMetric):
    """Takes the overlap of the box around the largest hot region with the best object's box.

    The region is the largest 8-connected one of `[H >= threshold]`, H the positive map scaled to
    [0, 1]; the first of equal ones by rows. Objects' boxes are those that came with the image, else
    those around the 8-connected parts of its mask (ours). `localized` is whether the overlap is .5
    at least. The curves show both over thresholds; `max_box_accuracy` is the highest share of
    images that are localized at one of these.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="box_iou",
        reference="Choe et al. 2020, arXiv 2001.07437",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.OBJECTS),
    )

    threshold: float = parameter(
        0.2,
        "What is hot, as a share of the highest attribution.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )
    thresholds: tuple[float, ...] = parameter(
        (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
        "Thresholds of the curves.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean overlap; boxes that miss each other have 0."""
        return Mean(UNIT, (0.0,))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The share of images that are localized."""
        return {"localized": Proportion()}

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """Both over the thresholds."""
        x_unit = "threshold, share of the highest attribution"
        return {
            "overlap": CurveFacts("overlap", CurveRole.REFERENCE, "overlap of boxes", x_unit),
            "localized": CurveFacts("localized", CurveRole.REFERENCE, "share of images", x_unit),
        }

    def described(
        self,
        curves: Mapping[str, Curve],
        parts: Mapping[str, float],  # as the seam says
    ) -> Mapping[str, float]:
        """`max_box_accuracy`: the highest share of localized images at one threshold."""
        if "localized" not in curves:
            return {}
        return {"max_box_accuracy": max(curves["localized"].values)}

    def compared(self, case: Case, objects: Mask) -> Outcome:
        """`max over the object's boxes of IoU with the box of the largest hot region`."""
        heat = unit_scaled(case.map)
        if heat is None:
            return Outcome(Undefined(Reason.DEGENERATE, "positive attributions are constant"))
        boxes = case.sample.boxes or _component_boxes(objects)
        overlap = _overlap(heat, self.threshold, boxes)
        at = tuple(sorted(set(self.thresholds)))
        overlaps = tuple(_overlap(heat, threshold, boxes) for threshold in at)
        curves = {
            "overlap": Curve(at, overlaps),
            "localized": Curve(at, tuple(map(_is_localized, overlaps))),
        }
        return Outcome(overlap, {"localized": _is_localized(overlap)}, curves)


def _is_localized(overlap: float) -> float:
    return float(overlap >= _LOCALIZED)


def _overlap(heat: Map, threshold: float, boxes: Sequence[PixelBox]) -> float:
    """The best overlap of the box of the largest hot region."""
    regions, count = scipy.ndimage.label(heat >= threshold, _TOUCHING)
    areas = np.bincount(regions.reshape(-1), minlength=count + 1)[1:]
    largest = scipy.ndimage.find_objects(regions)[int(areas.argmax())]
    found = _box(largest)
    return max(_intersection_over_union(found, box) for box in boxes)


def _component_boxes(objects: Mask) -> list[PixelBox]:
    regions, _ = scipy.ndimage.label(objects, _TOUCHING)
    return [_box(found) for found in scipy.ndimage.find_objects(regions)]


def _box(place: tuple[slice, ...]) -> PixelBox:
    rows, columns = place
    return PixelBox(columns.start, rows.start, columns.stop, rows.stop)


def _intersection_over_union(one: PixelBox, other: PixelBox) -> float:
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0, width) * max(0, height)
    return shared / (one.area + other.area - shared)
