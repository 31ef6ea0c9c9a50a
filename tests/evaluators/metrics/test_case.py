"""A metric is handed what it declares to read, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from heatproof.evaluators.errors import InternalError, InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import plan, result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Centre, Random, Supplied
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import METRICS, Case, Given, Metric
from heatproof.evaluators.metrics.metric import Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.queries.passes import Weights
from heatproof.evaluators.queries.procedure import Procedure, ask
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black
from tests.evaluators import toys
from tests.evaluators.toys import SIDE, facts, linear, pixels, sample_of

ASKED: Mapping[Reads, Callable[[Case], object]] = {
    Reads.ATTRIBUTION: lambda case: case.map,
    Reads.EXPLAINER: lambda case: case.explainer,
    Reads.REMOVAL: lambda case: case.removal,
    Reads.OBJECTS: lambda case: case.objects,
    Reads.LABEL: lambda case: case.label,
    Reads.PANEL: lambda case: case.panel,
    Reads.DONORS: lambda case: case.donors,
    Reads.PANEL_MAPS: lambda case: case.panel_maps,
    Reads.PANEL_TARGETS: lambda case: case.panel_targets,
    Reads.RANDOMIZED_MODELS: lambda case: case.randomized(Weights(("layer",))),
}
WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))


def everything() -> Given:
    sample = sample_of(linear(WEIGHTS), pixels())
    objects = np.ones((SIDE, SIDE), np.bool_)
    made = np.zeros((SIDE, SIDE))
    return Given(Black(), Centre(), sample, made, objects, 1, {"models/toy": sample})


@pytest.mark.parametrize("read", ASKED)
def test_what_is_not_declared_is_not_handed_over(read: Reads) -> None:
    declared = (read, Reads.ATTRIBUTION) if read is Reads.PANEL_MAPS else (read,)
    assert ASKED[read](Case(declared, facts(), everything())) is not None
    panel = {Reads.PANEL} if read is Reads.PANEL_MAPS else set()
    others = tuple(other for other in Reads if other not in {read, *panel})
    with pytest.raises(InternalError, match="but does not declare it"):
        ASKED[read](Case(others, facts(), everything()))


def test_there_is_no_image_while_a_score_is_planned() -> None:
    case = Case(tuple(Reads), facts(), Given())
    with pytest.raises(InternalError, match="only planned"):
        _ = case.sample
    with pytest.raises(InternalError, match="was not given"):
        _ = case.map


@dataclass(frozen=True, slots=True)
class Spread(Metric):
    """Compares the confidences of a panel of models; lives in this test alone."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="spread",
        reference="test",
        category=MetricCategory.COMPARISON,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.PANEL, Reads.ATTRIBUTION),
    )

    def cost(self, case: Case) -> Cost:
        del case
        return Cost(views=2)

    def score(self, case: Case) -> Procedure[Outcome]:
        assert list(case.panel) == list(case.panel_maps) == ["models/a", "models/b"]
        views = [sample.view() for sample in case.panel.values()]
        answers = yield from ask(views)
        shares = [float(answer.probabilities[0]) for answer in answers]
        return Outcome(max(shares) - min(shares))


PANEL = EvaluationSpec(
    models=("models/a", "models/b"),
    preprocessing=PRESETS["unit"],
    metrics=(METRICS["deletion"](), Spread()),
    explainers=(Random(),),
    removals=(Black(),),
)
MODELS = {
    name: linear(WEIGHTS * scale, own=facts(model=name))
    for name, scale in (("models/a", 1), ("models/b", 0.5))
}


def test_a_panel_is_scored_once_over_all_its_models() -> None:
    keys = result_keys(PANEL)
    assert [key.models for key in keys] == [("models/a",), ("models/b",), PANEL.models]
    image = SourceImage("ab", "x", (pixels() * 255).astype(np.uint8).transpose(1, 2, 0).copy())
    (found,) = evaluate(PANEL, [image], MODELS, lambda _: None)
    seen = image.pixels.astype(np.float32).transpose(2, 0, 1) / np.float32(255)
    shares = [toys.softmax(model._logits(seen).astype(np.float32))[0] for model in MODELS.values()]
    assert found.scores[2].score == pytest.approx(max(shares) - min(shares), rel=1e-6)
    assert len(found.predictions) == 2


def test_a_panel_of_one_model_is_refused() -> None:
    one = EvaluationSpec(
        models=("models/a",),
        preprocessing=PRESETS["unit"],
        metrics=(Spread(),),
        explainers=(Random(),),
    )
    inventory = Inventory.of([KnownImage("x")])
    with pytest.raises(InvalidArgumentError, match="name at least 2 in models") as caught:
        plan(one, {"models/a": MODELS["models/a"].facts}, inventory)
    assert caught.value.field == "metrics[0].spread"


@dataclass(frozen=True, slots=True)
class Reader(Metric):
    """Reads what comes with the images; lives in this test alone."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="reader",
        reference="test",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.LABEL, Reads.OBJECTS),
    )

    def score(self, case: Case) -> Procedure[Outcome]:
        yield from ()
        return Outcome(float(case.label))


@pytest.mark.parametrize(
    ("known", "fault"),
    [
        (KnownImage("x", label=1), "reads object masks or boxes, and none of 2 images has one"),
        (KnownImage("x", has_object=True), "reader needs a label for every image; 1 of 2 have"),
    ],
)
def test_what_a_metric_reads_must_come_with_the_images(known: KnownImage, fault: str) -> None:
    spec = EvaluationSpec(
        models=("models/toy",), preprocessing=PRESETS["unit"], metrics=(Reader(),)
    )
    inventory = Inventory.of([KnownImage("w", label=1), known])
    with pytest.raises(InvalidArgumentError, match=fault) as caught:
        plan(spec, {"models/toy": facts()}, inventory)
    assert caught.value.field == "metrics[0].reader"


def test_maps_that_are_supplied_do_not_serve_who_makes_them_anew() -> None:
    spec = EvaluationSpec(
        models=("models/toy",),
        preprocessing=PRESETS["unit"],
        metrics=(METRICS["explanation_consistency"](),),
        explainers=(Supplied(),),
    )
    inventory = Inventory.of([KnownImage("x", maps=frozenset({""}))])
    with pytest.raises(InvalidArgumentError, match="supplied cannot") as caught:
        plan(spec, {"models/toy": facts()}, inventory)
    assert caught.value.field == "metrics[0].explanation_consistency"
