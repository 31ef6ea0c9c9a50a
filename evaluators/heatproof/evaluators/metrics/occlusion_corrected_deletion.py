"""Deletion corrected for the model's own occlusion robustness."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.catalogue import Need, Range, parameter
from heatproof.evaluators.cells import Order, descending, saliency_order
from heatproof.evaluators.curves import Trace, Track, low_confidence
from heatproof.evaluators.metrics.metric import METRICS, Case, Setting
from heatproof.evaluators.metrics.random_orders import (
    check_cells,
    mean_random_curve,
    random_order,
    relative_curve,
)
from heatproof.evaluators.outcomes import (
    Direction,
    Estimator,
    Outcome,
    RatioEstimator,
    Reason,
    Score,
    Undefined,
)
from heatproof.evaluators.procedure import MaskedView, Procedure, respond
from heatproof.evaluators.scene import Scene

MIN_PLACE_EFFECT: Final = 0.01
"""Smallest `RA - DA*` that counts as an effect of the place."""


def _corrected(area: str) -> RatioEstimator:
    return RatioEstimator(("random_area", area), ("random_area", "oracle_area"), MIN_PLACE_EFFECT)


@METRICS.register
@dataclass(frozen=True, slots=True)
class OcclusionCorrectedDeletion:
    """Takes deletion relative to the model's random orders and its own occlusion oracle.

    `(RA - DA(map)) / (RA - DA*)`: 0 is no better than random, 1 as good as the order of the model's
    own single-cell drops, below 0 worse than random. Invariant to any affine change of the curves,
    so that models trained to bear occlusion compare fairly with others. Ours.
    """

    name: ClassVar[str] = "occlusion_corrected_deletion"
    reference: ClassVar[str] = "Heatproof, after Won et al. 2023, arXiv 2303.14608"
    needs: ClassVar[tuple[Need, ...]] = (Need.EXPLAINER, Need.REMOVAL)
    category: ClassVar[str] = "faithfulness"
    direction: ClassVar[Direction] = Direction.HIGHER_IS_BETTER
    estimator: ClassVar[Estimator] = _corrected("deletion_area")
    part_estimators: ClassVar[Mapping[str, Estimator]] = MappingProxyType(
        {
            "ratio": RatioEstimator(("random_area", "deletion_area"), ("random_area", ""), 1e-3),
            "control_uniform": _corrected("uniform_area"),
            "control_rolled": _corrected("rolled_area"),
        }
    )

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(2, 64))
    steps: int = parameter(28, "Steps of the curve; at most the cells.", within=Range(1, 1000))
    orders: int = parameter(10, "Number of random orders.", within=Range(10, 1000))

    def check(self, setting: Setting) -> None:
        """Refuses cells that are too small and more steps than cells."""
        check_cells(self._track(setting))

    def predictions(self, setting: Setting) -> int:
        """Random orders, map, oracle and two controls, and each cell alone."""
        return (self.orders + 4) * (self.steps - 1) + self.grid * self.grid

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        scene, track = case.scene, self._track(case.setting)
        if reason := low_confidence(scene):
            return Outcome(reason)
        own = saliency_order(track.grid, case.map, scene.rng("ties"))
        if isinstance(own, Undefined):
            return Outcome(own)
        traces = {"random": (yield from mean_random_curve(scene, track, self.orders))}
        orders = {
            "deletion": own,
            "oracle": (yield from oracle_order(scene, track)),
            "uniform": random_order(scene, track, "order/uniform"),
            "rolled": _rolled_order(case, track),
        }
        for name, order in orders.items():
            traces[name] = yield from relative_curve(scene, track, order)
        return _outcome(traces)

    def _track(self, setting: Setting) -> Track:
        return setting.track(self.grid, self.steps)


def oracle_order(scene: Scene, track: Track) -> Procedure[Order]:
    """The order of the drops of the class probability when one cell alone is removed."""
    cells = np.arange(track.grid.cells)
    views = (
        MaskedView(scene.picture, track.grid.spread(cells != cell), track.removal) for cell in cells
    )
    found = yield from respond(views, scene.target)
    return descending(scene.confidence - found.probabilities, scene.rng("ties"))


def _rolled_order(case: Case, track: Track) -> Order:
    """The order of the own map shifted cyclically by about half: it keeps its clustering."""
    rng, side = case.scene.rng("roll"), track.grid.side
    nearest = max(1, side // 4)
    shift = rng.integers(nearest, side - nearest, size=2, endpoint=True)
    means = track.grid.means(case.map).reshape(side, side)
    rolled = np.roll(means, tuple(shift.tolist()), axis=(0, 1))
    return descending(rolled.reshape(-1), case.scene.rng("ties"))


def _outcome(traces: Mapping[str, Trace]) -> Outcome:
    areas = {name: trace.area for name, trace in traces.items()}
    parts: dict[str, Score] = {f"{name}_area": area for name, area in areas.items()}
    parts["ratio"] = 1 - areas["deletion"] / areas["random"] if areas["random"] > 0 else _no_area()
    parts["control_uniform"] = corrected(areas["random"], areas["uniform"], areas["oracle"])
    parts["control_rolled"] = corrected(areas["random"], areas["rolled"], areas["oracle"])
    parts["n_zero_coverage"] = float(sum(trace.zero_coverage for trace in traces.values()))
    score = corrected(areas["random"], areas["deletion"], areas["oracle"])
    curves = {name: trace.curve() for name, trace in traces.items()}
    return Outcome(score, parts, curves)


def corrected(random_area: float, area: float, oracle_area: float) -> Score:
    """`(RA - DA) / (RA - DA*)`, unless the place of the occlusion has no effect."""
    effect = random_area - oracle_area
    if effect <= MIN_PLACE_EFFECT:
        return Undefined(
            Reason.NO_PLACE_EFFECT,
            f"the model's own oracle beats random orders by {effect:.2g} only, so it does not "
            "matter what is removed",
        )
    return (random_area - area) / effect


def _no_area() -> Undefined:
    return Undefined(Reason.NO_PLACE_EFFECT, "the area under random orders is 0")
