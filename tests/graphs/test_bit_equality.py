"""Bits of every metric's scores and every explainer's maps, whatever runs beside them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import (
    DonorImage,
    Frame,
    FramedBox,
    FramedMap,
    FramedMask,
    SourceImage,
)
from heatproof.evaluators.metrics import METRICS, Deletion, Sparseness
from heatproof.evaluators.removal import Black, Layer
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.predictor import OrtPredictor
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import SessionCache, SessionSettings
from tests.evaluators.everything import EVERY_EXPLAINER, EVERY_METRIC, EVERY_REMOVAL

SIDE = 32
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


def drawing(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    plane = rng.random(3)[:, None, None] * rows + rng.random(3)[:, None, None] * columns
    drawn = 0.4 * plane + 0.2 * rng.random((3, SIDE, SIDE))
    return (255 * drawn).astype(np.uint8).transpose(1, 2, 0)


def source(seed: int) -> SourceImage:
    """An image with all that may be known of it; its donors do not depend on its company."""
    first, second, third = (
        DonorImage(f"{100 * seed + one:064x}", lambda one=one: drawing(100 * seed + one))  # type: ignore[misc]  # bound at once
        for one in (1, 2, 3)
    )
    shown = np.hypot(*np.mgrid[-10 : SIDE - 10, -13 : SIDE - 13]) < 8
    return SourceImage(
        f"{seed:064x}",
        f"{seed}.png",
        drawing(seed),
        label=4,  # what both networks take it for
        object_mask=FramedMask(Frame.MODEL_INPUT, shown),
        boxes=(FramedBox(Frame.MODEL_INPUT, 5.0, 2.0, 21.0, 18.0),),
        attribution_maps={"": FramedMap(Frame.SOURCE, drawing(7).astype(np.float32)[..., 0])},
        donors=(first, second),
        same_label_donors=(first,),
        other_label_donors=(second, third),
        partner=first,
        leads_pair=True,
    )


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
    "every explainer": replace(SPEC, metrics=(Sparseness(),), explainers=EVERY_EXPLAINER),
    "every operator": replace(SPEC, metrics=(Deletion(2, 3),), removals=EVERY_REMOVAL),
}


def evaluated(
    models: dict[str, onnx.ModelProto], spec: EvaluationSpec, images: Sequence[int], threads: int
) -> list[ImageResult]:
    cache = SessionCache(1 << 30, SessionSettings(threads=threads, log_severity=2))
    predictors = {
        name: OrtPredictor(
            canonicalize(ir.from_proto(model), PRESETS["unit"]),
            cache,
            model=name,
            batch_size=4,
            cancellation=Cancellation(),
        )
        for name, model in models.items()
    }
    sources = [source(seed) for seed in images]
    return list(evaluate(spec, sources, predictors, lambda _: None))


@pytest.mark.parametrize("asked", SPECS)
def test_neither_company_nor_threads_change_a_bit_in_either_layout(
    text_model: Parse, asked: str
) -> None:
    spec = SPECS[asked]
    models = {name: text_model(text) for name, text in NETWORKS.items()}
    (alone,) = evaluated(models, spec, [7], threads=1)
    _, among, _ = evaluated(models, spec, [4, 7, 2], threads=2)
    keys = result_keys(spec)
    scored = {keys[one.result] for one in alone.scores if isinstance(one.score, float)}
    assert {key.metric.name for key in scored} == {metric.name for metric in spec.metrics}
    assert {key.explainer for key in scored} >= set(spec.explainers)
    assert among == alone


def test_every_metric_is_asked() -> None:
    assert {metric.name for metric in SPEC.metrics} == set(METRICS)
