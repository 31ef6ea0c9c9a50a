"""Models compared by deleting cells of all in the order of every model's map."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import plan
from heatproof.evaluators.evaluation.results import ImageResult, MetricResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import InterModelDeletion, OcclusionCorrectedDeletion
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.removal import Black
from tests.evaluators.toys import SIDE, ToyPredictor, facts, linear

CELLS = 4
STEPS = 8
ORDERS = 10
METRIC = InterModelDeletion(grid=CELLS, steps=STEPS, orders=ORDERS)
OCD = OcclusionCorrectedDeletion(grid=CELLS, steps=STEPS, orders=ORDERS)
NAMES = ("models/a", "models/b", "models/c")
SPEC = EvaluationSpec(
    models=NAMES,
    preprocessing=PRESETS["unit"],
    metrics=(OCD, METRIC),
    explainers=(Saliency(),),
    removals=(Black(),),
)


def in_cells(values: np.ndarray) -> np.ndarray:
    """One value a cell, painted over its pixels."""
    return np.kron(values, np.ones((SIDE // CELLS, SIDE // CELLS)))


def cell_weights(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    cells = rng.permutation(np.linspace(-1, 3, CELLS * CELLS)).reshape(CELLS, CELLS)
    return np.stack([in_cells(cells)] * 3) / SIDE**2


MODELS = {name: linear(cell_weights(n), own=facts(model=name)) for n, name in enumerate(NAMES)}


def source(seed: int, **known: object) -> SourceImage:
    drawn = np.random.default_rng(seed).integers(128, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return SourceImage(f"{seed:064x}", f"{seed}.png", drawn, **known)  # type: ignore[arg-type]  # fields of SourceImage


IMAGES = [source(seed) for seed in range(8)]


def results_of(
    spec: EvaluationSpec, models: Mapping[str, ToyPredictor], images: list[SourceImage]
) -> tuple[list[ImageResult], tuple[MetricResult, ...]]:
    found = list(evaluate(spec, images, models, lambda _: None))
    return found, summarize(spec, tabulated(spec, found))


def value(result: MetricResult, name: str = "") -> float:
    found = (result.parts[name] if name else result.summary).value
    assert found is not None
    return found


class Reading:
    """The definitions once more, one image and one model at a time, in float64."""

    def __init__(self, image: SourceImage, weights: np.ndarray) -> None:
        self.digest = image.digest
        self.pixels = image.pixels.astype(np.float32).transpose(2, 0, 1) / np.float32(255)
        self.weights = weights

    def share(self, hidden: set[int]) -> float:
        visible = in_cells(
            np.array([cell not in hidden for cell in range(CELLS * CELLS)]).reshape(CELLS, CELLS)
        )
        logit = (self.weights * self.pixels * visible).sum()
        return float(np.exp(logit) / (np.exp(logit) + 2))

    def area(self, order: list[int]) -> float:
        counts = [step * CELLS * CELLS // STEPS for step in range(STEPS + 1)]
        values = [self.share(set(order[:count])) for count in counts]
        return sum((a + b) / 2 / STEPS for a, b in pairwise(values))

    def random_order(self, purpose: str) -> list[int]:
        return list(generator(0, self.digest, purpose).permutation(CELLS * CELLS))

    def random_area(self) -> float:
        orders = [self.random_order(f"order/{number}") for number in range(ORDERS)]
        return sum(map(self.area, orders)) / ORDERS

    def oracle_area(self) -> float:
        alone = [self.share({cell}) for cell in range(CELLS * CELLS)]
        drops = np.zeros(CELLS * CELLS)
        for number in range(ORDERS):
            order = self.random_order(f"order/{number}")
            for place in range(0, CELLS * CELLS, 2):
                before, after = self.share(set(order[:place])), self.share(set(order[: place + 2]))
                drops[order[place : place + 2]] += (before - after) / 2 / ORDERS
        return min(self.area(list(np.argsort(alone))), self.area(list(np.argsort(-drops))))

    def map_order(self) -> list[int]:
        magnitudes = np.abs(self.weights[0]).reshape(CELLS, 8, CELLS, 8).mean(axis=(1, 3))
        assert len(set(np.round(magnitudes.reshape(-1), 12))) == CELLS * CELLS
        return list(np.argsort(-magnitudes.reshape(-1)))


def test_gains_qualities_and_advantages_are_those_of_an_independent_reading() -> None:
    weights = {name: cell_weights(40 + n) ** 2 * 900 for n, name in enumerate(NAMES)}
    models = {name: linear(held, own=facts(model=name)) for name, held in weights.items()}
    _, (*_, found) = results_of(SPEC, models, IMAGES)
    assert found.summary.scored == len(IMAGES)
    above, below = np.zeros((3, 3)), np.zeros(3)
    for image in IMAGES:
        readings = [Reading(image, held) for held in weights.values()]
        for j, model in enumerate(readings):
            random = model.random_area()
            below[j] += random - model.oracle_area()
            for k, other in enumerate(readings):
                above[j, k] += random - model.area(other.map_order())
    gains = above / below[:, None]
    others = ~np.eye(3, dtype=bool)
    for j in range(3):
        for k in range(3):
            assert value(found, f"gain[{j},{k}]") == pytest.approx(gains[j, k], abs=1e-5)
        quality = gains[:, j][others[:, j]].mean()
        assert value(found, f"quality[{j}]") == pytest.approx(quality, abs=1e-5)
        advantage = gains[j, j] - gains[j][others[j]].mean()
        assert value(found, f"own_map_advantage[{j}]") == pytest.approx(advantage, abs=1e-5)
    assert value(found) == pytest.approx(gains[others].mean(), abs=1e-5)
    assert np.ptp(gains) > 0.1


def test_the_own_gain_is_occlusion_corrected_deletion() -> None:
    _, (*alone, panel) = results_of(SPEC, MODELS, IMAGES)
    for place, result in enumerate(alone):
        assert result.summary.scored == panel.summary.scored == len(IMAGES)
        assert value(result) == value(panel, f"gain[{place},{place}]")
        control = value(result, "control_uniform")
        assert control == value(panel, f"gain[{place},random]")
        interval = panel.parts[f"gain[{place},{place}]"].interval
        assert interval is not None
        assert interval == result.summary.interval


def test_controls_are_in_no_number_of_a_model() -> None:
    _, (*_, panel) = results_of(SPEC, MODELS, IMAGES)
    names = {f"quality[{k}]" for k in range(3)}
    assert value(panel) == pytest.approx(np.mean([value(panel, name) for name in names]))
    for control in ("random", "centre"):
        gains = [value(panel, f"gain[{j},{control}]") for j in range(3)]
        assert value(panel, f"quality[{control}]") == pytest.approx(np.mean(gains))


def test_with_two_models_a_quality_rests_on_one_evaluator() -> None:
    spec = replace(SPEC, models=NAMES[:2], metrics=(METRIC,))
    _, (panel,) = results_of(spec, MODELS, IMAGES)
    assert value(panel, "quality[0]") == value(panel, "gain[1,0]")
    assert value(panel, "quality[1]") == value(panel, "gain[0,1]")


def test_images_on_which_the_models_disagree_are_reported_and_left_out() -> None:
    def contrary(image: np.ndarray) -> np.ndarray:
        return np.array([0.0, 1.0 if image.mean() > 0.8 else -1.0, 0.0])

    def flat(image: np.ndarray) -> np.ndarray:
        return np.ones((3, *image.shape)) * in_cells(np.arange(16.0).reshape(4, 4))

    bright = SourceImage("f" * 64, "bright.png", np.full((SIDE, SIDE, 3), 250, np.uint8))
    odd = ToyPredictor(contrary, jacobian=flat, own=facts(model="models/d"))
    spec = replace(SPEC, models=("models/a", "models/d"), metrics=(METRIC,))
    rows, (panel,) = results_of(spec, {**MODELS, "models/d": odd}, [bright])
    score = rows[0].scores[0].score
    assert isinstance(score, Undefined)
    assert score.reason is Reason.DISAGREEMENT
    assert "models/d" in score.detail
    assert panel.summary.undefined == {"DISAGREEMENT": 1}


def test_parts_of_an_image_are_its_own_ratios() -> None:
    weights = {name: cell_weights(50 + n) ** 2 * 900 for n, name in enumerate(NAMES)}
    models = {name: linear(held, own=facts(model=name)) for name, held in weights.items()}
    ((row,), _) = results_of(replace(SPEC, metrics=(METRIC,)), models, IMAGES[:1])
    readings = [Reading(IMAGES[0], held) for held in weights.values()]
    orders = [one.map_order() for one in readings]
    gains = np.array(
        [
            [(random - model.area(order)) / (random - oracle) for order in orders]
            for model in readings
            for random, oracle in [(model.random_area(), model.oracle_area())]
        ]
    )
    parts = row.scores[0].parts
    for j, k in np.ndindex(3, 3):
        assert parts[f"gain[{j},{k}]"] == pytest.approx(gains[j, k], abs=1e-5)
    others = ~np.eye(3, dtype=bool)
    assert parts["quality[1]"] == pytest.approx(gains[others[:, 1], 1].mean(), abs=1e-5)
    advantage = gains[2, 2] - gains[2, others[2]].mean()
    assert parts["own_map_advantage[2]"] == pytest.approx(advantage, abs=1e-5)
    assert row.scores[0].score == pytest.approx(gains[others].mean(), abs=1e-5)


def test_the_control_of_the_centre_removes_the_middle_first() -> None:
    """Cells at one distance of the middle weigh the same, so that their order does not matter."""
    rings = np.array([[0, 1, 1, 0], [1, 2, 2, 1], [1, 2, 2, 1], [0, 1, 1, 0]])
    weights = np.stack([in_cells(np.array([0.1, 1.0, 3.0])[rings])] * 3) / SIDE**2
    grey = SourceImage("d" * 64, "grey.png", np.full((SIDE, SIDE, 3), 200, np.uint8))
    models = {name: linear(weights, own=facts(model=name)) for name in NAMES[:2]}
    spec = replace(SPEC, models=NAMES[:2], metrics=(METRIC,))
    ((row,), _) = results_of(spec, models, [grey])
    order = list(np.argsort(-rings.reshape(-1), kind="stable"))
    expected = Reading(grey, weights).area(order)
    assert row.scores[0].parts["deletion_area[1,centre]"] == pytest.approx(expected, abs=1e-6)
    assert abs(Reading(grey, weights).area(order[::-1]) - expected) > 1e-2


def test_an_image_counts_only_if_every_model_scored_it() -> None:
    def blind(image: np.ndarray) -> np.ndarray:
        return np.array([image.astype(np.float64).mean(), 0.0, 0.0])

    def wide(image: np.ndarray) -> np.ndarray:
        return np.ones((3, *image.shape)) * in_cells(np.arange(16.0).reshape(4, 4))

    whole = source(0).pixels.copy()
    whole[:] = 200
    placeless = SourceImage("e" * 64, "flat.png", whole)
    spec = replace(SPEC, models=("models/a", "models/d"), metrics=(METRIC,))
    odd = ToyPredictor(blind, jacobian=wide, own=facts(model="models/d"))
    _, (panel,) = results_of(spec, {**MODELS, "models/d": odd}, [placeless])
    assert panel.summary.value is None
    assert panel.summary.undefined == {"NO_PLACE_EFFECT": 1}
    assert panel.parts["gain[0,0]"].value is None
    assert panel.parts["deletion_area[0,0]"].value is not None


def test_no_query_is_asked_twice_and_no_more_than_planned() -> None:
    """Cells of all metrics and maps are asked by what they hide."""
    seen: dict[str, list[bytes]] = {name: [] for name in NAMES}

    def counting(name: str, weights: np.ndarray) -> ToyPredictor:
        def logits(image: np.ndarray) -> np.ndarray:
            seen[name].append(image.tobytes())
            return np.array([(weights * image).sum(), 0.0, 0.0])

        def jacobian(image: np.ndarray) -> np.ndarray:
            del image
            return np.stack([weights, 0 * weights, 0 * weights])

        return ToyPredictor(logits, jacobian=jacobian, own=facts(model=name, batch_size=1))

    models = {name: counting(name, cell_weights(n)) for n, name in enumerate(NAMES)}
    results_of(SPEC, models, [source(3)])
    own = {name: model.facts for name, model in models.items()}
    bound = plan(SPEC, own, Inventory.of([KnownImage("x")])).predictions
    assert sum(map(len, seen.values())) <= bound
    for asked in seen.values():
        gradients = 1  # the one gradient is computed from the clean image's logits
        assert len(asked) == len(set(asked)) + gradients


def test_inputs_may_differ_in_size_and_classes_may_not() -> None:
    inventory = Inventory.of([KnownImage("x")])
    own = {name: facts(model=name) for name in NAMES}
    plan(SPEC, {**own, NAMES[1]: facts(model=NAMES[1], side=64)}, inventory)
    with pytest.raises(InvalidArgumentError, match="same classes") as caught:
        plan(SPEC, {**own, NAMES[1]: facts(model=NAMES[1], classes=5)}, inventory)
    assert caught.value.field == "metrics[1].inter_model_deletion"
    with pytest.raises(InvalidArgumentError, match="name at least 2") as caught:
        plan(replace(SPEC, models=NAMES[:1]), own, inventory)
    assert caught.value.field == "metrics[1].inter_model_deletion"
