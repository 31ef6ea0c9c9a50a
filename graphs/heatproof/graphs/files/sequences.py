"""Sequences of tensors, which a type inference by element type alone takes for tensors."""

from collections.abc import Callable
from typing import Final

import onnx_ir as ir

_MAKERS: Final[dict[str, Callable[[ir.TypeProtocol], ir.TypeProtocol]]] = {
    **dict.fromkeys(("SequenceConstruct", "SequenceEmpty", "SequenceErase"), ir.SequenceType),
    **dict.fromkeys(("SequenceInsert", "SequenceMap", "SplitToSequence"), ir.SequenceType),
    "Optional": ir.OptionalType,
}


def recall_sequences(model: ir.Model) -> None:
    """Gives the results of operators of sequences their type back, in place."""
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        wrap = _MAKERS.get(node.op_type) if node.domain == "" else None
        for value in node.outputs if wrap is not None else ():
            if wrap is not None and isinstance(value.type, ir.TensorType):
                value.type = wrap(value.type)
