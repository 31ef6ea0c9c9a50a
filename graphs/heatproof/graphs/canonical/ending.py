"""The last nodes of a canonical model: from what a head holds to float32 logits [N, classes]."""

from typing import Final

import numpy as np
import onnx_ir as ir

from heatproof.graphs.heads.axes import class_axis, holds_one_value
from heatproof.graphs.heads.choosing import ClassOutput
from heatproof.graphs.heads.scores import Kind, Scores
from heatproof.graphs.nodes.surroundings import mark_surrounding
from heatproof.graphs.operators.emitter import Attributes, Emitter
from heatproof.graphs.preparation import infer_shapes

LEAST_SHARE: Final = 1e-12
"""Smaller probabilities count as this one: their logarithms would be infinite."""

LEAST_CHANCE: Final = 1e-7
"""The same for probabilities each by itself, where 1 - p has the resolution of float32 at 1."""

_LOGITS_RANK: Final = 2


def end_at_logits(model: ir.Model, output: ClassOutput) -> None:
    """Makes float32 logits [N, classes] the only output, in place.

    1. Logits are taken as they are.
    2. Probabilities p that sum to 1, whose logits are not in the graph: log p.
    3. Probabilities p each by itself, likewise: log p - log(1 - p).
    4. One value z for two classes: -z / 2 and z / 2, so that the softmax over the two is the
       sigmoid of z, and either class has a gradient of its own.
    """
    graph = model.graph
    names = {value.name: value for node in graph for value in node.outputs}
    ending = _Ending(graph, names[output.logits])
    ending.cast()
    ending.flatten(None if output.is_binary else output.classes)
    if output.scores is not None:
        ending.take_logarithms(output.scores)
    if output.is_binary:
        ending.tell_apart()
    graph.outputs.clear()
    graph.outputs.append(ending.value)
    infer_shapes(model)


class _Ending:
    """The tensor that becomes the logits."""

    def __init__(self, graph: ir.Graph, value: ir.Value) -> None:
        self._op = Emitter(graph)
        self.value = value

    def cast(self) -> None:
        """Brings the values to float32."""
        if self.value.dtype != ir.DataType.FLOAT:
            shape = self.value.shape
            self.value = self._node("Cast", self.value, to=int(ir.DataType.FLOAT))
            self.value.shape = shape

    def flatten(self, classes: int | None) -> None:
        """Takes away the axes of size 1; `classes` is None for one value an image."""
        is_in_order = class_axis(self.value) is not None or holds_one_value(self.value)
        if not is_in_order:
            target = np.array([-1, classes or 1], np.int64)
            self.value = self._node("Reshape", self.value, self._op.constant(target))
        elif self.value.shape is not None and self.value.shape.rank() != _LOGITS_RANK:
            self.value = self._node("Flatten", self.value, axis=1)

    def take_logarithms(self, scores: Scores) -> None:
        """Logits of probabilities."""
        if scores.kind is Kind.LOG_SOFTMAX:
            return
        if scores.total != 1:
            self.value = self._node("Mul", self.value, self._number(1 / scores.total))
        if scores.kind is Kind.SOFTMAX:
            self.value = self._logarithm(self.value, LEAST_SHARE)
            return
        rest = self._node("Sub", self._number(1), self.value)
        against = self._logarithm(rest, LEAST_CHANCE)
        self.value = self._node("Sub", self._logarithm(self.value, LEAST_CHANCE), against)

    def _logarithm(self, x: ir.Value, least: float) -> ir.Value:
        # No upper bound: a value above 1, which is no probability, must show in its logit.
        return self._node("Log", self._node("Max", x, self._number(least)))

    def tell_apart(self) -> None:
        """Two logits of one."""
        sides = self._op.constant(np.array([[-0.5, 0.5]], np.float32))
        self.value = self._node("MatMul", self.value, sides)

    def _number(self, number: float) -> ir.Value:
        return self._op.scalar(number)

    def _node(self, op_type: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
        given: Attributes = {**attributes}
        name = f"{inputs[0].name}/{op_type}"
        output = self._op(op_type, *inputs, dtype=ir.DataType.FLOAT, name=name, **given)
        node = output.producer()
        if node is not None:
            mark_surrounding(node)
        return output
