"""Where the object is: what every comparison of a map with it begins with."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from heatproof.evaluators.images.arrays import Map, Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import Metric
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure


def objects_of(case: Case) -> Mask | Undefined:
    """Where the object is in the model's input, or why nothing can be compared with it."""
    objects = case.objects
    if objects is None or not objects.any():
        return Undefined(Reason.NO_OBJECT, "no pixel of the input is marked as object")
    if objects.all():
        return Undefined(Reason.FULL_OBJECT, "every pixel is marked as object")
    return objects


def positive_part(attribution: Map) -> Map | Undefined:
    """Positive attributions as shares of the highest, so that no sum of them overflows."""
    positive = np.maximum(attribution, 0)
    highest = positive.max()
    if not highest > 0:
        return Undefined(Reason.DEGENERATE, "no attribution is positive")
    shares: Map = positive / highest
    return shares


def mass_share(masses: Map, inside: Mask) -> float:
    """The share of masses, not all of them 0, that lies inside; exactly 0 or 1 at the ends."""
    within, beyond = masses[inside].sum(), masses[~inside].sum()
    return float(within / (within + beyond))


@dataclass(frozen=True, slots=True)
class ObjectMetric(Metric):
    """Compares the map with the place of the object; asks the model nothing.

    It measures agreement with people: a model that reads the background is punished for an honest
    map.
    """

    @abstractmethod
    def compared(self, case: Case, objects: Mask) -> Outcome:
        """Scores a map that is not constant by an object that neither lacks nor fills the input."""

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        yield from ()
        objects = objects_of(case)
        if isinstance(objects, Undefined):
            return Outcome(objects)
        if case.map.min() == case.map.max():
            return Outcome(Undefined(Reason.DEGENERATE, "the map is constant: no pixel is higher"))
        return self.compared(case, objects)
