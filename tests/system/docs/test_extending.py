"""The programs of docs/extending.md run, together, as a reader would type them."""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "extending.md"

USE = """
import onnx
import numpy as np
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from heatproof.evaluators.evaluation.engine import evaluate, plan
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.evaluators.explainers import Centre, Saliency
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.removal import REMOVALS
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import layer_masked

# The metric, the removal operator and the predictor.
model = Brightness()
spec = EvaluationSpec(
    models=(model.facts.model,),
    preprocessing=PRESETS["unit"],
    metrics=(METRICS["top_share_drop"](share=0.25),),
    explainers=(Centre(),),
    removals=(REMOVALS["static"](),),
)
bright = SourceImage("ab", "bright", np.full((32, 32, 3), 255, np.uint8))
(result,) = evaluate(spec, [bright], {model.facts.model: model}, lambda _: None)
noise = np.random.default_rng(0)
clean = 1 / (1 + np.exp(-1))
# A quarter of the pixels falls from 1 to 0.5 in the mean.
gone = 1 / (1 + np.exp(-(2 * 0.875 - 1)))
assert abs(result.scores[0].score - (clean - gone)) < 0.01, result.scores
try:
    explainers = (GradientTimesImage(),)
    inventory = Inventory.of([KnownImage("bright")])
    refused = EvaluationSpec(
        models=spec.models, preprocessing=spec.preprocessing, metrics=spec.metrics,
        explainers=explainers, removals=spec.removals,
    )
    plan(refused, {model.facts.model: model.facts}, inventory)
except UnsupportedOperatorError as error:
    assert "there is no network to rewrite" in error.message
else:
    raise AssertionError

# The explainer, on a linear model, whose map is weights times image.
from tests.evaluators import toys

weights = np.random.default_rng(0).uniform(0, 6e-3, (3, 32, 32))
linear, image = toys.linear(weights), toys.pixels()
made = toys.ask(GradientTimesImage().explain(toys.sample_of(linear, image)), linear)
np.testing.assert_allclose(made, (weights * image).sum(axis=0), rtol=1e-5)


# The operator, by ONNX's own reference.
class Cube(OpRun):
    op_domain = "example"

    def _run(self, x):
        return (x**3,)


text = '''
<ir_version: 10, opset_import: ["" : 18, "example" : 1]>
g (float[N, 3, 8, 8] image) => (float[N, 2] scores)
<float[2, 3] v = {0.5, -1.0, 0.25, 1.0, 0.5, 2.0}, float[N, 3, 8, 8] c> {
    c = example.Cube (image)
    p = GlobalAveragePool (c) f = Flatten (p) scores = Gemm <transB = 1> (f, v)
}'''
from heatproof.graphs.preparation import prepared
import onnx_ir as ir

network = prepared(ir.from_proto(onnx.parser.parse_model(text)))
x = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
masked = ReferenceEvaluator(ir.to_proto(layer_masked(network)), new_ops=[Cube])
mask = np.ones((2, 1, 8, 8), np.float32)
mask[:, :, 2:6, 3:7] = 0
poisoned = np.where(mask > 0, x, np.float32(7))
one, other = (masked.run(["scores"], {"image": v, "mask": mask})[0] for v in (x, poisoned))
np.testing.assert_array_equal(one, other)
slopes = ReferenceEvaluator(ir.to_proto(differentiated(network)), new_ops=[Cube])
seed = np.array([[1, 0], [0, 1]], np.float32)
(gradient,) = slopes.run(["input_gradient"], {"image": x, "output_gradient": seed})
v = np.array([[0.5, -1, 0.25], [1, 0.5, 2]], np.float32)
expected = 3 * x**2 * v[:, :, None, None] / 64
np.testing.assert_allclose(gradient, expected, rtol=1e-5)
print("all programs ran")
"""


def test_every_program_of_the_page_runs(tmp_path: Path) -> None:
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(programs) == 5
    script = tmp_path / "extending.py"
    script.write_text("\n".join(programs) + USE)
    command = [sys.executable, str(script)]
    done = subprocess.run(
        command,
        cwd=PAGE.parents[1],
        env={"PYTHONPATH": str(PAGE.parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all programs ran" in done.stdout
