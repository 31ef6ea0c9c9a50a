"""Differentiates operators without a rule through the bodies that ONNX defines for them.

The composite node stays where it is, so the model's outputs keep every bit. While the gradient is
written, a copy of its body takes its place; afterwards every reader returns to the composite's own
outputs, and of the body only the intermediate values that the gradient reads are left.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

import onnx
import onnx_ir as ir
from onnx_ir.passes import common

from heatproof.evaluators.errors import InternalError
from heatproof.graphs.gradients.refusals import reason_against
from heatproof.graphs.gradients.table import GRADIENTS
from heatproof.graphs.preparation import infer_shapes

BODY_DOMAIN = "heatproof.body"
"""Domain of the temporary functions; none is left in a result."""

_DEEPEST = 4  # bodies within bodies, such as Softplus in Mish

Stands = dict[ir.Value, ir.Value]
"""For each output of an expanded node the value that stands for it in the copy of its body."""


class _Schema(Protocol):
    """The part of `onnx.defs.OpSchema` that its stubs leave out."""

    @property
    def has_function(self) -> bool: ...

    @property
    def has_context_dependent_function(self) -> bool: ...

    def get_function_with_opset_version(self, opset: int, /) -> bytes | None: ...

    def get_context_dependent_function_with_opset_version(
        self, opset: int, node: bytes, types: Sequence[bytes], /
    ) -> bytes | None: ...


def expand_composites(model: ir.Model, path: Callable[[Stands], Iterable[ir.Node]]) -> Stands:
    """Puts copies of bodies in the place of the composites on a path, in place."""
    stands: Stands = {}
    for _ in range(_DEEPEST):
        composites = [node for node in path(stands) if _is_composite(node, model)]
        if not composites:
            break
        calls = [_called_beside(node, model) for node in composites]
        common.InlinePass()(model)
        named = {value.name: value for node in model.graph for value in node.outputs}
        for node, names in zip(composites, calls, strict=True):
            stands |= {out: named[name] for out, name in zip(node.outputs, names, strict=True)}
        infer_shapes(model)
    return stands


def return_to_composites(stands: Stands) -> None:
    """Lets every reader of a body's output read the composite's own output again."""
    for own, copy in stands.items():
        copy.replace_all_uses_with(own)


def _is_composite(node: ir.Node, model: ir.Model) -> bool:
    if GRADIENTS.covers(node, model.opset_imports) or reason_against(node):
        return False
    return body_of(node, model) is not None


def body_of(node: ir.Node, model: ir.Model) -> ir.Function | None:
    """The body that ONNX defines for an operator at the model's opset, or None."""
    opset = model.opset_imports.get(node.domain, 0)
    try:
        schema = cast("_Schema", onnx.defs.get_schema(node.op_type, opset, node.domain))
    except onnx.defs.SchemaError:
        return None
    if schema.has_context_dependent_function:
        types = [_serialized_type(value) for value in node.inputs]
        proto = ir.to_proto(node).SerializeToString()
        body: bytes | None = schema.get_context_dependent_function_with_opset_version(
            opset, proto, types
        )
    elif schema.has_function:
        body = schema.get_function_with_opset_version(opset)
    else:
        return None
    function = onnx.FunctionProto.FromString(body or b"")
    del function.output[len(node.outputs) :]  # the body leaves out what the node does
    return ir.from_proto(function) if function.node else None


def _serialized_type(value: ir.Value | None) -> bytes:
    if value is None or value.type is None:
        return onnx.TypeProto().SerializeToString()
    return ir.to_proto(value).type.SerializeToString()


def _called_beside(node: ir.Node, model: ir.Model) -> list[str]:
    """Puts a call of a node's body before it and its readers on the call; names its outputs."""
    body = body_of(node, model)
    if body is None:
        raise InternalError(f"node {node.name!r} has no body")
    function = ir.Function(
        BODY_DOMAIN, f"body_of_{node.name}", graph=body.graph, attributes=body.attributes
    )
    function.opset_imports.clear()
    model.functions[function.identifier()] = function
    call = ir.node(
        function.name,
        node.inputs,
        {name: value for name, value in node.attributes.items() if name in function.attributes},
        domain=BODY_DOMAIN,
        num_outputs=len(node.outputs),
    )
    node.prepend(call)
    names = [f"{out.name}/body" for out in node.outputs]
    for out, copy, name in zip(node.outputs, call.outputs, names, strict=True):
        copy.name, copy.shape, copy.type = name, out.shape, out.type
        for reader, index in tuple(out.uses()):
            reader.replace_input_with(index, copy)
    return names
