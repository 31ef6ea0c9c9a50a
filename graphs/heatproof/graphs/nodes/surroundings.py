"""Marks nodes and inputs that surround a network without being part of it.

Preprocessing in front and the last steps to logits hold constants, but no weights; the input of
gates is no image. The mark travels in the metadata, through saving and loading.
"""

from typing import TypeVar

import onnx_ir as ir

_KEY = "heatproof.surrounding"

PartT = TypeVar("PartT", ir.Node, ir.Value)


def mark_surrounding(part: PartT) -> PartT:
    """Marks a node or an input; returns it."""
    part.metadata_props[_KEY] = "yes"
    return part


def is_surrounding(part: ir.Node | ir.Value) -> bool:
    """Whether a node or an input is marked."""
    return _KEY in part.metadata_props
