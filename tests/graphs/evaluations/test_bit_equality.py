"""Bits of every metric's scores and every explainer's maps, whatever runs beside them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import onnx
import pytest

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import METRICS, Deletion, Sparseness
from heatproof.evaluators.removal import Black, Layer
from heatproof.graphs.runtime.backends.providers import Provider
from tests.evaluators.everything import EVERY_EXPLAINER, EVERY_METRIC, EVERY_REMOVAL
from tests.graphs.evaluations.evaluating import known_image, opened

PREDICTED = 4
"""What both networks take the images for."""

NETWORKS = {
    "models/nchw": """
    <ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 3, 32, 32] image) => (float[N, 5] scores)
    <float[16, 3, 3, 3] w, float[5, 16] v>
    {
        c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (image, w)
        last = Relu (c)
        p = GlobalAveragePool (last)
        f = Flatten (p)
        scores = Gemm <transB = 1> (f, v)
    }
    """,
    "models/nhwc": """
    <ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 32, 32, 3] image) => (float[N, 5] scores)
    <float[16, 3, 3, 3] w, float[16, 5] v, int64[2] axes = {1, 2}>
    {
        t = Transpose <perm = [0, 3, 1, 2]> (image)
        c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (t, w)
        h = Transpose <perm = [0, 2, 3, 1]> (c)
        last = Relu (h)
        f = ReduceMean <keepdims = 0> (last, axes)
        scores = MatMul (f, v)
    }
    """,
}
Parse = Callable[[str], onnx.ModelProto]


SPEC = EvaluationSpec(
    models=tuple(NETWORKS),
    preprocessing=PRESETS["unit"],
    metrics=EVERY_METRIC,
    explainers=(Saliency(),),
    removals=(Black(), Layer()),
    seed=5,
)
SPECS = {
    "every metric": SPEC,
    "every explainer": replace(
        SPEC, metrics=(Sparseness(),), explainers=EVERY_EXPLAINER, removals=()
    ),
    "every operator": replace(SPEC, metrics=(Deletion(2, 3),), removals=EVERY_REMOVAL),
}


def evaluated(
    models: dict[str, onnx.ModelProto],
    spec: EvaluationSpec,
    images: Sequence[int],
    threads: int,
    provider: Provider,
) -> list[ImageResult]:
    predictors = {
        name: opened(model, name, threads, provider=provider) for name, model in models.items()
    }
    sources = [known_image(seed, label=PREDICTED) for seed in images]
    return list(evaluate(spec, sources, predictors, lambda _: None))


@pytest.mark.parametrize("provider", [Provider.CPU, Provider.OPENVINO])
@pytest.mark.parametrize("asked", SPECS)
def test_neither_company_nor_threads_change_a_bit_in_either_layout(
    text_model: Parse, asked: str, provider: Provider
) -> None:
    spec = SPECS[asked]
    models = {name: text_model(text) for name, text in NETWORKS.items()}
    (alone,) = evaluated(models, spec, [7], 1, provider)
    _, among, _ = evaluated(models, spec, [4, 7, 2], 2, provider)
    keys = result_keys(spec)
    scored = {keys[one.result] for one in alone.scores if isinstance(one.score, float)}
    assert {key.metric.name for key in scored} == {metric.name for metric in spec.metrics}
    assert {key.explainer for key in scored} >= set(spec.explainers)
    assert {key.removal for key in scored} >= set(spec.removals)
    assert among == alone


def test_every_metric_is_asked() -> None:
    assert {metric.name for metric in SPEC.metrics} == set(METRICS)
