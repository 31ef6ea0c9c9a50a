"""Networks whose explanation quality and occlusion robustness are planted are ranked by quality."""

import numpy as np
import pytest
from scipy import stats

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import Deletion, InterModelDeletion, OcclusionCorrectedDeletion
from heatproof.evaluators.removal import Black
from tests.evaluators.toys import SIDE, ToyPredictor, facts

CELLS = 4
COUNT = 8
IMAGES = 3
NOISE = np.linspace(0, 3.5, COUNT)
"""Planted: how much louder than the evidence the ripple of a network's gradient is."""
FREQUENCY = 1e5


def in_cells(values: np.ndarray) -> np.ndarray:
    owners = np.arange(SIDE) * CELLS // SIDE
    painted: np.ndarray = values[owners[:, None], owners[None]]
    return painted


def network(evidence: np.ndarray, ripple: np.ndarray, loss: float, name: str) -> ToyPredictor:
    """Loses at most `loss` of its confidence under any occlusion; a ripple bends its gradient.

    `p = 1 - loss (1 - (0.1 + 0.8 e . x + sum r sin(F x) / F))`: the ripple moves p by under 1e-4,
    but the gradient by `r cos(F x)`, as loud as r.
    """

    def share(image: np.ndarray) -> float:
        x = image.astype(np.float64)
        clean = (
            0.1 + 0.8 * (evidence * x).sum() + (ripple * np.sin(FREQUENCY * x)).sum() / FREQUENCY
        )
        return float(1 - loss * (1 - clean))

    def logits(image: np.ndarray) -> np.ndarray:
        p = share(image)
        return np.array([np.log(p), np.log1p(-p)])

    def jacobian(image: np.ndarray) -> np.ndarray:
        x, p = image.astype(np.float64), share(image)
        slope = loss * (0.8 * evidence + ripple * np.cos(FREQUENCY * x))
        return np.stack([slope / p, -slope / (1 - p)])

    return ToyPredictor(logits, jacobian=jacobian, own=facts(model=name, classes=2))


def panel(rng: np.random.Generator) -> tuple[dict[str, ToyPredictor], np.ndarray]:
    """Networks by falling explanation quality, with losses that are unrelated to it."""
    evidence = in_cells(rng.permutation(np.geomspace(0.02, 1, CELLS**2)).reshape(CELLS, CELLS))
    evidence = np.stack([evidence] * 3) / evidence.sum() / 3
    losses = np.linspace(0.15, 0.6, COUNT)[[0, 5, 2, 7, 4, 1, 6, 3]]
    loud = in_cells(rng.permutation(CELLS**2).reshape(CELLS, CELLS) / CELLS**2)
    return {
        f"models/{place}": network(
            evidence, np.stack([loud] * 3) * noise * evidence.max(), loss, f"models/{place}"
        )
        for place, (noise, loss) in enumerate(zip(NOISE, losses, strict=True))
    }, losses


def spearman(planted: np.ndarray, found: list[float | None]) -> float:
    return float(stats.spearmanr(planted, found).statistic)


@pytest.mark.parametrize("seed", range(2))
def test_planted_quality_ranks_the_models_and_robustness_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    models, losses = panel(rng)
    spec = EvaluationSpec(
        models=tuple(models),
        preprocessing=PRESETS["unit"],
        metrics=(
            Deletion(CELLS, 8),
            OcclusionCorrectedDeletion(CELLS, 8),
            InterModelDeletion(CELLS, 8),
        ),
        explainers=(Saliency(),),
        removals=(Black(),),
    )
    images = [
        SourceImage(f"{place:064x}", "", rng.integers(150, 256, (SIDE, SIDE, 3)).astype(np.uint8))
        for place in range(IMAGES)
    ]
    rows = evaluate(spec, images, models, lambda _: None)
    results = summarize(spec, tabulated(spec, list(rows)))

    def value(name: str) -> list[float | None]:
        return [result.summary.value for result in results if result.metric.name == name]

    quality = [results[-1].parts[f"quality[{place}]"].value for place in range(COUNT)]
    assert results[-1].summary.scored == IMAGES
    assert spearman(-NOISE, value("occlusion_corrected_deletion")) >= 0.95
    assert spearman(-NOISE, quality) >= 0.95
    raw = [-(found or 0.0) for found in value("deletion")]
    assert spearman(-NOISE, raw) < 0.5
    assert spearman(losses, raw) >= 0.95
