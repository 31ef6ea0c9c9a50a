"""What a node reads: its inputs, and what its subgraphs take from the graphs around them."""

from collections.abc import Iterator

import onnx_ir as ir


def values_read(node: ir.Node) -> Iterator[ir.Value]:
    """The inputs of a node and every value that its subgraphs read, their own included."""
    yield from (value for value in node.inputs if value is not None)
    for graph in subgraphs_of(node):
        for inner in graph.all_nodes():
            yield from (value for value in inner.inputs if value is not None)
        yield from graph.outputs


def subgraphs_of(node: ir.Node) -> Iterator[ir.Graph]:
    """Graphs held by the attributes of a node."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()
