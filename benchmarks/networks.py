"""Networks to measure on: the bundled classifier, and four architectures with random weights.

The four are those of torchvision, with batch norms folded where a convolution comes before. Speed
and memory do not depend on weights, so nothing needs to be downloaded.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import onnx_ir as ir

from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.files.loading import load_model

BUNDLED = Path(__file__).parents[1] / "examples/models/efficientnet-lite0.onnx"
BUNDLED_NAME = "EfficientNet-Lite0 (bundled)"
OPSETS = (17, 25)
"""Of the exporter that traces, and the newest that ONNX Runtime runs."""

Activation = Literal["Relu", "HardSwish", "Swish"]


def networks(opset: int = OPSETS[0], part: str = "") -> dict[str, CanonicalModel]:
    """Canonical models by name, of those whose name has a part; the bundled one keeps its opset."""
    makers = {name: partial(build, opset) for name, build in ARCHITECTURES.items()}
    makers[BUNDLED_NAME] = partial(load_model, BUNDLED)
    return {name: canonicalize(makers[name](), PRESETS["imagenet"]) for name in names(part)}


def names(part: str = "") -> list[str]:
    """Names of the networks that have a part, without building any."""
    return [name for name in (*ARCHITECTURES, BUNDLED_NAME) if part in name]


def resnet50(opset: int) -> ir.Model:
    """ResNet-50 v1.5."""
    net = _Network(opset)
    x = net.pooled(net.convolved(net.image, 64, kernel=7, stride=2))
    for blocks, inner, first in ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)):
        for block in range(blocks):
            x = net.bottleneck(x, inner, 1 if block else first)
    return net.finished(x)


def densenet121(opset: int) -> ir.Model:
    """DenseNet-121."""
    net = _Network(opset)
    x = net.pooled(net.convolved(net.image, 64, kernel=7, stride=2))
    for index, layers in enumerate((6, 12, 24, 16)):
        if index:
            x = net.convolved(net.normalised(x), _channels(x) // 2, act=None)
            x = net.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        for _ in range(layers):
            inner = net.convolved(net.normalised(x), 128)
            x = net.op("Concat", x, net.convolved(inner, 32, kernel=3, act=None), axis=1)
    return net.finished(net.normalised(x))


def efficientnet_b0(opset: int) -> ir.Model:
    """EfficientNet-B0."""
    net = _Network(opset)
    x = net.convolved(net.image, 32, kernel=3, stride=2, act="Swish")
    stages = (
        (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1),
    )  # fmt: skip
    for factor, kernel, first, channels, blocks in stages:
        for block in range(blocks):
            width, inner = _channels(x), factor * _channels(x)
            x = net.inverted(
                x, (inner, channels), kernel=kernel, stride=1 if block else first, act="Swish",
                gate=lambda y, width=width: net.gated(y, width // 4, "Swish", "Sigmoid"),
            )  # fmt: skip
    return net.finished(net.convolved(x, 1280, act="Swish"))


def mobilenet_v3_large(opset: int) -> ir.Model:
    """MobileNetV3-Large; the last activation before the scores is left out."""
    net = _Network(opset)
    x = net.convolved(net.image, 16, kernel=3, stride=2, act="HardSwish")
    blocks = (
        (3, 16, 16, 0, 1), (3, 64, 24, 0, 2), (3, 72, 24, 0, 1), (5, 72, 40, 24, 2),
        (5, 120, 40, 32, 1), (5, 120, 40, 32, 1), (3, 240, 80, 0, 2), (3, 200, 80, 0, 1),
        (3, 184, 80, 0, 1), (3, 184, 80, 0, 1), (3, 480, 112, 120, 1), (3, 672, 112, 168, 1),
        (5, 672, 160, 168, 2), (5, 960, 160, 240, 1), (5, 960, 160, 240, 1),
    )  # fmt: skip
    for index, (kernel, inner, channels, squeezed, stride) in enumerate(blocks):
        x = net.inverted(
            x, (inner, channels), kernel=kernel, stride=stride,
            act="Relu" if index < 6 else "HardSwish",
            gate=(lambda y, n=squeezed: net.gated(y, n, "Relu", "HardSigmoid")) if squeezed
            else None,
        )  # fmt: skip
    return net.finished(net.convolved(x, 960, act="HardSwish"))


def small(opset: int = OPSETS[0], seed: int = 0) -> ir.Model:
    """A CNN of two convolutions, to measure what does not depend on the network."""
    net = _Network(opset, seed)
    x = net.convolved(net.image, 8, kernel=3, stride=4)
    return net.finished(net.convolved(x, 16, kernel=3, stride=2))


ARCHITECTURES: dict[str, Callable[[int], ir.Model]] = {
    "ResNet-50": resnet50,
    "DenseNet-121": densenet121,
    "EfficientNet-B0": efficientnet_b0,
    "MobileNetV3-Large": mobilenet_v3_large,
}


def _channels(x: ir.Value) -> int:
    return int((x.shape or ())[1])  # type: ignore[arg-type] # always static here


class _Network:
    """Builds a graph from the image to 1000 scores, with He-initialised weights."""

    def __init__(self, opset: int, seed: int = 0) -> None:
        self._opset = opset
        self._tape = ir.tape.Tape()
        self._rng = np.random.default_rng(seed)
        self.image = ir.Value(
            name="image", shape=ir.Shape(["N", 3, 224, 224]), type=ir.TensorType(ir.DataType.FLOAT)
        )

    def op(self, op_type: str, *inputs: ir.Value, **attributes: float | Sequence[int]) -> ir.Value:
        x = self._tape.op(op_type, inputs, attributes)
        channels = sum(map(_channels, inputs)) if op_type == "Concat" else _channels(inputs[0])
        x.shape, x.dtype = ir.Shape(["N", channels, None, None]), ir.DataType.FLOAT
        return x

    def convolved(
        self, x: ir.Value, channels: int, *, kernel: int = 1, stride: int = 1, group: int = 1,
        act: Activation | None = "Relu",
    ) -> ir.Value:  # fmt: skip
        weights = self._weights(channels, _channels(x) // group, kernel, kernel)
        attributes = {"strides": [stride] * 2, "pads": [kernel // 2] * 4, "group": group}
        x = self._tape.op("Conv", [x, weights, self._weights(channels)], attributes)
        x.shape, x.dtype = ir.Shape(["N", channels, None, None]), ir.DataType.FLOAT
        return self._activated(x, act)

    def _activated(self, x: ir.Value, act: Activation | None) -> ir.Value:
        if act == "Swish":  # as exporters write it
            return self.op("Mul", x, self.op("Sigmoid", x))
        return self.op(act, x) if act else x

    def normalised(self, x: ir.Value) -> ir.Value:
        """A batch norm that no convolution comes before, and its activation."""
        ones = self._constant(np.ones(_channels(x), np.float32))
        return self.op("Relu", self.op("BatchNormalization", x, *[ones] * 4))

    def pooled(self, x: ir.Value) -> ir.Value:
        return self.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)

    def bottleneck(self, x: ir.Value, inner: int, stride: int) -> ir.Value:
        y = self.convolved(self.convolved(x, inner), inner, kernel=3, stride=stride)
        y = self.convolved(y, 4 * inner, act=None)
        if _channels(x) != 4 * inner:
            x = self.convolved(x, 4 * inner, stride=stride, act=None)
        return self.op("Relu", self.op("Add", y, x))

    def inverted(
        self, x: ir.Value, channels: tuple[int, int], *, kernel: int, stride: int, act: Activation,
        gate: Callable[[ir.Value], ir.Value] | None,
    ) -> ir.Value:  # fmt: skip
        inner, outer = channels
        y = x if inner == _channels(x) else self.convolved(x, inner, act=act)
        y = self.convolved(y, inner, kernel=kernel, stride=stride, group=inner, act=act)
        y = self.convolved(y if gate is None else gate(y), outer, act=None)
        return self.op("Add", y, x) if stride == 1 and outer == _channels(x) else y

    def gated(self, x: ir.Value, squeezed: int, act: Activation, gate: str) -> ir.Value:
        """Squeeze and excitation."""
        y = self.convolved(self.op("GlobalAveragePool", x), squeezed, act=act)
        y = self.op(gate, self.convolved(y, _channels(x), act=None))
        return self.op("Mul", x, y)

    def finished(self, x: ir.Value) -> ir.Model:
        features = self._tape.op("Flatten", [self.op("GlobalAveragePool", x)])
        weights = self._weights(1000, _channels(x))
        scores = self._tape.op("Gemm", [features, weights], {"transB": 1})
        scores.name, scores.dtype = "scores", ir.DataType.FLOAT
        graph = ir.Graph(
            [self.image],
            [scores],
            nodes=self._tape.nodes,
            initializers=self._tape.initializers,
            opset_imports={"": self._opset},
            name="network",
        )
        return ir.Model(graph, ir_version=10)

    def _weights(self, *shape: int) -> ir.Value:
        scale = np.sqrt(2 / max(np.prod(shape[1:]), 1))
        array = self._rng.standard_normal(shape, np.float32) * scale
        return self._constant(array.astype(np.float32))

    def _constant(self, array: np.ndarray) -> ir.Value:
        return self._tape.initializer(ir.tensor(array, name=f"w{len(self._tape.initializers)}"))
