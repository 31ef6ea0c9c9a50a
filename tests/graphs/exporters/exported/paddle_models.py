"""Exports small PaddlePaddle networks through paddle2onnx; see README.md."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F  # noqa: N812 # as all of its users write
from paddle import nn

CLASSES = 5


def convolution(inputs, outputs, kernel, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2D(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias_attr=False),
        nn.BatchNorm2D(outputs),
    )


class Gate(nn.Layer):
    def __init__(self, width):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.down, self.up = nn.Conv2D(width, 4, 1), nn.Conv2D(4, width, 1)

    def forward(self, x):
        gate = self.up(F.relu(self.down(self.pool(x))))
        return x * F.hardsigmoid(gate, slope=0.2, offset=0.5)


class LcNet(nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem, self.depthwise = convolution(3, 8, 3, 2), convolution(8, 8, 5, 1, 8)
        self.gate, self.pointwise = Gate(8), convolution(8, 12, 1)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = F.hardswish(self.depthwise(F.hardswish(self.stem(x))))
        x = F.hardswish(self.pointwise(self.gate(x)))
        x = F.max_pool2d(x, 2, 2, ceil_mode=True)
        x = F.dropout(paddle.mean(x, axis=[2, 3]), 0.2, training=False)
        return F.softmax(self.head(x))


class ResNetVd(nn.Layer):
    def __init__(self):
        super().__init__()
        self.stem, self.down = convolution(3, 8, 3, 2), convolution(8, 8, 3, 2)
        self.body, self.short = convolution(8, 8, 3), convolution(8, 8, 1)
        self.pool = nn.AvgPool2D(2, 2, 0, ceil_mode=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(self.body(F.relu(self.down(x))) + self.short(self.pool(x)))
        x = F.avg_pool2d(F.interpolate(x, [2 * s for s in x.shape[2:]], mode="nearest"), 2) + x
        batch, (channels, height, width) = paddle.shape(x)[0], x.shape[1:]
        x = paddle.reshape(x, [batch, 2, channels // 2, height, width])
        x = paddle.reshape(paddle.transpose(x, [0, 2, 1, 3, 4]), [batch, channels, height, width])
        return self.head(paddle.flatten(F.adaptive_avg_pool2d(x, 1), 1))


NETWORKS: dict[str, tuple[Callable[[], nn.Layer], int]] = {
    "lcnet": (LcNet, 30),
    "resnet_vd": (ResNetVd, 34),
}


def built(make):
    paddle.seed(5)
    rng = np.random.default_rng(4)
    network = make()
    for layer in network.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            bounds = {"weight": (0.7, 1.3), "bias": (-0.3, 0.3), "_mean": (-0.3, 0.3)}
            for name, (low, high) in {**bounds, "_variance": (0.5, 1.5)}.items():
                numbers = rng.uniform(low, high, layer.weight.shape).astype(np.float32)
                getattr(layer, name).set_value(numbers)
    network.eval()
    return network


def export(folder: Path, name: str) -> None:
    make, size = NETWORKS[name]
    network = built(make)
    spec = paddle.static.InputSpec([None, 3, size, size], "float32", "x")
    path = folder / f"paddle_{name}"
    paddle.onnx.export(network, str(path), input_spec=[spec], opset_version=11)
    image = np.random.default_rng(3).uniform(-1, 1, (2, 3, size, size)).astype(np.float32)
    v = np.random.default_rng(9).standard_normal((2, CLASSES)).astype(np.float32)
    x = paddle.to_tensor(image, stop_gradient=False)
    output = network(x)
    # log softmax is the logits up to a constant, to which a centred vector is blind.
    logits = paddle.log(output) if name == "lcnet" else output
    (logits * paddle.to_tensor(v - v.mean(axis=1, keepdims=True))).sum().backward()
    np.savez_compressed(
        f"{path}.npz", interval=[-1, 1], output=output.numpy(), gradient=x.grad.numpy()
    )


if __name__ == "__main__":
    for one in NETWORKS:
        export(Path(sys.argv[1]), one)
