"""Deletion by every model in the order of every model's map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import ClassVar, Final

from heatproof.evaluators.explainers.controls.centre import centre_bump
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.comparison.corrected_areas import (
    CorrectedAreas,
    ScoreScale,
    corrected_areas,
)
from heatproof.evaluators.metrics.comparison.random_orders import RandomOrdersMetric, random_order
from heatproof.evaluators.metrics.functions.curves import Schedule, low_confidence
from heatproof.evaluators.metrics.metric import (
    METRICS,
    Cost,
    MetricCategory,
    MetricFacts,
    PanelPart,
)
from heatproof.evaluators.outcomes import (
    Curve,
    CurveFacts,
    CurveRole,
    Direction,
    Outcome,
    Reason,
    Score,
    Undefined,
)
from heatproof.evaluators.queries.procedure import Procedure, together
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import GridCells, Order, descending, saliency_order
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.cross_model import CrossModel
from heatproof.evaluators.statistics.reductions import Mean, Reduction

MAX_PANEL: Final = 16
"""Most models of an evaluation."""

CONTROLS: Final = ("random", "centre")
"""Maps that know nothing of the image: one random order, and a bump in the middle."""

FEWEST_MODELS: Final = 2

ONE_EVALUATOR: Final = (
    "of two models each quality rests on one evaluator, the other model, so that a difference may "
    "be one of evaluators: compare at least three"
)


@METRICS.register
@dataclass(frozen=True, slots=True)
class InterModelDeletion(RandomOrdersMetric):
    """Deletes cells of every model in the order of every model's map.

    `C[j, k]` is the area of model j in the order of map k and
    `G[j, k] = (RA_j - C[j, k]) / (RA_j - DA*_j)` what that order is worth to j, between its random
    orders (0) and its own oracle (1). Per model, `quality[k]` is the mean of `G[j, k]` over the
    other models j: how well k's maps serve the panel; `own_map_advantage[j]` is `G[j, j]` less the
    mean of `G[j, k]` over the others' maps. The score is the mean quality. Of a data set all are
    taken of the sums of areas over the images that every model scored. With two models a quality
    rests on one evaluator. Ours.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="inter_model_deletion",
        reference="Heatproof, after Won et al. 2023, arXiv 2303.14608",
        category=MetricCategory.COMPARISON,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL, Reads.PANEL),
    )

    scale: ScoreScale = parameter(ScoreScale.PROBABILITY, "What the areas are under.")

    @property
    def reduction(self) -> Reduction:
        """The mean quality of two models; `reductions` knows that of more."""
        return CrossModel.mean_quality(2)

    def reductions(self, models: int) -> Mapping[str, Reduction]:
        """Gains, qualities and advantages of the sums of areas; areas are averaged."""
        pairs = product(range(models), _orders(models))
        areas = [CrossModel.map_area(model, order) for model, order in pairs]
        for model in range(models):
            areas += [CrossModel.random_area(model), CrossModel.oracle_area(model)]
        return MappingProxyType(
            {
                **_comparisons(models),
                **dict.fromkeys(areas, Mean(self.scale.range)),
                "n_zero_coverage": Mean(NOT_NEGATIVE),
            }
        )

    def panel_parts(self, models: int) -> tuple[PanelPart, ...]:
        """Quality and own-map advantage of each model; gains are of two."""
        places = range(models)
        return (
            PanelPart(
                "quality",
                tuple(f"quality[{place}]" for place in places),
                {name: f"quality[{name}]" for name in CONTROLS},
                ONE_EVALUATOR if models == FEWEST_MODELS else "",
            ),
            PanelPart(
                "own_map_advantage", tuple(f"own_map_advantage[{place}]" for place in places), {}
            ),
        )

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """Each model in the order of its own map, between its random orders and its oracle."""
        roles = {
            "own": ("its own map", CurveRole.SCORED),
            "random": ("random orders", CurveRole.REFERENCE),
            "oracle": ("oracle order", CurveRole.ORACLE),
        }
        return {
            f"{name}[{model}]": CurveFacts(f"model {model}, {label}", role, self.scale.unit)
            for model, (name, (label, role)) in product(range(MAX_PANEL), roles.items())
        }

    def cost(self, case: Case) -> Cost:
        """For every model random orders, all maps, two oracles, two controls and each cell."""
        models = len(case.panel_models)
        curves = self.orders + models + len(CONTROLS) + 2
        return Cost(views=models * (curves * (self.steps - 1) + self.grid * self.grid))

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image with all models side by side."""
        samples = list(case.panel.values())
        if reason := _unfit(case):
            return Outcome(reason)
        orders: dict[str, Order] = {}
        for place, (model, sample) in enumerate(case.panel.items()):
            order = saliency_order(self._grid(sample), case.panel_maps[model], sample.rng("ties"))
            if isinstance(order, Undefined):
                return Outcome(Undefined(order.reason, f"{model}: {order.detail}"))
            orders[str(place)] = order
        found = yield from together(self._areas(case, sample, orders) for sample in samples)
        return _outcome(found)

    def _grid(self, sample: Sample) -> GridCells:
        return GridCells(sample.height, sample.width, self.grid)

    def _areas(
        self, case: Case, sample: Sample, orders: Mapping[str, Order]
    ) -> Procedure[CorrectedAreas]:
        schedule = Schedule.even(self._grid(sample), self.steps, case.removal)
        bump = centre_bump(sample.height, sample.width)
        controls = {
            "random": random_order(sample, schedule, "order/uniform"),
            "centre": descending(schedule.regions.means(bump), sample.rng("ties")),
        }
        return (
            yield from corrected_areas(
                sample,
                schedule,
                self.scale.reading(sample),
                orders=self.orders,
                maps={_trace(name): order for name, order in orders.items()},
                controls={_trace(name): order for name, order in controls.items()},
            )
        )


def _trace(order: str) -> str:
    """Name of the curve in the order of a map, which `random` alone would not tell from RA's."""
    return f"map/{order}"


def _orders(models: int) -> tuple[str, ...]:
    """All maps: the models' by number, and the controls."""
    return (*map(str, range(models)), *CONTROLS)


def _comparisons(models: int) -> dict[str, CrossModel]:
    """The score under "", and what else is made of gains."""
    found = {"": CrossModel.mean_quality(models)}
    for order in _orders(models):
        found[f"quality[{order}]"] = CrossModel.quality(order, models)
    for model in range(models):
        found[f"own_map_advantage[{model}]"] = CrossModel.own_advantage(model, models)
    for model, order in product(range(models), _orders(models)):
        found[f"gain[{model},{order}]"] = CrossModel.gain(model, order)
    return found


def _unfit(case: Case) -> Undefined | None:
    """Why the models do not answer one question, or one of them none."""
    targets = {model: sample.target for model, sample in case.panel.items()}
    if len(set(targets.values())) > 1:
        said = ", ".join(f"{model} has {target}" for model, target in targets.items())
        return Undefined(Reason.DISAGREEMENT, f"the models do not agree on the class: {said}")
    for model, sample in case.panel.items():
        if reason := low_confidence(sample):
            return Undefined(reason.reason, f"{model}: {reason.detail}")
    return None


def _outcome(found: Sequence[CorrectedAreas]) -> Outcome:
    """An image's own ratios; without a score where one model has nothing to divide by."""
    models = len(found)
    parts: dict[str, Score] = {"n_zero_coverage": float(sum(each.zero_coverage for each in found))}
    curves: dict[str, Curve] = {}
    for model, each in enumerate(found):
        areas, drawn = each.areas, each.curves
        parts[CrossModel.random_area(model)] = areas["random"]
        parts[CrossModel.oracle_area(model)] = areas["oracle"]
        for order in _orders(models):
            parts[CrossModel.map_area(model, order)] = areas[_trace(order)]
        named = {"own": _trace(str(model)), "random": "random", "oracle": "oracle"}
        curves |= {f"{name}[{model}]": drawn[trace].curve() for name, trace in named.items()}
    weak = (each.weakness(_trace(str(model))) for model, each in enumerate(found))
    reason = next((why for why in weak if why is not None), None)
    scores = {
        name: reason or _combined(found, reduction)
        for name, reduction in _comparisons(models).items()
    }
    return Outcome(scores.pop(""), {**scores, **parts}, curves)


def _combined(found: Sequence[CorrectedAreas], reduction: CrossModel) -> float:
    """What a reduction makes of one image alone."""
    return sum(weight * found[j].gain(_trace(order)) for j, order, weight in reduction.weights)
