"""Maps of one model that another one judges."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate, plan
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Saliency, Supplied
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import Frame, FramedMap, SourceImage
from heatproof.evaluators.metrics import (
    Deletion,
    MaxSensitivity,
    Metric,
    OcclusionRobustness,
    SingleDeletionCorrelation,
)
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.passes import Capability
from heatproof.evaluators.queries.predictor import Shortfall
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.removal import Black, Layer, RemovalOperator
from tests.evaluators.toys import SIDE, ToyPredictor, facts, linear, pixels

EXPLAINED, EVALUATOR = "models/explained", "models/evaluator"
METRICS: tuple[Metric, ...] = (SingleDeletionCorrelation(regions=Grid(4)), Deletion(4, 4))


def weights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-4e-3, 6e-3, (3, SIDE, SIDE))


def network(model: str, seed: int, **known: Any) -> ToyPredictor:
    return linear(weights(seed), own=facts(model=model, **known))


def image(maps: dict[str, FramedMap] | None = None) -> SourceImage:
    drawn = (pixels(3) * 255).astype(np.uint8).transpose(1, 2, 0).copy()
    return SourceImage("ab", "one", drawn, attribution_maps=maps or {})


def spec_of(*models: str, metrics: Sequence[Metric] = METRICS, **changes: Any) -> EvaluationSpec:
    usual: dict[str, Any] = {
        "models": models,
        "preprocessing": PRESETS["unit"],
        "metrics": tuple(metrics),
        "explainers": (Saliency(),),
        "removals": (Black(),),
        "target": FixedClass(0),
    }
    return EvaluationSpec(**{**usual, **changes})


def scores(spec: EvaluationSpec, held: SourceImage, *networks: ToyPredictor) -> list[Any]:
    predictors = {one.facts.model: one for one in networks}
    (found,) = evaluate(spec, [held], predictors, lambda _: None)
    return [one.score for one in found.scores]


def test_the_evaluator_is_asked_about_the_maps_of_the_explained_model() -> None:
    """As if the maps had been uploaded for the evaluator."""
    explained, evaluator = network(EXPLAINED, 1), network(EVALUATOR, 2)
    judged = scores(spec_of(EXPLAINED, evaluator_model=EVALUATOR), image(), explained, evaluator)
    saliency = np.abs(weights(1).astype(np.float32)).max(axis=0)
    maps = {"": FramedMap(Frame.MODEL_INPUT, saliency)}
    supplied = scores(spec_of(EVALUATOR, explainers=(Supplied(),)), image(maps), evaluator)
    assert judged == supplied
    own = scores(spec_of(EXPLAINED), image(), explained)
    assert all(one != other for one, other in zip(judged, own, strict=True))


def test_a_model_that_judges_itself_scores_as_without_an_evaluator() -> None:
    explained = network(EXPLAINED, 1)
    plain = scores(spec_of(EXPLAINED), image(), explained)
    rows = sum(map(len, explained.batches))
    again = network(EXPLAINED, 1)
    assert scores(spec_of(EXPLAINED, evaluator_model=EXPLAINED), image(), again) == plain
    assert sum(map(len, again.batches)) == rows


def test_what_makes_maps_anew_or_reads_none_is_asked_of_the_explained_model() -> None:
    metrics = (*METRICS, OcclusionRobustness(4, 4), MaxSensitivity(draws=2))
    explained, evaluator = network(EXPLAINED, 1), network(EVALUATOR, 2)
    judged = scores(
        spec_of(EXPLAINED, metrics=metrics, evaluator_model=EVALUATOR),
        image(),
        explained,
        evaluator,
    )
    own = scores(spec_of(EXPLAINED, metrics=metrics), image(), network(EXPLAINED, 1))
    assert judged[2:] == own[2:]


def test_an_evaluator_that_answers_nan_yields_a_status() -> None:
    broken = ToyPredictor(lambda _: np.full(3, np.nan), own=facts(model=EVALUATOR))
    metrics = (*METRICS, MaxSensitivity(draws=2))
    spec = spec_of(EXPLAINED, metrics=metrics, evaluator_model=EVALUATOR)
    found = scores(spec, image(), network(EXPLAINED, 1), broken)
    clean = Undefined(
        Reason.NOT_FINITE, "the model's answer to the clean image holds NaN or infinity"
    )
    assert found[:2] == [clean, clean]
    assert isinstance(found[2], float)


def planned(spec: EvaluationSpec, *networks: ToyPredictor) -> int:
    known = {one.facts.model: one.facts for one in networks}
    return plan(spec, known, Inventory.of([KnownImage("one")])).predictions


def test_the_plan_counts_the_evaluators_clean_and_empty_images() -> None:
    explained, evaluator = network(EXPLAINED, 1), network(EVALUATOR, 2)
    spec = spec_of(EXPLAINED, evaluator_model=EVALUATOR)
    bound = planned(spec, explained, evaluator)
    scores(spec, image(), explained, evaluator)
    rows = len({row.tobytes() for batch in evaluator.batches for row in batch}) + 2
    assert rows <= bound == planned(spec_of(EXPLAINED), explained) + 1


@pytest.mark.parametrize(
    ("metrics", "known", "told"),
    [
        ((OcclusionRobustness(4, 4),), {}, "none of the metrics asks another model"),
        ((MaxSensitivity(),), {}, "none of the metrics asks another model"),
        (METRICS, {"side": 16}, "16 x 16 pixels"),
        (METRICS, {"classes": 4}, "4 classes"),
    ],
)
def test_an_evaluator_that_cannot_judge_is_refused(
    metrics: tuple[Metric, ...], known: dict[str, int], told: str
) -> None:
    removals = (Black(),) if any(metric.takes_removal for metric in metrics) else ()
    spec = spec_of(EXPLAINED, metrics=metrics, removals=removals, evaluator_model=EVALUATOR)
    other = ToyPredictor(lambda _: np.zeros(3), own=facts(model=EVALUATOR, **known))
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        planned(spec, network(EXPLAINED, 1), other)
    assert caught.value.field == "evaluator_model"


def test_only_the_model_that_hides_regions_must_be_able_to() -> None:
    unable = [Shortfall(Capability.LAYER_MASKING, "no rule")]
    removals: tuple[RemovalOperator, ...] = (Layer(),)
    spec = spec_of(
        EXPLAINED, metrics=(Deletion(2, 4),), removals=removals, evaluator_model=EVALUATOR
    )
    assert planned(spec, network(EXPLAINED, 1, shortfalls=unable), network(EVALUATOR, 2))
    with pytest.raises(Exception, match="models/evaluator lacks"):
        planned(spec, network(EXPLAINED, 1), network(EVALUATOR, 2, shortfalls=unable))
    alone = replace(spec, evaluator_model="")
    with pytest.raises(Exception, match="models/explained lacks"):
        planned(alone, network(EXPLAINED, 1, shortfalls=unable))
