"""Brings old models to an opset that rewrites can be written in."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import onnx_ir as ir
from onnxscript import version_converter

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.nodes.constants import constant_operand
from heatproof.graphs.preparation.preparing import prepared

OLDEST_WRITTEN = 11
"""Oldest opset whose operators rewrites are written in."""

_RAISED = 13
"""Opset of a model that was raised: from it on, ReduceSum takes computed axes."""

_SCALES = 2  # position among the inputs of a Resize


def raised(model: ir.Model) -> ir.Model:
    """The model itself, or a converted copy if its opset is older than `OLDEST_WRITTEN`.

    Raises:
        UnsupportedModelError: the model cannot be converted.
    """
    opset = model.graph.opset_imports[""]
    if opset >= OLDEST_WRITTEN:
        return model
    copy = prepared(model)  # what it resizes by is constant there
    with _heard() as records:
        version_converter.convert_version(copy, _RAISED, fallback=True)
    if copy.graph.opset_imports[""] != _RAISED:
        reasons = [str(record.exc_info[1]) for record in records if record.exc_info]
        raise UnsupportedModelError(
            f"opset {opset} cannot be converted to {_RAISED}: {'; '.join(reasons)}; "
            f"export the model with opset {OLDEST_WRITTEN} or later"
        )
    for node in ir.traversal.RecursiveGraphIterator(copy.graph):
        if node.op_type == "Resize":
            _sample_as_before(node)
    return copy


def ready(model: ir.Model, *, plain: bool = False) -> ir.Model:
    """A prepared copy of an opset that rewrites write.

    Args:
        model: the model.
        plain: whether it is prepared already.

    Raises:
        UnsupportedModelError: the model cannot be converted.
    """
    recent = raised(model)
    return model.clone() if plain and recent is model else prepared(recent)


@contextmanager
def _heard() -> Iterator[list[logging.LogRecord]]:
    """Collects what the converter logs: it logs its errors, and warns of every old model."""
    records: list[logging.LogRecord] = []

    def keep(record: logging.LogRecord) -> bool:
        records.append(record)
        return False

    version_converter.logger.addFilter(keep)
    try:
        yield records
    finally:
        version_converter.logger.removeFilter(keep)


def _sample_as_before(node: ir.Node) -> None:
    """Says where a Resize samples, at place / scale; the converter leaves it to newer defaults."""
    node.attributes.add(ir.AttrString("coordinate_transformation_mode", "asymmetric"))
    if node.attributes.get_string("mode", "nearest") == "nearest":
        node.attributes.add(ir.AttrString("nearest_mode", _rounding(node)))


def _rounding(node: ir.Node) -> str:
    """As ONNX Runtime rounds before opset 11: down along axes that grow, up along others."""
    scales = constant_operand(node, _SCALES)
    factors = [] if scales is None else scales.tolist()
    if not factors or min(factors) < 1 < max(factors):
        raise UnsupportedModelError(
            f"node {node.name!r} resizes by scales that are computed, or above and below 1; "
            f"export the model with opset {OLDEST_WRITTEN} or later"
        )
    return "ceil" if min(factors) < 1 else "floor"
