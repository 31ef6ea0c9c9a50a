from concurrent.futures import Future
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers import (
    Centre,
    Edges,
    Explainer,
    IntegratedGradients,
    Lime,
    Occlusion,
    Rise,
    Saliency,
    Supplied,
)
from heatproof.evaluators.explainers.explainer import ExplainerCategory, ExplainerFacts
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics import InputInvariance
from heatproof.evaluators.metrics.axioms.shifted_inputs import shifted_map
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.passes import IMAGE as INPUT
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch, PredictorFacts
from heatproof.evaluators.queries.procedure import LazyImage, Procedure, differentiate
from heatproof.evaluators.queries.sample import Donation, Sample
from heatproof.evaluators.regions import Slic
from heatproof.evaluators.removal import (
    Blur,
    Donor,
    Grey,
    Inpaint,
    Layer,
    LinearImputation,
    Neighbourhood,
    Noise,
    OwnMin,
    RemovalOperator,
)
from heatproof.evaluators.removal import Mean as MeanColour
from tests.evaluators.toys import SIDE, ToyPredictor, ask, case_of, facts, linear, pixels, planned

WEIGHTS = np.random.default_rng(11).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
IMAGE = pixels()
SHIFTS = (-1.0, 0.25, 3.0)


@dataclass(frozen=True, slots=True)
class GradientTimesInput(Explainer):
    """The gradient times what it was taken at, as the answer says."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="gradient_times_input", reference="tests", category=ExplainerCategory.GRADIENT
    )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        return (ModelPass(model.model, wrt=INPUT),)

    def cost(self, model: PredictorFacts) -> int:  # noqa: ARG002  # as the seam says
        return 1

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        found = yield from differentiate(sample.gradient_view())
        made: Map = (found.activation.astype(np.float64) * found.gradient).sum(axis=0)
        return made


def scored(explainer: Explainer, shift: float, predictor: ToyPredictor | None = None) -> Outcome:
    predictor = predictor or linear(WEIGHTS)
    case = case_of(predictor, IMAGE, explainer=explainer)
    made = ask(explainer.explain(case.sample), predictor)
    assert isinstance(made, np.ndarray)
    case = case_of(predictor, IMAGE, made, explainer=explainer)
    return ask(InputInvariance(shift).score(case), predictor)


class Behind(ToyPredictor):
    """The same model behind a subtraction: what the metric stands for, built for real."""

    def __init__(self, inner: ToyPredictor, shift: float) -> None:
        slope = inner._jacobian
        assert slope is not None
        subtract = np.float32(shift)
        super().__init__(
            lambda image: inner._logits(image - subtract),
            jacobian=lambda image: slope(image - subtract),
        )


def squashed() -> ToyPredictor:
    """A model whose gradients depend on where it is."""

    def logits(image: np.ndarray) -> np.ndarray:
        return np.array([np.tanh((WEIGHTS * image.astype(np.float64)).sum() / 4), 0.0, 0.0])

    def jacobian(image: np.ndarray) -> np.ndarray:
        inner = np.tanh((WEIGHTS * image.astype(np.float64)).sum() / 4)
        full = np.zeros((3, *image.shape))
        full[0] = WEIGHTS * (1 - inner**2) / 4
        return full

    return ToyPredictor(logits, jacobian=jacobian)


@pytest.mark.parametrize("shift", SHIFTS)
def test_saliency_of_a_linear_model_does_not_move(shift: float) -> None:
    found = scored(Saliency(), shift)
    assert found.score == 0
    assert found.parts["invariant"] == 1


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("explainer", [GradientTimesInput(), IntegratedGradients(steps=4)])
def test_gradient_times_input_moves_by_the_shift_times_the_weights(
    explainer: Explainer, shift: float
) -> None:
    contributions = (WEIGHTS * IMAGE).sum(axis=0)
    moved = shift * WEIGHTS.sum(axis=0)
    expected = np.abs(moved).max() / np.abs(contributions).max()
    found = scored(explainer, shift)
    assert found.score == pytest.approx(expected, rel=1e-5)  # float32 pixels and gradients
    assert found.parts["invariant"] == 0


@pytest.mark.parametrize("baseline", [MeanColour(), OwnMin(), Blur(sigma=2.0)])
def test_a_baseline_that_moves_along_is_invariant(baseline: RemovalOperator) -> None:
    found = scored(IntegratedGradients(8, baseline), -1.0, squashed())
    assert found.parts["invariant"] == 1


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(
    "explainer",
    [
        GradientTimesInput(),
        Saliency(),
        IntegratedGradients(4, Grey()),
        Occlusion(8, 8),
        Occlusion(8, 8, Blur(sigma=2.0)),
        Occlusion(8, 8, LinearImputation()),
        Occlusion(8, 8, Neighbourhood()),
        Occlusion(8, 8, Noise()),
        Occlusion(8, 8, Inpaint()),
        Occlusion(8, 8, Donor()),
        Rise(masks=6),
    ],
    ids=repr,
)
def test_it_is_the_map_of_the_shifted_image_for_the_model_behind_a_subtraction(
    explainer: Explainer, shift: float
) -> None:
    plain, behind = squashed(), Behind(squashed(), shift)
    sample = case_of(plain, IMAGE).sample
    object.__setattr__(sample, "donors", (Donation("d", LazyImage.of(pixels(8))),))
    shifted = case_of(behind, IMAGE + np.float32(shift)).sample
    moved = pixels(8) + np.float32(shift)
    object.__setattr__(shifted, "donors", (Donation("d", LazyImage.of(moved)),))
    object.__setattr__(shifted, "digest", sample.digest)
    found = ask(shifted_map(explainer, sample, shift), plain)
    expected = ask(explainer.explain(shifted), behind)
    assert isinstance(found, np.ndarray)
    # pixels lose their last bits as the shift goes on and off in float32
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6)


def test_the_network_hides_regions_of_the_image_as_it_was() -> None:
    predictor = linear(WEIGHTS)
    plain = ask(Occlusion(8, 8, Layer()).explain(case_of(predictor, IMAGE).sample), predictor)
    sample = case_of(predictor, IMAGE).sample
    found = ask(shifted_map(Occlusion(8, 8, Layer()), sample, 3.0), predictor)
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, plain)


def test_segments_are_those_of_the_image_as_it_was() -> None:
    explainer = Lime(Slic(segments=9, compactness=100.0), samples=16, removal=MeanColour())
    predictor = linear(WEIGHTS)
    sample = case_of(predictor, IMAGE).sample
    plain = ask(explainer.explain(sample), predictor)
    found = ask(shifted_map(explainer, sample, 3.0), predictor)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, plain, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("explainer", [Centre(), Edges()])
def test_maps_that_are_blind_to_the_model_pass(explainer: Explainer) -> None:
    assert scored(explainer, -1.0).parts["invariant"] == 1


class Counting(ToyPredictor):
    """Remembers how many rows each way of running it had."""

    def __init__(self) -> None:
        inner = linear(WEIGHTS)
        super().__init__(inner._logits, jacobian=inner._jacobian, own=facts(batch_size=1))
        self.runs: list[ModelPass] = []

    def submit(self, run: ModelPass, batch: Batch) -> "Future[Answers]":
        self.runs.append(run)
        return super().submit(run, batch)


def test_it_costs_one_explanation() -> None:
    predictor = Counting()
    case = case_of(predictor, IMAGE, pixels(3)[0], explainer=IntegratedGradients(steps=4))
    before = len(predictor.runs)
    ask(InputInvariance().score(case), predictor)
    assert len(predictor.runs) - before == 4
    assert InputInvariance().cost(case).rows(4) == 4


def test_a_shift_of_nothing_is_refused() -> None:
    InputInvariance(0.5).check(planned(facts(), explainer=Saliency()))
    with pytest.raises(InvalidArgumentError, match="choose another") as caught:
        InputInvariance(0.0).check(planned(facts(), explainer=Saliency()))
    assert caught.value.field == "shift"


def test_a_constant_map_is_degenerate() -> None:
    predictor = linear(WEIGHTS)
    case = case_of(predictor, IMAGE, np.ones((SIDE, SIDE)), explainer=Saliency())
    found = ask(InputInvariance().score(case), predictor).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.DEGENERATE


def test_a_map_that_cannot_be_made_anew_gives_the_explainer_s_reason() -> None:
    predictor = linear(WEIGHTS)
    case = case_of(predictor, IMAGE, pixels(3)[0], explainer=Supplied("missing"))
    found = ask(InputInvariance().score(case), predictor).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.NO_MAP
