"""Networks of ONNX files in torch, node by node, so that both sides have the same weights.

Exporters fold batch norms into convolutions, and whoever evaluates a network in torch has them. So
each convolution over places is followed by one again, which adds the bias and has neutral
statistics: answers are equal, and the work is that of the network as it was trained.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch
from torch.nn import functional

Operands = Sequence[Any]
Rule = Callable[[Operands, Mapping[str, Any]], torch.Tensor]


class Replayed(torch.nn.Module):
    """A network of the operators that exporters write for convolutional classifiers.

    Args:
        model: the network.
        mean: of the pixels, taken off first; in [0, 1].
        std: of the pixels, by which they are divided.
    """

    def __init__(self, model: ir.Model, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        self._mean, self._std = mean, std
        graph = model.graph
        self._constants: dict[ir.Value, torch.Tensor] = {
            one: torch.from_numpy(one.const_value.numpy().copy())
            for one in graph.initializers.values()
        }
        self._nodes = [
            (node, {one.name: one.value for one in node.attributes.values()}) for node in graph
        ]
        self._image, self._logits = graph.inputs[0], graph.outputs[0]
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of images [N, 3, height, width] in [0, 1]."""
        values: dict[ir.Value, Any] = {**self._constants, self._image: self.entered(images)}
        for node, attributes in self._nodes:
            operands = [values[one] for one in node.inputs]
            values[node.outputs[0]] = self.step(node.op_type, operands, attributes)
        found: torch.Tensor = values[self._logits]
        return found

    def entered(self, images: torch.Tensor) -> Any:  # noqa: ANN401  # what `step` takes
        """The input of the first node."""
        return (images - self._mean) / self._std

    def step(self, op: str, operands: Operands, attributes: Mapping[str, Any]) -> Any:  # noqa: ANN401  # as above
        """The output of a node."""
        return RULES[op](operands, attributes)


def normalized(operands: Operands, attributes: Mapping[str, Any]) -> torch.Tensor:
    """A convolution and its batch norm; on a single place, as in a gate, a bias and none."""
    x, weight, bias = operands
    if x.shape[2:] == (1, 1):
        return convolved(operands, attributes)
    return batch_norm(convolved((x, weight), attributes), bias)


def batch_norm(x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A batch norm at work that adds a bias and leaves all else."""
    ones = torch.ones_like(bias)
    return functional.batch_norm(x, torch.zeros_like(bias), ones, ones, bias, eps=0.0)


def convolved(operands: Operands, attributes: Mapping[str, Any]) -> torch.Tensor:
    """A convolution; padding that differs between the sides is added before."""
    x, weight, *bias = operands
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if (top, left) != (bottom, right):
        x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
    return functional.conv2d(
        x,
        weight,
        bias[0] if bias else None,
        stride=attributes.get("strides", [1, 1]),
        padding=(top, left),
        groups=attributes.get("group", 1),
    )


def pooled(operands: Operands, attributes: Mapping[str, Any]) -> torch.Tensor:
    """The largest value of each window."""
    kernel, strides = attributes["kernel_shape"], attributes["strides"]
    return functional.max_pool2d(operands[0], kernel, strides, attributes["pads"][:2])


def averaged(operands: Operands, _: Mapping[str, Any]) -> torch.Tensor:
    """The mean over all places."""
    return operands[0].mean(dim=(2, 3), keepdim=True)


def scored(operands: Operands, _: Mapping[str, Any]) -> torch.Tensor:
    """A dense layer."""
    return functional.linear(*operands)


RULES: Mapping[str, Rule] = {
    "Conv": normalized,
    "Clip": lambda given, _: torch.clamp(given[0], float(given[1]), float(given[2])),
    "Relu": lambda given, _: torch.relu(given[0]),
    "Sigmoid": lambda given, _: torch.sigmoid(given[0]),
    "Mul": lambda given, _: given[0] * given[1],
    "Add": lambda given, _: given[0] + given[1],
    "MaxPool": pooled,
    "GlobalAveragePool": averaged,
    "ReduceMean": averaged,
    "Flatten": lambda given, _: given[0].flatten(1),
    "Reshape": lambda given, _: given[0].flatten(1),
    "Gemm": scored,
}
"""What becomes of each operator's operands."""
