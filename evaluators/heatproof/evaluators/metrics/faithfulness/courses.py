"""Courses over the regions of an image, and the areas under what the model says on them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from heatproof.evaluators.metrics.faithfulness.perturbation import Walk
from heatproof.evaluators.metrics.functions.curves import (
    PerturbationCurve,
    even_counts,
    steps_until,
)
from heatproof.evaluators.outcomes import Curve, CurveFacts, CurveRole
from heatproof.evaluators.queries.procedure import Procedure

ONE_BY_ONE: Final = 0
"""Stands for as many steps as an image has regions."""

_DRAWN: Final = 100
"""Steps of the curve that is shown where each image has steps of its own."""


class Way(StrEnum):
    """Ways to go over the regions.

    MORF removes the most salient first, LERF the least salient; INSERTION shows the most salient
    first.
    """

    MORF = "morf"
    LERF = "lerf"
    INSERTION = "insertion"

    @property
    def shares(self) -> str:
        """What its curve goes over, in words."""
        return "share of cells shown" if self is Way.INSERTION else "share of cells hidden"

    def facts(self, unit: str) -> CurveFacts:
        """How its curve is drawn beside that of the opposite way."""
        if self is Way.LERF:
            return CurveFacts("least relevant first", CurveRole.SCORED, unit, self.shares)
        return CurveFacts("most relevant first", CurveRole.REFERENCE, unit, self.shares)


@dataclass(frozen=True, slots=True)
class Course:
    """One way over a share of the regions.

    LERF is the insertion curve read backwards, by definition: its masks are those of INSERTION, and
    its area is the same number.

    Attributes:
        way: which regions are removed or shown first.
        steps: steps from none of the regions to all; `ONE_BY_ONE` for one region a step.
        until: share of the regions at which the course ends.
    """

    way: Way
    steps: int
    until: float

    def steps_over(self, cells: int) -> int:
        """Steps from none of so many regions to all."""
        return self.steps or cells

    def views(self, cells: int) -> int:
        """Predictions beside those of the clean and the empty image."""
        steps = self.steps_over(cells)
        return min(steps_until(steps, self.until), steps - 1)

    def trace(self, walk: Walk) -> Procedure[PerturbationCurve]:
        """What the model says; of LERF over the share that is shown."""
        steps = self.steps_over(walk.regions.cells)
        counts, last = even_counts(walk.regions.cells, steps), steps_until(steps, self.until)
        if self.way is Way.LERF:
            return walk.showing(counts[steps - last :])
        draw = walk.showing if self.way is Way.INSERTION else walk.removing
        return draw(counts[: last + 1])

    def area(self, trace: PerturbationCurve) -> float:
        """Area under a trace, over `until`."""
        if self.until == 1:
            return trace.area
        if self.way is Way.LERF:
            return trace.mean_between(1 - self.until, 1.0)
        return trace.mean_between(0.0, self.until)

    def curve(self, trace: PerturbationCurve, *, is_fixed: bool) -> Curve:
        """A trace as a result, with as many points for every image.

        Args:
            trace: what the model says.
            is_fixed: whether all images have the same regions; else the points are at even shares,
                linear between those that were asked.
        """
        ahead = trace.backwards() if self.way is Way.LERF else trace
        if is_fixed:
            return ahead.curve()
        steps = steps_until(self.steps or _DRAWN, self.until)
        return ahead.at(np.linspace(0, self.until, steps + 1)).curve()
