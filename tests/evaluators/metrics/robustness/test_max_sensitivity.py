from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from heatproof.evaluators.explainers import Centre, Saliency
from heatproof.evaluators.explainers.explainer import (
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics import MaxSensitivity
from heatproof.evaluators.metrics.robustness.perturbed_maps import Flips, Normalization
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from tests.evaluators.toys import SIDE, ToyPredictor, ask, case_of, linear, pixels, sample_of

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))


@dataclass(frozen=True)
class Red(Explainer):
    """Shows the red channel."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="red", reference="test", category=ExplainerCategory.CONTROLS
    )
    scale: float = 1.0

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        yield from ()
        made: Map = self.scale * sample.image.draw()[0].astype(np.float64)
        return made


def scored(
    metric: MaxSensitivity,
    explainer: Explainer,
    image: np.ndarray,
    predictor: ToyPredictor | None = None,
) -> Outcome:
    model = predictor or linear(WEIGHTS)
    made = ask(explainer.explain(sample_of(model, image)), model)
    assert not isinstance(made, Undefined)
    return ask(metric.score(case_of(model, image, made, explainer=explainer)), model)


@pytest.mark.parametrize("draws", [1, 7])
def test_the_score_is_the_largest_relative_change_written_out(draws: int) -> None:
    image = pixels(low=0.0)  # so that some pixels are clipped
    sample = sample_of(linear(WEIGHTS), image)
    changes = []
    for index in range(draws):
        noise = sample.rng(f"noise/{index}").uniform(-0.1, 0.1, image.shape)
        moved = np.clip(image + noise, 0, 1).astype(np.float32)
        difference = moved[0].astype(np.float64) - image[0]
        changes.append(np.linalg.norm(difference) / np.linalg.norm(image[0].astype(np.float64)))
    outcome = scored(MaxSensitivity(radius=0.1, draws=draws), Red(), image)
    assert outcome.score == pytest.approx(max(changes), rel=1e-12)
    assert outcome.parts["n_draws"] == draws


@pytest.mark.parametrize("explainer", [Centre(), Saliency()])
def test_maps_that_do_not_move_score_zero(explainer: Explainer) -> None:
    assert scored(MaxSensitivity(draws=3), explainer, pixels()).score == 0


@pytest.mark.parametrize("normalization", list(Normalization))
def test_the_unit_of_a_map_does_not_matter(normalization: Normalization) -> None:
    metric = MaxSensitivity(draws=4, normalization=normalization)
    one, other = (scored(metric, Red(scale), pixels()).score for scale in (1.0, 1e6))
    assert one == pytest.approx(other, rel=1e-12)


def test_a_map_of_zeros_is_degenerate() -> None:
    score = scored(MaxSensitivity(draws=2), Red(0.0), pixels()).score
    assert isinstance(score, Undefined)
    assert score.reason is Reason.DEGENERATE


def test_flips_are_kept_or_skipped_as_asked() -> None:
    image = pixels()
    image_sum = float(image.astype(np.float64).sum())

    def logits(seen: np.ndarray) -> np.ndarray:
        is_clean = abs(float(seen.astype(np.float64).sum()) - image_sum) < 1e-9
        return np.array([1.0, 0, 0] if is_clean else [0, 1.0, 0])

    flipping = ToyPredictor(logits)
    assert scored(MaxSensitivity(draws=3), Red(), image, flipping).parts["n_draws"] == 3
    skipped = scored(MaxSensitivity(draws=3, flips=Flips.SKIP), Red(), image, flipping).score
    assert isinstance(skipped, Undefined)
    assert skipped.reason is Reason.FLIPPED
