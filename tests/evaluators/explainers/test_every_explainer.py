"""Laws that hold for every explainer in the registry."""

import math
import pickle
from dataclasses import fields, replace
from typing import Any, cast

import numpy as np
import pytest

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.explainers import EXPLAINERS, Explainer
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.queries.procedure import LazyImage
from heatproof.evaluators.queries.sample import Donation, Sample
from heatproof.evaluators.regions import Grid
from tests.evaluators.toys import SIDE, ToyPredictor, ask, facts, linear, pixels, run_one, sample_of

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))
SMALL: dict[str, Any] = {"samples": 9, "masks": 5, "steps": 3, "regions": Grid(2), "grid": 3}
"""Parameters that keep the tests short."""


def small(name: str) -> Explainer:
    kind = EXPLAINERS[name]
    known = {declared.name for declared in fields(cast("Any", kind))}
    return kind(**{key: value for key, value in SMALL.items() if key in known})


ALL = [small(name) for name in EXPLAINERS]
ASKING = [one for one in ALL if one.cost(facts()) > 0]


def sample(predictor: ToyPredictor) -> Sample:
    """An image with all that explainers read."""
    donors = tuple(
        Donation(f"{k}", LazyImage.of(pixels(100 + k))) for k in range(int(SMALL["samples"]))
    )
    own = np.arange(SIDE * SIDE, dtype=np.float64).reshape(SIDE, SIDE)
    return replace(sample_of(predictor, pixels()), donors=donors, maps={"": own})


def made(explainer: Explainer, predictor: ToyPredictor) -> tuple[np.ndarray, int]:
    """The map and the rows that it cost."""
    batcher, own = Batcher(predictor), sample(predictor)
    found = run_one(explainer.explain(own), batcher)
    assert not isinstance(found, Undefined)
    return found, batcher.rows_done


@pytest.mark.parametrize("explainer", ALL, ids=lambda one: one.name)
def test_a_map_is_as_large_as_the_input_and_the_same_each_time(explainer: Explainer) -> None:
    found, _ = made(explainer, linear(WEIGHTS))
    assert found.shape == (SIDE, SIDE)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()
    again, _ = made(pickle.loads(pickle.dumps(explainer)), linear(WEIGHTS))  # noqa: S301  # its own
    assert np.array_equal(found, again)


@pytest.mark.parametrize("explainer", ALL, ids=lambda one: one.name)
def test_it_asks_for_as_many_rows_as_it_announces(explainer: Explainer) -> None:
    explainer.check(facts())
    _, rows = made(explainer, linear(WEIGHTS))
    # Equal rows are asked once: half of the masks of a grid of nine cells, say.
    assert explainer.cost(facts()) / 2 <= rows <= explainer.cost(facts())


@pytest.mark.parametrize("explainer", ALL, ids=lambda one: one.name)
def test_it_reads_the_answer_to_an_image_if_it_says_so(explainer: Explainer) -> None:
    predictor = linear(WEIGHTS)
    answered = sample(predictor)
    unanswered = replace(answered, answer=None)
    if explainer.reads_answer:
        with pytest.raises(InternalError, match="reads_answer"):
            ask(explainer.explain(unanswered), predictor)
    else:
        found = ask(explainer.explain(unanswered), predictor)
        assert np.array_equal(found, ask(explainer.explain(answered), predictor))


class Ailing(ToyPredictor):
    """Answers what is not finite to whatever is not the clean image."""

    def __init__(self, value: float) -> None:
        plain = linear(WEIGHTS)
        super().__init__(plain._logits, jacobian=plain._jacobian)
        self._value = value

    def answers(self, run: ModelPass, batch: Batch) -> Answers:
        found = super().answers(run, batch)
        clean = (batch.images == pixels()).all(axis=(1, 2, 3))
        asked = (batch.masks is not None) or (batch.gates is not None)
        found.logits[~clean | asked] = self._value
        if found.gradients is not None:
            found.gradients[:, 0] = self._value
        return found


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("explainer", ASKING, ids=lambda one: one.name)
def test_answers_that_are_not_finite_raise_nothing(explainer: Explainer, value: float) -> None:
    predictor = Ailing(value)
    found = run_one(explainer.explain(sample(predictor)), Batcher(predictor))
    if not isinstance(found, Undefined) and math.isnan(value) and explainer.name != "eigen_cam":
        assert not np.isfinite(found).all()  # which the evaluation turns into a status
