"""Describes and rewrites models."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from heatproof.graphs.files.saving import save_model
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.heads.choosing import logits_of
from heatproof.graphs.inspection.inspecting import inspect
from heatproof.graphs.lowering import lower
from heatproof.graphs.masking import MaskingOptions, layer_masked
from heatproof.graphs.runtime.verification import verify_file
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.tasks import InspectModel, RewriteModel

_NEW_OBJECTS: Final = 50_000
"""Between two collections while graphs are built, against Python's 700."""


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Graphs are so many objects that walking over them takes a third of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(_NEW_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@_seldom_collected()
def inspect_model(task: InspectModel, context: TaskContext) -> bytes:
    """Parses, checks and describes a model."""
    context.report("parsing the model")
    model = context.model_cache.load(task.model)
    context.report("describing the model")
    return context.documents.serialized_facts(inspect(model, task.stated))


@_seldom_collected()
def rewrite_model(task: RewriteModel, context: TaskContext) -> tuple[str, ...]:
    """Writes a rewritten model into the folder of the task, and checks what it wrote."""
    context.report("parsing the model")
    model = context.model_cache.load(task.model)
    context.report("rewriting the model")
    addition = task.rewrite.addition
    if isinstance(addition, MaskingOptions):
        rewritten = layer_masked(model, addition)
    else:
        rewritten = differentiated(model, of=logits_of(model, addition.output))
    lower(rewritten, task.rewrite.platform)
    context.report("writing the model")
    folder = context.blobs.scratch(task.scratch)
    save_model(rewritten, folder / task.file_name)
    context.report("checking what was written")
    verify_file(folder / task.file_name)
    others = sorted(path.name for path in folder.iterdir() if path.name != task.file_name)
    return (task.file_name, *others)
