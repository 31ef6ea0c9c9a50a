"""`heatproof inspect`: what a model holds, and what can be done with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.markup import escape

from heatproof.client.command import options
from heatproof.client.command.console import out
from heatproof.client.command.groups import grouped
from heatproof.client.command.tables import table
from heatproof.v1.model_pb2 import Model, ModelFacts, Support, ValueInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which model, and how much of it."""

    model: options.ModelArgument
    layers: Annotated[
        bool, typer.Option("--layers", help="List all layers that Grad-CAM can use.")
    ] = False


@grouped
def inspect(question: Question, server: options.ServerOptions) -> None:
    """Show a model's inputs, outputs and layers, and whether masking and gradients cover it."""
    with server.connected() as client:
        found = client.inspect(question.model)
    made = table("", "")
    made.show_header = False
    for name, text in _facts(found, every_layer=question.layers):
        made.add_row(name, escape(text))
    out.print(made)


def _facts(model: Model, *, every_layer: bool) -> Iterator[tuple[str, str]]:
    facts = model.facts
    yield "model", f"{model.display_name} {model.name}"
    yield "producer", facts.producer
    yield "opsets", ", ".join(f"{name or 'ai.onnx'} {at}" for name, at in facts.opsets.items())
    yield "inputs", "\n".join(map(_value, facts.inputs))
    yield "outputs", "\n".join(map(_value, facts.outputs))
    yield "image input", f"{facts.image_input}, {facts.layout}"
    yield "classes", f"{facts.classes or 'dynamic'}, in {facts.class_output} ({facts.activation})"
    yield "nodes", f"{facts.nodes:,}"
    yield "weights", f"{facts.parameters:,}"
    yield "multiply-adds", f"{facts.multiply_adds:,}" if facts.multiply_adds else "unknown"
    yield "Grad-CAM layers", "\n".join(_cam_tensors(facts, every=every_layer))
    yield "layer masking", _support(facts.layer_masking)
    yield "gradients", _support(facts.gradients)


def _value(info: ValueInfo) -> str:
    return f"{info.name}: {info.data_type} [{', '.join(info.shape)}]"


def _cam_tensors(facts: ModelFacts, *, every: bool) -> Iterator[str]:
    shown = [tensor for tensor in facts.cam_tensors if every or tensor.is_default]
    if len(shown) < len(facts.cam_tensors):
        yield f"{len(facts.cam_tensors)}, all with --layers"
    for tensor in shown:
        extents = " x ".join(
            str(side or "?") for side in (tensor.channels, tensor.height, tensor.width)
        )
        yield f"{tensor.name}: {extents}{', the default' if tensor.is_default else ''}"


def _support(support: Support) -> str:
    if support.supported:
        return "yes"
    blockers = (f"{node.node}: {node.operator}: {node.reason}" for node in support.blockers)
    return "\n".join(("no", *blockers))
