"""Maps of one explainer on several models, and a gate that asks whether they still agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from scipy import stats

from heatproof.evaluators.comparison.quantities import compared_quantities
from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import plan, result_keys
from heatproof.evaluators.evaluation.results import ImageScore
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Explainer, Saliency, Supplied
from heatproof.evaluators.explainers.explainer import ExplainerCategory, ExplainerFacts
from heatproof.evaluators.gate import judge
from heatproof.evaluators.gate.policy import Check, Evaluated, Policy, Verdict, VerdictOutcome
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import (
    METRICS,
    Against,
    AgreementNdcg,
    AgreementSpearman,
    AgreementTopK,
    Metric,
)
from heatproof.evaluators.metrics.agreement.maps.map_agreement import MapAgreement
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from tests.evaluators.toys import SIDE, ToyPredictor, facts, linear, pixels

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))
BETWEEN = Against.MODELS
CANDIDATE, PARENT, THIRD = "models/candidate", "models/parent", "models/third"
INVENTORY = Inventory.of([KnownImage("x")])


@dataclass(frozen=True, slots=True)
class Turned(Explainer):
    """The red plane of the image, turned over for one of the models; lives in this test alone."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="turned", reference="test", category=ExplainerCategory.GRADIENT
    )

    inverted: str = ""
    noise: float = 0.0

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        made = sample.image.draw()[0].astype(np.float64)
        made = made + self.noise * sample.rng(sample.facts.model).normal(size=made.shape)
        return -made if sample.facts.model == self.inverted else made


def image(seed: int) -> SourceImage:
    drawn = (pixels(seed) * 255).astype(np.uint8).transpose(1, 2, 0).copy()
    return SourceImage(f"{seed:064x}", f"image {seed}", drawn)


def spec_of(
    explainer: Explainer, *metrics: Metric, models: Sequence[str] = (CANDIDATE, PARENT)
) -> EvaluationSpec:
    return EvaluationSpec(
        models=tuple(models),
        preprocessing=PRESETS["unit"],
        metrics=metrics or (AgreementSpearman(against=BETWEEN),),
        explainers=(explainer,),
    )


def predictors(models: Sequence[str]) -> dict[str, ToyPredictor]:
    return {name: linear(WEIGHTS, own=facts(model=name)) for name in models}


def scores_of(
    spec: EvaluationSpec, models: Mapping[str, ToyPredictor] | None = None
) -> tuple[ImageScore, ...]:
    (found,) = evaluate(spec, [image(0)], models or predictors(spec.models), lambda _: None)
    return found.scores


def test_every_model_has_a_score_and_equal_maps_agree_wholly() -> None:
    spec = spec_of(Turned(), *(METRICS[name](against=BETWEEN) for name in NAMES))
    assert {key.models for key in result_keys(spec)} == {(CANDIDATE,), (PARENT,)}
    assert [score.score for score in scores_of(spec)] == [1.0] * 2 * len(NAMES)


NAMES = sorted(name for name in METRICS if name.startswith("agreement_"))


def test_the_map_of_each_model_is_compared_with_the_other_ones() -> None:
    noisy = Turned(noise=0.1)
    own, other = scores_of(spec_of(noisy))
    made = [made_by(noisy, name) for name in (CANDIDATE, PARENT)]
    expected = stats.spearmanr(made[0], made[1], axis=None).statistic
    assert 0.1 < expected < 0.99
    assert own.score == other.score == pytest.approx(expected, abs=1e-9)
    first, second = scores_of(spec_of(noisy, AgreementNdcg(against=BETWEEN)))
    assert first.score != second.score


def made_by(explainer: Explainer, name: str) -> np.ndarray:
    """The map as Turned makes it, of which only the model's name and the image are read."""
    found: list[np.ndarray] = []

    @dataclass(frozen=True, slots=True)
    class Spy(Explainer):
        facts: ClassVar[ExplainerFacts] = ExplainerFacts(
            name="spy", reference="test", category=ExplainerCategory.GRADIENT
        )

        def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
            made = yield from explainer.explain(sample)
            assert isinstance(made, np.ndarray)
            found.append(made)
            return made

    scores_of(spec_of(Spy(), models=(name, "models/any")))
    return found[0]


def test_of_three_models_a_score_is_the_mean_over_the_other_two() -> None:
    models = (CANDIDATE, PARENT, THIRD)
    scores = [one.score for one in scores_of(spec_of(Turned(CANDIDATE), models=models))]
    assert scores == pytest.approx([-1, 0, 0], abs=1e-12)


def test_models_of_several_answers_do_not_explain_one_thing() -> None:
    models = predictors((CANDIDATE, PARENT))
    models[PARENT] = linear(-WEIGHTS, own=facts(model=PARENT))
    for score in scores_of(spec_of(Turned()), models):
        assert isinstance(score.score, Undefined)
        assert score.score.reason is Reason.DISAGREEMENT
        assert PARENT in score.score.detail


@pytest.mark.parametrize(
    ("models", "told", "field"),
    [
        ((facts(model=CANDIDATE),), "at least 2 in models.*its baseline", ".against"),
        ((facts(model=CANDIDATE), facts(model=PARENT, side=64)), "one input size", ".against"),
        ((facts(model=CANDIDATE), facts(model=PARENT, classes=4)), "same classes", ".against"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(
    models: tuple[PredictorFacts, ...], told: str, field: str
) -> None:
    spec = spec_of(Turned(), models=[own.model for own in models])
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        plan(spec, {own.model: own for own in models}, INVENTORY)
    assert caught.value.field == f"metrics[0].agreement_spearman{field}"


def test_a_second_explainer_that_would_not_be_asked_is_refused() -> None:
    spec = spec_of(Turned(), AgreementSpearman(Saliency(), BETWEEN))
    with pytest.raises(InvalidArgumentError, match="saliency would not be asked") as caught:
        plan(spec, {name: facts(model=name) for name in spec.models}, INVENTORY)
    assert caught.value.field == "metrics[0].agreement_spearman.other"


def test_supplied_maps_know_no_model() -> None:
    spec = spec_of(Supplied())
    named = Inventory.of([KnownImage("x", maps=frozenset({""}))])
    with pytest.raises(InvalidArgumentError, match="which supplied cannot"):
        plan(spec, {name: facts(model=name) for name in spec.models}, named)


def test_nothing_is_asked_beyond_the_maps() -> None:
    with_it = plan_of(AgreementSpearman(against=BETWEEN))
    assert with_it == plan_of(AgreementTopK(against=BETWEEN)) == 2


def plan_of(metric: MapAgreement) -> int:
    spec = spec_of(Turned(), metric)
    return plan(spec, {name: facts(model=name) for name in spec.models}, INVENTORY).predictions


def test_a_difference_between_two_models_is_no_hypothesis() -> None:
    (of_two,) = compared_quantities(spec_of(Turned()))
    assert not of_two.is_tested
    assert "no difference" in of_two.cautions[0]
    (of_three,) = compared_quantities(spec_of(Turned(), models=(CANDIDATE, PARENT, THIRD)))
    assert of_three.is_tested
    (second,) = compared_quantities(spec_of(Turned(), AgreementSpearman()))
    assert second.is_tested


def verdict(explainer: Explainer, check: Check, images: int = 40) -> Verdict:
    """Judges a candidate against its parent, as `heatproof gate --baseline parent.onnx` does."""
    spec = spec_of(explainer)
    sources = [image(seed) for seed in range(images)]
    columns = tabulated(spec, evaluate(spec, sources, predictors(spec.models), lambda _: None))
    held = Evaluated(CANDIDATE, spec, summarize(spec, columns), columns)
    policy = Policy(checks=(check,), explainers=(explainer,))
    return judge(policy, held, replace(held, model=PARENT))


CHECK = Check(metric=AgreementSpearman(against=BETWEEN), min=0.9)


def test_a_candidate_with_inverted_maps_fails() -> None:
    found = verdict(Turned(CANDIDATE, noise=0.01), CHECK)
    assert found.outcome is VerdictOutcome.FAIL
    assert "violates min 0.9" in found.checks[0].message


def test_a_candidate_with_nearly_the_same_maps_passes() -> None:
    found = verdict(Turned(noise=0.01), CHECK)
    assert found.outcome is VerdictOutcome.PASS
    assert "satisfies min 0.9" in found.checks[0].message


@pytest.mark.parametrize(
    ("images", "least", "outcome"),
    [
        (40, 0.6, VerdictOutcome.PASS),
        (40, 0.9, VerdictOutcome.FAIL),
        (160, 0.9, VerdictOutcome.PASS),
    ],
)
def test_equal_maps_pass_once_the_images_can_show_it(
    images: int, least: float, outcome: VerdictOutcome
) -> None:
    """Of 40 images with a score of 1, one in ten unseen ones may still have -1."""
    found = verdict(Turned(), replace(CHECK, min=least), images)
    assert found.outcome is outcome
    assert found.checks[0].interval is not None
    assert found.checks[0].interval.upper == 1


def test_a_regression_of_a_score_that_both_have_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="bound the score by min") as caught:
        verdict(Turned(), replace(CHECK, max_regression=0.1), 8)
    assert caught.value.field == "checks[0].max_regression"
