"""The scores of a trial over the images that count."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from heatproof.evaluators.evaluation.columns import Columns, Quantity, ResultColumns, ScoreColumn
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import quantity_of
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT
from heatproof.evaluators.reliability.rank_agreement import MapScores
from heatproof.evaluators.reliability.trials import Trial
from heatproof.evaluators.reliability.values import Role
from heatproof.evaluators.statistics.arms import Rows
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.reductions import Mean


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTrial:
    """The scores of a trial over the images that count.

    Attributes:
        trial: which maps of which metric.
        quantities: the score of each contender, over the shared images.
        scores: of all images and contenders, turned so that higher is better; NaN where there is
            none.
        disturbed: likewise of the maps with noise of the explainers that have one.
        explained: places of these explainers among the contenders.
    """

    trial: Trial
    quantities: tuple[Quantity, ...]
    scores: MapScores
    disturbed: Float64[np.ndarray, "images explained"]
    explained: tuple[int, ...]

    @classmethod
    def of(
        cls, trial: Trial, spec: EvaluationSpec, columns: Columns, units: Units
    ) -> "ScoredTrial":
        """Reads the scores of a trial."""
        keys = result_keys(spec)
        own = {index: columns.results[index].taken(units.images) for index in trial.results}
        turned = {index: _turned(held, trial) for index, held in own.items()}
        indices = [one.result for one in trial.contenders]
        scores = np.stack([turned[index] for index in indices], axis=1)
        shared = _everywhere(np.isfinite(scores))
        explained = tuple(
            place
            for place in trial.places(Role.EXPLAINER)
            if trial.contenders[place].explainer in trial.disturbed
        )
        of_noise = [turned[trial.disturbed[trial.contenders[p].explainer]] for p in explained]
        return cls(
            trial=trial,
            quantities=tuple(_quantity(keys[i], own[i]).within(shared) for i in indices),
            scores=scores,
            disturbed=np.stack(of_noise, axis=1) if of_noise else np.zeros((len(scores), 0)),
            explained=explained,
        )

    @property
    def shared(self) -> Rows:
        """Which images all contenders have a score of."""
        return _everywhere(np.isfinite(self.scores))

    @property
    def unshared(self) -> int:
        """Images that only some contenders have a score of."""
        return int((np.isfinite(self.scores).any(axis=1) & ~self.shared).sum())

    def ranked(self, roles: Sequence[Role]) -> MapScores:
        """The scores of the contenders of some roles, over the shared images."""
        places = sorted(place for role in roles for place in self.trial.places(role))
        chosen: MapScores = self.scores[self.shared][:, places]
        return chosen

    def paired(self, other: "ScoredTrial", roles: Sequence[Role]) -> tuple[MapScores, MapScores]:
        """The scores of all images by this metric and by another, of the maps that both rate."""
        own, others = self.places_of(roles), other.places_of(roles)
        common = [explainer for explainer in own if explainer in others]
        return (
            self.scores[:, [own[one] for one in common]],
            other.scores[:, [others[one] for one in common]],
        )

    def places_of(self, roles: Sequence[Role]) -> dict[Explainer, int]:
        """The place of each explainer that has one of the roles."""
        places = sorted(place for role in roles for place in self.trial.places(role))
        return {self.trial.contenders[place].explainer: place for place in places}

    def resilience(self) -> Quantity:
        """Share of an image's explainers whose score noise moves less than a random map does.

        Undisturbed and random scores that are equal count against it: such a metric reads nothing.
        """
        random = self.trial.places(Role.RANDOM)
        shares = np.full(len(self.scores), np.nan)
        if self.explained and random:
            own = self.scores[:, self.explained]
            moved = np.abs(self.disturbed - own)
            replaced = np.abs(self.scores[:, random[:1]] - own)
            told = np.isfinite(moved).all(axis=1) & self.shared
            shares = np.where(told, (moved < replaced).mean(axis=1), np.nan)
        column = ScoreColumn.of(None if np.isnan(share) else float(share) for share in shares)
        return Quantity.of(column, Mean(UNIT, (0.0, 1.0)), {})


def _everywhere(known: Bool[np.ndarray, "images maps"]) -> Rows:
    return np.asarray(known.all(axis=1))


def _turned(held: ResultColumns, trial: Trial) -> Float64[np.ndarray, "images"]:
    values = held.scores[""].values
    match trial.key.metric.direction:
        case Direction.HIGHER_IS_BETTER:
            return values
        case Direction.LOWER_IS_BETTER:
            return -values
        case Direction.CLOSER_TO_ZERO:
            return np.asarray(-np.abs(values))


def _quantity(key: ResultKey, held: ResultColumns) -> Quantity:
    """The score; its magnitude where closer to zero is better."""
    if key.metric.direction is not Direction.CLOSER_TO_ZERO:
        return quantity_of(key, held, "")
    column = held.scores[""]
    return Quantity.of(ScoreColumn(np.abs(column.values), column.codes), Mean(NOT_NEGATIVE), {})
