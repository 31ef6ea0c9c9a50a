"""A graph is rewritten, and its nodes tried, for those alone who ask for such a pass."""

import numpy as np
import onnx
import pytest

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Random
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import Deletion
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.removal import Black, Layer, Masking, Mode, RemovalOperator
from heatproof.graphs import predictor as predictors
from heatproof.graphs.canonical import capabilities
from heatproof.graphs.predictor import GraphPredictor
from tests.graphs.evaluations.evaluating import known_image, opened

MODEL = """
<ir_version: 9, opset_import: ["" : 18]>
network (float[N,3,32,32] image) => (float[N,4] logits)
<float[4,3,3,3] kernel> {
    spread = Conv<pads = [1, 1, 1, 1]>(image, kernel)
    mean = GlobalAveragePool(spread)
    logits = Flatten(mean)
}
"""
REWRITES = {
    predictors: ("layer_masked", "differentiated"),
    capabilities: ("masking_blockers", "gradient_blockers", "gated", "tapped", "randomized"),
}


def network() -> GraphPredictor:
    model = onnx.parser.parse_model(MODEL)
    kernel = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    model.graph.initializer.add().CopyFrom(onnx.numpy_helper.from_array(kernel, "kernel"))
    return opened(model, "network")


def evaluated(predictor: GraphPredictor, removal: RemovalOperator) -> int:
    spec = EvaluationSpec(
        models=("network",),
        preprocessing=PRESETS["unit"],
        metrics=(Deletion(4, 4),),
        explainers=(Random(4),),
        removals=(removal,),
    )
    images = [known_image(seed) for seed in range(2)]
    return len(list(evaluate(spec, images, {"network": predictor}, lambda _: None)))


def test_facts_and_plain_passes_rewrite_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    for module, names in REWRITES.items():
        for name in names:
            usual = getattr(module, name)

            def noted(
                *args: object, name: str = name, usual: object = usual, **kw: object
            ) -> object:
                asked.append(name)
                return usual(*args, **kw)

            monkeypatch.setattr(module, name, noted)
    predictor = network()

    assert predictor.facts.batch_size == 4
    assert evaluated(predictor, Black()) == 2
    assert asked == []

    masked = ModelPass("network", masking=Masking(Mode.REFERENCE))
    assert predictor.facts.supports(masked) is None
    assert asked == ["masking_blockers"]
    assert evaluated(predictor, Layer()) == 2
    assert set(asked) == {"masking_blockers", "layer_masked"}
