"""The background that no map of the compared models shows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import plan, result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.explainers.explainer import ExplainerCategory, ExplainerFacts
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import Background, ExplanationConsistency
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from tests.evaluators.toys import SIDE, ToyPredictor, facts, linear, pixels

WEIGHTS = np.random.default_rng(0).normal(0.1, 1, (3, SIDE, SIDE)) * 5e-3
SHOWN: Mapping[str, np.ndarray] = {
    "models/a": np.pad(np.ones((16, 32)), ((0, 16), (0, 0))),
    "models/b": np.pad(np.ones((32, 8)), ((0, 0), (0, 24))),
    "models/constant": np.ones((SIDE, SIDE)),
}


@dataclass(frozen=True, slots=True)
class Halves(Explainer):
    """Shows another part of the image for each model."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="halves", reference="test", category=ExplainerCategory.CONTROLS
    )

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        return SHOWN[sample.facts.model]


def spec_of(*models: str, background: Background = Background.SHARED) -> EvaluationSpec:
    return EvaluationSpec(
        models=models,
        preprocessing=PRESETS["unit"],
        metrics=(ExplanationConsistency(background=background, controls=1),),
        explainers=(Halves(),),
    )


def predictors(*models: str) -> dict[str, ToyPredictor]:
    return {name: linear(WEIGHTS, own=facts(model=name)) for name in models}


IMAGE = SourceImage(
    "ab", "x", (pixels(low=0.1, high=0.9) * 255).astype(np.uint8).transpose(1, 2, 0).copy()
)
INVENTORY = Inventory.of([KnownImage("x")])


def test_all_models_are_attacked_where_none_of_their_maps_shows_anything() -> None:
    spec = spec_of("models/a", "models/b")
    assert [key.models for key in result_keys(spec)] == [("models/a",), ("models/b",)]
    models = predictors(*spec.models)
    (found,) = evaluate(spec, [IMAGE], models, lambda _: None)
    shared = (SHOWN["models/a"] + SHOWN["models/b"]) == 0
    assert [score.parts["background_share"] for score in found.scores] == [shared.mean()] * 2
    for predictor in models.values():
        rows = [row for batch in predictor.batches for row in batch]
        moved = {(row != rows[0]).any(axis=0).tobytes() for row in rows}
        assert moved == {shared.tobytes(), np.zeros_like(shared).tobytes()}


def test_a_constant_map_of_another_model_leaves_no_score() -> None:
    spec = spec_of("models/a", "models/constant")
    (found,) = evaluate(spec, [IMAGE], predictors(*spec.models), lambda _: None)
    for score in found.scores:
        assert isinstance(score.score, Undefined)
        assert score.score.reason is Reason.DEGENERATE


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ((facts(model="models/a"),), "at least 2"),
        ((facts(model="models/a"), facts(model="models/b", side=64)), "one input size"),
    ],
)
def test_what_cannot_be_laid_over_each_other_is_refused(
    models: tuple,
    told: str,  # type: ignore[type-arg]  # of facts
) -> None:
    spec = spec_of(*(own.model for own in models))
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        plan(spec, {own.model: own for own in models}, INVENTORY)
    assert caught.value.field == "metrics[0].explanation_consistency.background"


def test_the_maps_own_background_still_differs_from_model_to_model() -> None:
    spec = spec_of("models/a", "models/b", background=Background.MAP)
    (found,) = evaluate(spec, [IMAGE], predictors(*spec.models), lambda _: None)
    assert [score.parts["background_share"] for score in found.scores] == [0.5, 0.75]
    ExplanationConsistency(background=Background.SHARED).require_comparable()
    with pytest.raises(InvalidArgumentError, match="background shared"):
        replace(spec.metrics[0], background=Background.MAP).require_comparable()  # type: ignore[call-arg]  # of this metric
