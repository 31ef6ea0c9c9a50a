"""Metrics of changing maps over ONNX networks: weights drawn anew, and equal queries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import pytest

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import EigenCam, Explainer, Occlusion, Saliency
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import (
    AverageSensitivity,
    EfficientMprt,
    MaxSensitivity,
    Metric,
    Mprt,
    RelativeInputStability,
    RelativeOutputStability,
    RelativeRepresentationStability,
)
from tests.graphs.evaluations.evaluating import SIDE, drawing, opened

NAME = "models/sha256-00"
NCHW = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 32, 32] image) => (float[N, 5] scores)
<float[6, 3, 3, 3] w, float[5, 6] v>
{
    c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (image, w)
    last = Relu (c)
    p = GlobalAveragePool (last)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v)
}
"""
LINEAR = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 32, 32] image) => (float[N, 5] scores)
<float[5, 3072] v>
{
    f = Flatten (image)
    scores = Gemm <transB = 1> (f, v)
}
"""
Parse = Callable[[str], onnx.ModelProto]


def evaluated(
    model: onnx.ModelProto,
    metrics: Sequence[Metric],
    images: Sequence[int],
    explainers: tuple[Explainer, ...] = (Saliency(), EigenCam()),
    seed: int = 0,
) -> tuple[list[ImageResult], int]:
    """Results and the number of rows that were run."""
    predictor = opened(model, NAME)
    spec = EvaluationSpec(
        models=(NAME,),
        preprocessing=PRESETS["unit"],
        metrics=tuple(metrics),
        explainers=explainers,
        seed=seed,
    )
    sources = [SourceImage(f"{one:064x}", f"{one}.png", drawing(one)) for one in images]
    rows: list[int] = []
    results = list(
        evaluate(spec, sources, {NAME: predictor}, lambda at: rows.append(at.predictions_done))
    )
    return results, rows[-1]


@dataclass(frozen=True, slots=True)
class More:
    """What a second metric asks for beside the first, for each image.

    Attributes:
        draws: maps of perturbed images.
        looks: passes of its own.
        answers: to perturbed images that are shared, which the first does not read.
    """

    draws: int = 0
    looks: int = 0
    answers: int = 0


@pytest.mark.parametrize(
    ("metrics", "more"),
    [
        ((MaxSensitivity(), AverageSensitivity()), More()),
        ((MaxSensitivity(radius=0.05), RelativeInputStability()), More(answers=10)),
        ((MaxSensitivity(draws=4), AverageSensitivity(draws=6)), More(draws=2)),
        ((MaxSensitivity(draws=40), AverageSensitivity(draws=40)), More()),
        ((MaxSensitivity(), MaxSensitivity(radius=0.03)), More(draws=10)),
        ((RelativeInputStability(), RelativeOutputStability()), More()),
        ((RelativeOutputStability(), RelativeRepresentationStability()), More(looks=11)),
        ((Mprt(3), EfficientMprt()), More()),
    ],
)
@pytest.mark.parametrize("explainer", [Saliency(), Occlusion(16, 16)])
def test_draws_that_two_metrics_share_are_run_once(
    text_model: Parse,
    metrics: tuple[Metric, Metric],
    more: More,
    explainer: Explainer,
) -> None:
    model, images = text_model(NCHW), [3, 5]
    both, rows_of_both = evaluated(model, metrics, images, (explainer,))
    alone = [evaluated(model, [metric], images, (explainer,)) for metric in metrics]
    if explainer == Saliency():
        expected = more.draws + more.looks + more.answers
    else:  # patches, and the answer that they are compared to, whoever else reads it
        expected = more.draws * (1 + 4) + more.looks
    assert rows_of_both == alone[0][1] + len(images) * expected
    for place, (apart, _) in enumerate(alone):
        for one, among in zip(apart, both, strict=True):
            assert one.scores[0].score == among.scores[place].score


def test_saliency_of_a_linear_model_is_unlike_that_of_random_ones_on_average(
    text_model: Parse,
) -> None:
    model, scores = text_model(LINEAR), []
    for seed in range(16):
        (result,), _ = evaluated(model, [Mprt(1)], [1], (Saliency(),), seed)
        assert isinstance(result.scores[0].score, float)
        scores.append(result.scores[0].score)
    deviation = 1 / np.sqrt(SIDE * SIDE - 1)  # of Spearman's correlation of unrelated pixels
    assert np.std(scores) == pytest.approx(deviation, rel=0.5)
    assert abs(np.mean(scores)) < 3 * deviation / np.sqrt(len(scores))
