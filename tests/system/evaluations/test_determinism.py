"""Equal specs give bit-equal scores, whatever runs them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx.parser
from onnx import numpy_helper

from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import EXPLAINERS, Saliency
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import METRICS, Sparseness
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black
from heatproof.server.api.codec.evaluations import serialized_spec
from heatproof.v1 import evaluation_pb2, image_pb2
from tests.evaluators.everything import EVERY_EXPLAINER, EVERY_METRIC, reading
from tests.system.evaluations.colour_server import Evaluating, evaluating, square
from tests.system.payloads import dataset, tensor, upload

TWO_SHARDS = 33
"""Images."""

NHWC = """
<ir_version: 9, opset_import: ["" : 18]>
rows (float[N, 32, 32, 3] image) => (float[N, 5] logits)
<int64[2] axes = {1, 2}> {
    planes = Transpose<perm = [0, 3, 1, 2]>(image)
    deep = Conv<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(planes, kernel)
    cells = Transpose<perm = [0, 2, 3, 1]>(deep)
    seen = Relu(cells)
    pooled = ReduceMean<keepdims = 0>(seen, axes)
    logits = MatMul(pooled, head)
}
"""


def nhwc_network() -> bytes:
    """A network of random weights whose images and features have their channels last."""
    model, rng = onnx.parser.parse_model(NHWC), np.random.default_rng(1)
    for name, shape in (("kernel", (6, 3, 3, 3)), ("head", (6, 5))):
        values = rng.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    return model.SerializeToString()


def known_image(seed: int) -> image_pb2.Image:
    """A square with its colour as label, its pixels as object, a box and a map."""
    shown = np.zeros((32, 32), np.uint8)
    row, column = 8 * (seed % 3), 8 * (seed % 2)
    shown[row : row + 8, column : column + 8] = 1
    ramp = np.arange(32 * 32, dtype=np.float32).reshape(32, 32) % (seed + 7)
    box = {"left": column, "top": row, "right": column + 8.0, "bottom": row + 8.0}
    return image_pb2.Image(
        encoded=square(seed),
        label=seed % 3,
        object_mask={"frame": "FRAME_SOURCE", "mask": tensor(shown, "uint8")},
        boxes=[{"frame": "FRAME_SOURCE", **box}],
        attribution_maps=[{"frame": "FRAME_SOURCE", "values": tensor(ramp)}],
    )


def scores(served: Evaluating, name: str) -> list[bytes]:
    served.end(name)
    return [image.SerializeToString(deterministic=True) for image in served.images(name)]


def test_scores_do_not_depend_on_what_else_is_evaluated(served: Evaluating) -> None:
    expected = scores(served, served.create(served.spec()))

    both = [served.create(served.spec()), served.create(served.spec(served.crippled))]

    assert scores(served, both[0]) == expected
    assert scores(served, both[1]) != expected


def test_another_seed_gives_other_random_maps(served: Evaluating) -> None:
    random = {"explainers": [{"random": {"grid": 4}}]}
    first = scores(served, served.create(served.spec(seed=3, **random)))

    assert scores(served, served.create(served.spec(seed=4, **random))) != first


def everything(folder: Path, **settings: int) -> dict[tuple[str, str], list[bytes]]:
    """Every metric of one map, one metric of every map, and a panel, over two shards."""
    with evaluating(folder, **settings) as served:
        images = [known_image(seed) for seed in range(TWO_SHARDS)]
        nhwc = served.models.UploadModel(iter(upload(nhwc_network()))).name
        panel = EvaluationSpec(
            models=(nhwc, served.sound),
            dataset=served.datasets.UploadDataset(dataset(*images)).name,
            preprocessing=PRESETS["unit"],
            metrics=reading(Reads.PANEL),
            explainers=(Saliency(),),
            removals=(Black(),),
        )
        alone = tuple(metric for metric in EVERY_METRIC if metric not in panel.metrics)
        of_metrics = replace(panel, models=(nhwc,), metrics=alone)
        of_maps = replace(
            of_metrics, metrics=(Sparseness(),), removals=(), explainers=EVERY_EXPLAINER
        )
        found = [found_of(served, spec) for spec in (panel, of_metrics, of_maps)]
        return {key: held for each in found for key, held in each.items()}


def found_of(served: Evaluating, spec: EvaluationSpec) -> dict[tuple[str, str], list[bytes]]:
    """Results of the set by metric and explainer, and those of every image."""
    name = served.create(evaluation_pb2.EvaluationSpec.FromString(serialized_spec(spec)))
    results = served.end(name, timeout=200).results
    found = {
        (one.metric.WhichOneof("metric"), one.explainer.WhichOneof("explainer") or ""): [
            one.SerializeToString(deterministic=True)
        ]
        for one in results
    }
    images = [one.SerializeToString(deterministic=True) for one in served.images(name)]
    assert len(images) == TWO_SHARDS
    return {**found, (f"images of {len(spec.metrics)}", ""): images}


def test_everything_is_alike_on_one_worker_and_on_four_of_two_threads(tmp_path: Path) -> None:
    one = everything(tmp_path / "one", workers=1, threads=1)
    four = everything(tmp_path / "four", workers=4, threads=2)
    assert {metric for metric, _ in one} >= set(METRICS)
    assert {explainer for _, explainer in one} >= set(EXPLAINERS)
    assert [which for which, held in one.items() if four[which] != held] == []
