"""What nodes are for, where a lowering may compute the same in a form that is faster.

Rules write plain mathematics and say the role of some nodes. The role travels in the metadata of a
node, through saving and loading; a runtime that does not know it computes the node as it stands.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import onnx_ir as ir

_KEY = "heatproof.role"


class Role(StrEnum):
    """What a node is for."""

    HIDING = "hiding"
    """Mul(x, mask): zeros in hidden cells, which are finite; the mask [N, 1, H, W] is binary."""

    BOX = "box"
    """AveragePool(x): means over each cell's 3 x 3 surroundings, with zeros behind the border."""

    FILLING = "filling"
    """Mul(means, scale): what a round of the fill puts into hidden cells; scale [N, 1, H, W]."""

    FILLED = "filled"
    """Add(x, filling): a tensor after a round of the fill."""

    UNITS = "units"
    """The unit vectors of a map, which are filled once for all channels."""

    STEP = "step"
    """Where(Greater(y, bound), x, 0) or with Less: keeps x on one side of a constant bound."""

    COMPLEMENT = "complement"
    """Sub(1, s) of s in [0, 1]."""

    JUMP = "jump"
    """Where(Greater(y, bound), height, 0) of numbers, or with GreaterOrEqual."""

    STRIDED = "strided"
    """ConvTranspose(dy): the gradient of a convolution or a pool with stride."""

    SCALING = "scaling"
    """Mul(x, number) or Neg(x)."""

    SPREADING = "spreading"
    """Expand(x): one number for each channel, [N, C, 1, 1], over all cells of a map."""

    CELL_SUM = "cell sum"
    """ReduceSum(x) over the cells of a map, which leaves [N, C, 1, 1]."""


_ROLES: Final[Mapping[str, Role]] = MappingProxyType({role.value: role for role in Role})


def declare_role(value: ir.Value, role: Role) -> ir.Value:
    """Notes on the node that computes a value what it is for; returns the value."""
    node = value.producer()
    if node is not None:
        node.metadata_props[_KEY] = role.value
    return value


def role_of(node: ir.Node | None) -> Role | None:
    """The role of a node, or None if it has none."""
    return None if node is None else _ROLES.get(node.metadata_props.get(_KEY, ""))


def hand_on_notes(node: ir.Node, to: ir.Value) -> None:
    """Gives what takes a node's place all that is noted of it but its role, which is played."""
    maker = to.producer()
    if maker is not None:
        notes = {key: note for key, note in node.metadata_props.items() if key != _KEY}
        maker.metadata_props.update(notes)
