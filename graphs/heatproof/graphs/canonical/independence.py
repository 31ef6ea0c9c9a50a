"""Checks by running it that a model answers for each image of a batch alone."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from heatproof.evaluators.errors import InvalidModelError, UnsupportedModelError
from heatproof.graphs.files.notes import Note
from heatproof.graphs.operators.rules import Operator
from heatproof.graphs.runtime.backends.network import Array
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import Session, open_session
from heatproof.graphs.tapping import tapped

_ROWS = 4
_COMPARED = 1
"""Neither end nor middle of the rows, so that it keeps its place in no reversal or rotation."""

_TOLERANCE = 1e-4
_HALF_TOLERANCE = 1e-2
"""Relative to the largest logit: kernels differ by batch size; float16 has three digits."""

_MOST_TAPPED = 1 << 26
"""Numbers that the search for the first node at fault may hold."""

_SCALED_BY_BATCH = frozenset(
    {("", "DynamicQuantizeLinear")}
    | {("com.microsoft", name) for name in ("DynamicQuantizeMatMul", "DynamicQuantizeLSTM")}
)
"""Operators that take one scale of all rows of a batch."""


def run_alone(graph: ir.Graph) -> tuple[Note, ...]:
    """Says that every image must be run by itself, naming the first node; () if that is not so."""
    nodes = list(_scaled_by_batch(graph))
    if not nodes:
        return ()
    several = f" and {len(nodes) - 1} more nodes like it" if nodes[1:] else ""
    return (
        Note(
            f"node {nodes[0].name!r}, {nodes[0].op_type},{several} of dynamic quantisation "
            "scales its input by all images of a batch: every image is run by itself, which is "
            "slower; quantize the model statically to run batches"
        ),
    )


def _scaled_by_batch(graph: ir.Graph) -> Iterator[ir.Node]:
    nodes = ir.traversal.RecursiveGraphIterator(graph)
    return (node for node in nodes if (node.domain, node.op_type) in _SCALED_BY_BATCH)


class RowComparison:
    """Compares the rows of a model, once.

    Args:
        model: as `check_rows` takes it.
        settings: threads of the session.
        is_due: whether rows are to be compared at all.
    """

    def __init__(self, model: ir.Model, settings: SessionSettings, *, is_due: bool = True) -> None:
        self._model = model
        self._settings = settings
        self._is_due = is_due

    def run(self, cancellation: Cancellation) -> None:
        """Does nothing if the rows have been found independent.

        Raises:
            UnsupportedModelError: as `check_rows`.
            CancelledError: the work was cancelled.
        """
        if self._is_due:
            check_rows(self._model, self._settings, cancellation)
            self._is_due = False


def check_rows(model: ir.Model, settings: SessionSettings, cancellation: Cancellation) -> None:
    """Compares the answer for an image alone with that among three other images.

    Whatever a row reads of others shows, of those before it, behind it or at its place, and so
    does a row that is another's.

    Args:
        model: one float32 image input of static size but for the batch, one output.
        settings: threads of the session.
        cancellation: stops the passes.

    Raises:
        UnsupportedModelError: the answer for an image depends on its neighbours, or differs each
            time; names the first node that shows it. Or the model does not run on four images.
    """
    alone, together = _answers(model, settings, cancellation, [model.graph.outputs[0]])
    part = together[0][_COMPARED : _COMPARED + 1]
    if len(together[0]) == _ROWS and _agree(alone[0], part, _tolerance(model)):
        return
    node = _first_at_fault(model, settings, cancellation)
    raise UnsupportedModelError(
        f"{node}the answer for an image depends on the others of its batch; "
        "export the model in evaluation mode (model.eval()) with a dynamic batch dimension, "
        "and quantize it statically if at all"
    )


def _answers(
    model: ir.Model,
    settings: SessionSettings,
    cancellation: Cancellation,
    values: list[ir.Value],
) -> tuple[list[Array], list[Array]]:
    """Values for an image alone, and for it among brighter ones, which sorting would move too."""
    image = model.graph.inputs[0]
    shape = [size for size in image.shape or () if isinstance(size, int)]
    images = np.random.default_rng(0).random((_ROWS, *shape), np.float32)
    images[_COMPARED], images[2] = images[_COMPARED] ** 2, np.sqrt(images[2])
    session = open_session(model, replace(settings, fused=False))
    name, names = image.name or "", [value.name or "" for value in values]
    return (
        _run(session, {name: images[_COMPARED : _COMPARED + 1]}, names, cancellation),
        _run(session, {name: images}, names, cancellation),
    )


def _run(
    session: Session, feeds: dict[str, Array], names: list[str], cancellation: Cancellation
) -> list[Array]:
    try:
        return session.run(feeds, names, cancellation, len(*feeds.values()))
    except InvalidModelError as error:
        raise UnsupportedModelError(
            f"the model does not run on a batch of {len(*feeds.values())}: {error.message}; "
            "export it with a dynamic batch dimension"
        ) from error


def _tolerance(model: ir.Model) -> float:
    half = any(value.dtype == ir.DataType.FLOAT16 for node in model.graph for value in node.outputs)
    return _HALF_TOLERANCE if half else _TOLERANCE


def _agree(one: Array, other: Array, tolerance: float) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    largest = np.max(np.abs(one), initial=1e-6, where=np.isfinite(one))
    return bool(np.allclose(one, other, rtol=0, atol=tolerance * largest, equal_nan=True))


def _first_at_fault(model: ir.Model, settings: SessionSettings, cancellation: Cancellation) -> str:
    """The first node of which one image's part differs with the others, as words; or nothing."""
    makers = {value: node for node in model.graph for value in node.outputs if _is_known(value)}
    if sum(math.prod(_sizes(value)) for value in makers) > _MOST_TAPPED:
        return ""
    values = list(makers)
    names = [value.name or "" for value in values]
    alone, together = _answers(tapped(model, names), settings, cancellation, values)
    for value, one, all_rows in zip(values, alone, together, strict=True):
        is_batch = one.shape[:1] == (1,) and all_rows.shape[:1] == (_ROWS,)
        part = all_rows[_COMPARED : _COMPARED + 1] if is_batch else all_rows
        if part.shape == one.shape and not _agree(one, part, _tolerance(model)):
            node = makers[value]
            return f"node {node.name!r} ({Operator.name_of(node, model.opset_imports)}): "
    return ""


def _is_known(value: ir.Value) -> bool:
    is_float = value.dtype is not None and value.dtype.is_floating_point()
    return bool(value.name) and is_float and value.shape is not None


def _sizes(value: ir.Value) -> list[int]:
    """Sizes for a batch of all rows."""
    return [size if isinstance(size, int) else _ROWS for size in value.shape or ()]
