"""Removes identities, but those that give a second name to what an output already returns."""

import onnx_ir as ir


def drop_identities(graph: ir.Graph) -> None:
    """Lets readers of `y = Identity(x)` read x, in place, in subgraphs too.

    1. y is no output: it is gone.
    2. y is an output, and x is computed in the same graph and no output: x takes its name.
    3. y is an output, and x is an output too, an input, an initializer or of another graph: the
       node stays, for a value is returned once and under one name.
    """
    for node in tuple(ir.traversal.RecursiveGraphIterator(graph)):
        if node.op_type == "Identity" and node.domain == "" and node.graph is not None:
            _drop(node)


def _drop(node: ir.Node) -> None:
    x, y = node.inputs[0], node.outputs[0]
    if x is None or node.graph is None or (y.is_graph_output() and not _may_be_renamed(x, node)):
        return
    x.shape = y.shape if x.shape is None else x.shape
    x.type = y.type if x.type is None else x.type
    if y.is_graph_output():
        ir.convenience.replace_all_uses_with(y, x, replace_graph_outputs=True)
        x.name = y.name
    else:
        ir.convenience.replace_all_uses_with(y, x)
    node.graph.remove(node, safe=True)


def _may_be_renamed(x: ir.Value, node: ir.Node) -> bool:
    maker = x.producer()
    return maker is not None and maker.graph is node.graph and not x.is_graph_output()
