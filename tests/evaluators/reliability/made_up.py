"""Evaluations of one model whose metrics rate the maps of a trial as told."""

from collections.abc import Mapping, Sequence

import numpy as np

from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import (
    Centre,
    Disturbed,
    Explainer,
    Inverse,
    Occlusion,
    Random,
    Saliency,
)
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.reliability.assessing import assessed
from heatproof.evaluators.reliability.values import MetricReliability
from heatproof.evaluators.removal import Black, Grey
from tests.evaluators.comparison.made_up import columns_of, spec_of

MODEL = "models/a"
ORACLE = Occlusion(16, 16, Black())
SLIDING = Occlusion(32, 16, Grey())
MAPS: tuple[Explainer, ...] = (
    Random(),
    Centre(),
    Saliency(),
    SLIDING,
    ORACLE,
    Disturbed(Saliency()),
    Disturbed(SLIDING),
    Inverse(Saliency()),
)
RNG_SEED = 5

Scores = Mapping[Explainer, Sequence[float | None]]


def trial_spec(*metrics: Metric, explainers: Sequence[Explainer] = MAPS) -> EvaluationSpec:
    return spec_of(MODEL, metrics=metrics, explainers=explainers)


def reliabilities(
    spec: EvaluationSpec, scores: Mapping[Metric, Scores], groups: Sequence[str] = ()
) -> tuple[MetricReliability, ...]:
    results = [scores[key.metric][key.explainer] for key in result_keys(spec) if key.explainer]
    return assessed(spec, MODEL, columns_of(spec, results, groups=groups))


def graded(
    images: int, *, step: float = 0.1, noise: float = 0.05, disturbance: float = 1e-3, seed: int = 0
) -> dict[Explainer, list[float | None]]:
    """Scores that rise by a step from rung to rung; disturbed maps score nearly as their own."""
    rng = np.random.default_rng(seed)
    levels = {Random(): 0, Centre(): 1, Saliency(): 2, SLIDING: 2.5, ORACLE: 4}
    found = {
        one: 0.2 + step * level + noise * rng.standard_normal(images)
        for one, level in levels.items()
    }
    for of in (Saliency(), SLIDING):
        found[Disturbed(of)] = found[of] + disturbance * rng.standard_normal(images)
    found[Inverse(Saliency())] = 0.8 - found[Saliency()]
    return {one: values.tolist() for one, values in found.items()}


def turned_over(scores: Scores) -> dict[Explainer, list[float | None]]:
    return {
        one: [None if value is None else 1 - value for value in values]
        for one, values in scores.items()
    }
