"""What an evaluation says of each trial."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Final

from heatproof.client.calibration.bounds import Bound, Standing, bound_of
from heatproof.client.calibration.trials import BLIND_MAPS, Chosen, Need, Trial
from heatproof.client.documents.results import Report
from heatproof.v1.results_pb2 import Direction, MetricResult, Summary

USUAL_SHARE: Final = 0.9
"""`Check.min_scored` where a policy does not set it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a calibration says of a metric and an explainer.

    Attributes:
        trial: the metric.
        explainer: the explainer under test.
        own: score of its map.
        controls: scores of maps that know nothing of the model, by name.
        bound: what becomes of it.
        min_scored: least share of images with a score that a check asks; None: the usual one.
        higher_is_better: what a good score is.
    """

    trial: Trial
    explainer: Chosen
    own: Summary
    controls: Mapping[str, Summary]
    bound: Bound
    min_scored: float | None
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class Design:
    """What a calibration evaluates.

    Attributes:
        trials: the metrics that model and images allow.
        explainers: the explainers under test.
    """

    trials: tuple[Trial, ...]
    explainers: tuple[Chosen, ...]

    @property
    def maps(self) -> tuple[Chosen, ...]:
        """All explainers: those under test, then the controls."""
        names = {name for one in self.explainers for name in one}
        return (*self.explainers, *({name: {}} for name in BLIND_MAPS if name not in names))

    @property
    def metrics(self) -> tuple[Chosen, ...]:
        """All metrics, each once: of each trial, and by which its controls are scored."""
        found: list[Chosen] = []
        for metric in (one for trial in self.trials for one in self._of(trial)):
            if metric not in found:
                found.append(metric)
        return tuple(found)

    def findings(self, report: Report) -> Iterator[Finding]:
        """What the evaluation of `metrics` and `maps` says, trial by trial."""
        scores = _Scores(self, report)
        for trial in self.trials:
            for explainer in self.explainers:
                yield _found(trial, explainer, scores)

    def _of(self, trial: Trial) -> Iterator[Chosen]:
        yield trial.metric
        if trial.blind is not None:
            yield from map(trial.blind, self.explainers)


@dataclass(frozen=True, slots=True)
class _Scores:
    """Finds the results of the candidate by what was asked for."""

    design: Design
    report: Report

    def of(self, metric: Chosen, explainer: Chosen) -> MetricResult:
        """The result of a metric and an explainer."""
        spec = self.report.evaluation.spec
        asked_metric = spec.metrics[_place(self.design.metrics, metric)]
        asked_explainer = spec.explainers[_place(self.design.maps, explainer)]
        return next(
            result
            for result in self.report.results
            if result.models[0] == spec.models[0]
            and result.metric == asked_metric
            and result.explainer == asked_explainer
        )


def _place(choices: Sequence[Chosen], wanted: Chosen) -> int:
    return choices.index(wanted)


def _found(trial: Trial, explainer: Chosen, scores: _Scores) -> Finding:
    result = scores.of(trial.metric, explainer)
    blind = trial.metric if trial.blind is None else trial.blind(explainer)
    controls = {name: scores.of(blind, {name: {}}).summary for name in BLIND_MAPS}
    bound = bound_of(result.summary, controls, result.direction)
    share = result.summary.scored / max(len(scores.report.images), 1)
    if trial.need is Need.PARENT and share < USUAL_SHARE:
        bound = Bound(Standing.LEFT_OUT, reason=_disagreement(result.summary))
    if share == 0:
        bound = Bound(Standing.LEFT_OUT, reason=_unscored(result.summary))
    return Finding(
        trial,
        explainer,
        result.summary,
        controls,
        bound,
        _min_scored(share),
        result.direction != Direction.DIRECTION_LOWER_IS_BETTER,
    )


def _min_scored(share: float) -> float | None:
    """A tenth below the share that has a score here, in tenths; None where the usual one holds."""
    return None if share >= USUAL_SHARE else max(0.0, floor(10 * share - 1) / 10)


def _disagreement(summary: Summary) -> str:
    return f"too few images compare: {_unscored(summary)}"


def _unscored(summary: Summary) -> str:
    told = [f"{count} x {reason}" for reason, count in sorted(summary.undefined.items())]
    return f"{summary.scored} images have a score ({', '.join(told)})"
