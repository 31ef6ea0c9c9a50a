"""Areas of deletion between a model's random orders and its own occlusion oracle."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from heatproof.evaluators.metrics.comparison.random_orders import RandomCurves, random_curves
from heatproof.evaluators.metrics.functions.curves import (
    PerturbationCurve,
    Schedule,
    deletion_curve,
)
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure, Readout, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import Order, descending
from heatproof.evaluators.registry.parameters import UNBOUNDED, UNIT, Range

MIN_PLACE_EFFECT: Final = 0.01
"""Smallest effect of the place, as a share of what removing everything does."""

MIN_STANDARD_ERRORS: Final = 3
"""Smallest effect of the place in standard errors of RA over the random orders."""

_ROUNDING: Final = 2.0**-20
"""What answers in single precision are uncertain by, as a share of the score."""

ORACLES: Final = ("single_drop", "marginal_drop")
"""Names of the model's own two orders."""


class ScoreScale(StrEnum):
    """What is read of an answer to a partly removed image."""

    PROBABILITY = "probability"
    LOGIT_MARGIN = "logit_margin"

    def reading(self, sample: Sample) -> Readout:
        """Reads an answer about the sample's target."""
        return sample.probability if self is ScoreScale.PROBABILITY else sample.margin

    @property
    def unit(self) -> str:
        """What the values of a curve are."""
        is_plain = self is ScoreScale.PROBABILITY
        return "class probability" if is_plain else "logit less the highest other"

    @property
    def range(self) -> Range:
        """Where areas lie."""
        return UNIT if self is ScoreScale.PROBABILITY else UNBOUNDED


@dataclass(frozen=True, slots=True, eq=False)
class CorrectedAreas:
    """What deletion in several orders does to one image of one model.

    Attributes:
        random: the random orders.
        traces: the curve of every other order, those of `ORACLES` among them.
    """

    random: RandomCurves
    traces: Mapping[str, PerturbationCurve]

    @property
    def curves(self) -> Mapping[str, PerturbationCurve]:
        """The mean random curve, that of the better oracle, and all others."""
        oracle = min((self.traces[name] for name in ORACLES), key=lambda trace: trace.area)
        return {"random": self.random.mean, "oracle": oracle, **self.traces}

    @property
    def areas(self) -> Mapping[str, float]:
        """Their areas."""
        return {name: trace.area for name, trace in self.curves.items()}

    @property
    def zero_coverage(self) -> int:
        """Points of all curves at which the model saw nothing at all."""
        return sum(trace.zero_coverage for trace in (self.random.mean, *self.traces.values()))

    def gain(self, name: str) -> float:
        """`(RA - area) / (RA - DA*)`: 0 is as random, 1 as the oracle."""
        areas = self.areas
        return (areas["random"] - areas[name]) / (areas["random"] - areas["oracle"])

    def weakness(self, name: str) -> Undefined | None:
        """Why there is nothing to divide by: the oracle beats random orders by no more than chance.

        Args:
            name: the order of the map that is scored.
        """
        areas, error = self.areas, self.random.standard_error
        full, empty = float(self.random.mean.values[0]), float(self.random.mean.values[-1])
        effect = areas["random"] - areas["oracle"]
        noise = max(MIN_STANDARD_ERRORS * error, _ROUNDING * max(abs(full), abs(empty)))
        least = max(MIN_PLACE_EFFECT * abs(full - empty), noise)
        if effect > least or math.isnan(effect):
            return None
        beaten = f"beats random orders by {effect:.2g} only, which is no more than {least:.2g}"
        by_map = areas["random"] - areas[name]
        if by_map > noise:
            return Undefined(
                Reason.WEAK_ORACLE,
                f"the model's better oracle {beaten}, although the map beats them by {by_map:.2g}: "
                "draw more random orders",
            )
        return Undefined(
            Reason.NO_PLACE_EFFECT,
            f"the model's better oracle {beaten}, so it does not matter what is removed",
        )


def corrected_areas(
    sample: Sample,
    schedule: Schedule,
    read: Readout,
    *,
    orders: int,
    maps: Mapping[str, Order],
    controls: Mapping[str, Order],
) -> Procedure[CorrectedAreas]:
    """Deletes cells in random orders, in those of maps, of the model's oracles and of controls.

    Args:
        sample: the image.
        schedule: cells, steps and operator.
        read: what is read of an answer.
        orders: number of random orders.
        maps: orders by name.
        controls: further ones.
    """
    random = yield from random_curves(sample, schedule, orders, read)
    oracles = {
        "single_drop": (yield from single_drop_order(sample, schedule, read)),
        "marginal_drop": descending(random.marginal_drops, sample.rng("ties")),
    }
    traces = {}
    for name, order in {**maps, **oracles, **controls}.items():
        traces[name] = yield from deletion_curve(sample, schedule, order, read)
    return CorrectedAreas(random, traces)


def single_drop_order(sample: Sample, schedule: Schedule, read: Readout) -> Procedure[Order]:
    """The order of the drops of the score when one cell alone is removed."""
    cells = np.arange(schedule.regions.cells)
    views = (
        sample.view(schedule.regions.spread(cells != cell), schedule.removal) for cell in cells
    )
    found = yield from respond(views, read)
    return descending(read(sample.clean) - found.values, sample.rng("ties"))
