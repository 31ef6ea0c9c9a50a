"""Networks to measure on: the bundled classifier, and a ResNet-50 with random weights."""

from pathlib import Path

import numpy as np
import onnx_ir as ir

from heatproof.evaluators.preprocessing import PRESETS
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.loading import load_model

BUNDLED = Path(__file__).parents[1] / "examples/models/efficientnet-lite0.onnx"
STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2))
"""Blocks, inner channels and first stride of the four stages of ResNet-50."""


def networks() -> dict[str, CanonicalModel]:
    """Canonical models by name."""
    models = {"efficientnet-lite0": load_model(BUNDLED), "resnet-50 (random)": resnet50()}
    return {name: canonicalize(model, PRESETS["imagenet"]) for name, model in models.items()}


def resnet50() -> ir.Model:
    """ResNet-50 v1.5 with batch norms folded and He-initialised weights."""
    image = ir.Value(
        name="image", shape=ir.Shape(["N", 3, 224, 224]), type=ir.TensorType(ir.DataType.FLOAT)
    )
    builder = _Builder()
    x = builder.relu(builder.conv(image, (3, 64), kernel=7, stride=2))
    x = builder.tape.op(
        "MaxPool", [x], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    )
    channels = 64
    for blocks, inner, first in STAGES:
        for block in range(blocks):
            x = builder.bottleneck(x, (channels, inner), stride=1 if block else first)
            channels = 4 * inner
    x = builder.tape.op("Flatten", [builder.tape.op("GlobalAveragePool", [x])])
    scores = builder.tape.op("Gemm", [x, builder.weights((1000, 2048))], {"transB": 1})
    scores.name, scores.dtype = "scores", ir.DataType.FLOAT
    graph = ir.Graph(
        [image],
        [scores],
        nodes=builder.tape.nodes,
        initializers=builder.tape.initializers,
        opset_imports={"": 18},
        name="resnet50",
    )
    return ir.Model(graph, ir_version=10)


class _Builder:
    def __init__(self) -> None:
        self.tape = ir.tape.Tape()
        self._rng = np.random.default_rng(0)

    def weights(self, shape: tuple[int, ...]) -> ir.Value:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        array = (self._rng.standard_normal(shape, np.float32) * scale).astype(np.float32)
        return self.tape.initializer(ir.tensor(array, name=f"w{len(self.tape.initializers)}"))

    def conv(
        self, x: ir.Value, channels: tuple[int, int], *, kernel: int, stride: int = 1
    ) -> ir.Value:
        weights = self.weights((channels[1], channels[0], kernel, kernel))
        bias = self.weights((channels[1],))
        attributes = {"strides": [stride] * 2, "pads": [kernel // 2] * 4}
        return self.tape.op("Conv", [x, weights, bias], attributes)

    def relu(self, x: ir.Value) -> ir.Value:
        return self.tape.op("Relu", [x])

    def bottleneck(self, x: ir.Value, channels: tuple[int, int], *, stride: int) -> ir.Value:
        outer, inner = channels
        y = self.relu(self.conv(x, (outer, inner), kernel=1))
        y = self.relu(self.conv(y, (inner, inner), kernel=3, stride=stride))
        y = self.conv(y, (inner, 4 * inner), kernel=1)
        if outer != 4 * inner:
            x = self.conv(x, (outer, 4 * inner), kernel=1, stride=stride)
        return self.relu(self.tape.op("Add", [x, y]))
