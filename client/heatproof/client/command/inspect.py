"""`heatproof inspect`: what a model holds, and what can be done with it."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer
from rich.markup import escape

from heatproof.client.command.options import shared
from heatproof.client.command.options.files import STANDARD_OUTPUT, require_writable, written
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import out
from heatproof.client.command.output.tables import table
from heatproof.client.documents.recordings import plain
from heatproof.v1.model_pb2 import (
    Blocker,
    CamTensor,
    ClassCandidate,
    Model,
    ModelFacts,
    Support,
    Use,
    ValueInfo,
)

SHOWN_NAMES: Final = 5
"""Names of classes that are shown."""

T = TypeVar("T")
K = TypeVar("K")

BLOCKERS: Final = 6
"""Blocking nodes that the table names; the facts name 20."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectOptions:
    """Which model, and how much of it."""

    model: shared.ModelArgument
    layers: Annotated[
        bool, typer.Option("--layers", help="List all layers that Grad-CAM can use.")
    ] = False
    json: Annotated[
        Path | None,
        typer.Option("--json", help="Write everything as JSON; - prints it instead of the table."),
    ] = None


@grouped
def inspect(
    question: InspectOptions, stated: shared.StatedOptions, server: shared.ServerOptions
) -> None:
    """Show what a model holds, and which explainers, metrics and removal operators it allows."""
    if question.json != STANDARD_OUTPUT:
        require_writable(question.json)
    with server.connected() as client:
        found = client.inspect(question.model, **stated.statement())
    text = json.dumps(plain(found), indent=1)
    if question.json == STANDARD_OUTPUT:
        out.print(text, markup=False, soft_wrap=True)
        return
    written(question.json, partial(_write, text))
    made = table("", "")
    made.show_header = False
    made.columns[0].no_wrap = True
    for name, words in _rows(found, every_layer=question.layers):
        made.add_row(name, escape(words))
    out.print(made)


def _write(text: str, path: Path) -> None:
    path.write_text(text + "\n", encoding="utf-8")


def _rows(model: Model, *, every_layer: bool) -> Iterator[tuple[str, str]]:
    yield from _signature(model)
    if model.facts.notes:
        yield "notes", "\n".join(model.facts.notes)
    yield from _sizes(model.facts)
    yield "Grad-CAM layers", "\n".join(_layers(model.facts, every=every_layer))
    yield "layer masking", _support(model.facts.layer_masking)
    yield "gradients", _support(model.facts.gradients)
    yield "removal operators", "\n".join(_uses(model.usability.removals))
    yield "explainers", "\n".join(_uses(model.usability.explainers))
    yield "metrics", "\n".join(_uses(model.usability.metrics))


def _signature(model: Model) -> Iterator[tuple[str, str]]:
    facts = model.facts
    yield "model", f"{model.display_name}\n{model.name}".strip()
    yield "producer", facts.producer
    yield "opsets", ", ".join(f"{name or 'ai.onnx'} {at}" for name, at in facts.opsets.items())
    yield "inputs", "\n".join(map(_value, facts.inputs))
    yield "outputs", "\n".join(map(_value, facts.outputs))
    yield "image input", f"{facts.image_input}, {facts.layout}" if facts.image_input else "none"
    yield "classes", "\n".join(_classes(facts))
    if facts.shortcoming:
        yield "cannot be used", facts.shortcoming


def _classes(facts: ModelFacts) -> Iterator[str]:
    """The choice of the class output and its reason, then what could be chosen."""
    if facts.class_output:
        yield f"{facts.classes or 'dynamic'}, in {facts.class_output} ({facts.activation})"
        yield from filter(None, [facts.class_output_decision])
        if facts.class_names:
            shown = ", ".join(facts.class_names[:SHOWN_NAMES])
            more = ", ..." if len(facts.class_names) > SHOWN_NAMES else ""
            yield f"names in the file: {shown}{more}"
    else:
        yield ": ".join(filter(None, ("none", facts.class_output_decision)))
    if len(facts.class_candidates) > 1:
        yield from map(_candidate, facts.class_candidates)


def _candidate(held: ClassCandidate) -> str:
    names = " = ".join((held.output, *held.copies))
    found = f", {held.activation}" if held.activation else ""
    chosen = ", chosen" if held.is_chosen else ""
    return f"{names}: {held.classes or 'dynamic'} classes{found}{chosen}"


def _sizes(facts: ModelFacts) -> Iterator[tuple[str, str]]:
    if facts.probed:
        size = f"{facts.height} x {facts.width} pixels"
        words = (f"open; what follows holds for {size}", "rewrite --layer-masking needs it fixed")
        yield "image size", "\n".join(words)
    yield "nodes", f"{facts.nodes:,}"
    yield "weights", f"{facts.parameters:,}"
    count = f"{facts.multiply_adds:,} an image"
    yield "multiply-adds", count if facts.multiply_adds else "unknown"


def _value(info: ValueInfo) -> str:
    return f"{info.name}: {info.data_type} [{', '.join(info.shape)}]"


def _layers(facts: ModelFacts, *, every: bool) -> Iterator[str]:
    shown = [tensor for tensor in facts.cam_tensors if every or tensor.is_default]
    for tensor in shown:
        yield _layer(tensor, is_marked=every)
    if len(shown) < len(facts.cam_tensors):
        default = "the default" if shown else "no default: none lies before a global pool"
        yield f"{default}; {len(facts.cam_tensors)} in all, listed by --layers"
    elif not shown:
        yield "none"


def _layer(tensor: CamTensor, *, is_marked: bool) -> str:
    """Name, channels, rows and columns of cells, and the image's pixels that a cell sees."""
    extents = " x ".join(
        str(side or "?") for side in (tensor.channels, tensor.height, tensor.width)
    )
    seen = (
        f", a cell sees {tensor.field_height} x {tensor.field_width} pixels"
        if tensor.field_height
        else ""
    )
    default = ", the default" if is_marked and tensor.is_default else ""
    return f"{tensor.name}: {extents}{seen}{default}"


def _support(support: Support) -> str:
    if support.supported:
        return "yes"
    shown = [
        _blocked(reason, nodes)
        for reason, nodes in _by(attrgetter("reason"), support.blockers[:BLOCKERS])
    ]
    if len(support.blockers) > BLOCKERS:
        shown.append("and more, listed by --json -")
    return "\n".join(("no", *shown))


def _blocked(reason: str, nodes: Iterable[Blocker]) -> str:
    """Nodes with their operators, one a line, and the reason that they share."""
    named = (": ".join(filter(None, (node.node, node.operator))) for node in nodes)
    return ": ".join(filter(None, (",\n".join(named), reason)))


def _uses(uses: Iterable[Use]) -> Iterator[str]:
    """What can be used, by name; then what takes more, and what cannot be used, with the reason."""
    held = list(uses)
    yield ", ".join(use.name for use in held if use.usable) or "none"
    for (usable, reason), alike in _by(attrgetter("usable", "reason"), held):
        if reason:
            yield f"{', '.join(use.name for use in alike)}{'' if usable else ' not'}: {reason}"


def _by(key: Callable[[T], K], things: Iterable[T]) -> Iterable[tuple[K, list[T]]]:
    """Groups by a key, in the order in which keys appear."""
    groups: dict[K, list[T]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups.items()
