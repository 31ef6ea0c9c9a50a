"""What the rewrite knows of a tensor that derives from the image."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.operators.windows import Incidence

Cells = NDArray[np.bool_]
"""[height, width]: some of the cells of a map."""


@dataclass(frozen=True, slots=True)
class MaskField:
    """The receptive field of a mask's cells in the image's own mask: blocks of rows x columns.

    A cell is visible iff any image cell of its block is, or the block is empty. Two masks with
    equal fields are equal; a mask whose blocks contain another's is visible wherever the other is.
    """

    rows: Incidence
    columns: Incidence

    def contains(self, other: "MaskField") -> bool:
        """Whether each block contains the other's at the same place, and is empty if that is."""
        return _contains(self.rows, other.rows) and _contains(self.columns, other.columns)


def _contains(lines: Incidence, others: Incidence) -> bool:
    if lines.shape != others.shape or not (lines >= others).all():
        return False
    return bool((lines.any(axis=1) == others.any(axis=1)).all())


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """A visibility mask in the graph.

    Attributes:
        value: float32 [N, 1, height, width] of zeros (hidden) and ones (visible).
        height: rows, static.
        width: columns, static.
        field: its dependence on the image's mask where blocks describe it, else None.
        border: cells that hold no part of the image, such as padding, if there are any. They are
            visible, yet no window is visible for their sake, and coverage leaves them out.
    """

    value: ir.Value
    height: int
    width: int
    field: MaskField | None = None
    border: Cells | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def image(self) -> Cells:
        """The cells that hold some part of the image."""
        return np.ones(self.size, bool) if self.border is None else ~self.border

    def includes(self, other: "Mask") -> bool:
        """Whether this mask is known to be visible wherever the other is."""
        if self is other:
            return True
        if self.field is None or other.field is None:
            return False
        return self.field.contains(other.field)


@dataclass(frozen=True, slots=True)
class Axes:
    """Which axes of a tensor are spatial; axis 0 is always the batch.

    Attributes:
        rank: number of axes.
        height: axis of the rows, or None where the mask has one row and the tensor no such axis.
        width: axis of the columns, or None likewise; the axis of the rows where one axis holds
            all cells, row by row.
    """

    rank: int
    height: int | None
    width: int | None

    @property
    def spatial(self) -> tuple[int, ...]:
        """The spatial axes, height first; one where they are merged."""
        both = (axis for axis in (self.height, self.width) if axis is not None)
        return tuple(dict.fromkeys(both))

    @property
    def merged(self) -> bool:
        """Whether one axis holds all cells."""
        return self.height is not None and self.height == self.width

    def sizes(self, mask: Mask) -> dict[int, int]:
        """Number of cells along each spatial axis."""
        if self.merged:
            return {self.spatial[0]: mask.height * mask.width}
        pairs = zip((self.height, self.width), mask.size, strict=True)
        return {axis: size for axis, size in pairs if axis is not None}

    def moved(self, rank: int, place: Callable[[int], int | None]) -> "Axes":
        """The axes of a tensor of another rank; `place` is where each goes, None if it goes."""
        height, width = (
            None if axis is None else place(axis) for axis in (self.height, self.width)
        )
        return Axes(rank, height, width)

    def without(self, gone: Collection[int]) -> "Axes":
        """The axes after some were dropped."""

        def place(axis: int) -> int | None:
            return None if axis in gone else axis - sum(other < axis for other in gone)

        return self.moved(self.rank - len(gone), place)

    def joined(self, other: "Axes") -> "Axes | None":
        """The axes of both of two tensors that broadcast; None if they contradict each other."""
        if self.rank != other.rank:
            return None
        height = other.height if self.height is None else self.height
        width = other.width if self.width is None else self.width
        joint = Axes(self.rank, height, width)
        agree = all(
            axis in (None, known)
            for one in (self, other)
            for axis, known in ((one.height, height), (one.width, width))
        )
        return joint if agree and (self.merged or other.merged or not joint.merged) else None


NCHW = Axes(4, 2, 3)
NHWC = Axes(4, 1, 2)


@dataclass(frozen=True, slots=True)
class Spatial:
    """A tensor whose cells are visible or hidden; its hidden cells may hold anything.

    Attributes:
        mask: the visible cells.
        axes: where they lie.
        finite: whether the hidden cells provably hold neither infinity nor NaN.
        weights: whether the visible cells are weights that sum to one, or values so weighted.
        counts: of means along one axis, the share of visible cells in each; laid out as a mask.
    """

    mask: Mask
    axes: Axes
    finite: bool = True
    weights: bool = False
    counts: Mask | None = None


@dataclass(frozen=True, slots=True)
class Flat:
    """A tensor that derives from the image and has no spatial axes: it carries no mask.

    Attributes:
        exits: the masks at which its information left the spatial domain.
        finite: whether it provably holds neither infinity nor NaN where no cell is visible.
    """

    exits: frozenset[Mask]
    finite: bool = True


State = Spatial | Flat
"""A tensor without a state does not depend on the image's content."""
