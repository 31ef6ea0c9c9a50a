"""Groups of channels that exporters reshape to [N, groups, elements] for InstanceNormalization."""

import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial

_GROUPED = 3  # [N, groups, elements]


def grouped(node: ir.Node, state: Spatial, scope: Scope) -> Spatial | None:
    """Reshapes to [N, groups, channels, ...] instead, where that serves all readers equally.

    InstanceNormalization takes its statistics over all axes but the first two, whatever they are;
    a Reshape behind it does not mind either. None if the node is not of that kind.
    """
    value, output = node.inputs[0], node.outputs[0]
    if value is None or value.shape is None or output.shape is None:
        return None
    if output.shape.rank() != _GROUPED or 1 in state.axes.spatial or not _is_read_whole(output):
        return None
    (channels, *cells), groups = value.shape[1:], output.shape[1]
    if not isinstance(channels, int) or not isinstance(groups, int) or channels % groups:
        return None
    dims = [groups, channels // groups, *cells]
    target = scope.op.integers(0, *(dim for dim in dims if isinstance(dim, int)))
    apart = scope.op("Reshape", value, target, like=value, shape=(scope.batch, *dims))
    scope.replace_output(node, apart)
    return Spatial(state.mask, state.axes.moved(len(dims) + 1, lambda axis: axis + 1), state.finite)


def _is_read_whole(groups: ir.Value) -> bool:
    """Whether only normalisations read the groups, and only reshapes read those."""
    return bool(groups.uses()) and all(
        reader.op_type == "InstanceNormalization"
        and not reader.outputs[0].is_graph_output()
        and all(after.op_type == "Reshape" for after, _ in reader.outputs[0].uses())
        for reader, _ in groups.uses()
    )
