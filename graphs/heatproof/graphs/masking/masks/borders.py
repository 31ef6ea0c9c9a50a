"""The image inside a map whose border holds no part of it, such as padding."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.states import Cells, Mask
from heatproof.graphs.operators.emitter import Emitter
from heatproof.graphs.operators.windows import Incidence, Pair

_SLICES_BY_INPUT = 10  # opset from which Slice takes its parameters as inputs
_PADS_BY_INPUT = 11  # opset from which Pad does


@dataclass(frozen=True, slots=True)
class Box:
    """A box of cells in a larger map, of tensors with axes N, C, H, W.

    Attributes:
        first: row and column of its first cell.
        size: its height and width.
        whole: height and width of the map.
    """

    first: Pair
    size: Pair
    whole: Pair

    @property
    def last(self) -> list[int]:
        """One past its last row and column."""
        return [self.first[i] + self.size[i] for i in (0, 1)]

    def lines(self) -> tuple[Incidence, Incidence]:
        """The rows and the columns of the map that the box consists of."""
        rows, columns = (np.eye(size, dtype=bool) for size in self.whole)
        return rows[self.first[0] : self.last[0]], columns[self.first[1] : self.last[1]]

    def cells(self) -> Cells:
        """Which cells of the map are in the box."""
        rows, columns = (lines.any(axis=0) for lines in self.lines())
        return np.outer(rows, columns)

    def cut(self, value: ir.Value, op: Emitter) -> ir.Value:
        """The cells of the box."""
        dims = [*list(value.shape or ())[:2], *self.size]
        if op.opset < _SLICES_BY_INPUT:
            return op(
                "Slice",
                value,
                like=value,
                shape=dims,
                starts=self.first,
                ends=self.last,
                axes=[2, 3],
            )
        bounds = (op.integers(*numbers) for numbers in (self.first, self.last, (2, 3)))
        return op("Slice", value, *bounds, like=value, shape=dims)

    def framed(self, inner: ir.Value, op: Emitter) -> ir.Value:
        """The map again, with zeros around the box."""
        behind = [self.whole[i] - self.last[i] for i in (0, 1)]
        pads = [0, 0, *self.first, 0, 0, *behind]
        dims = [*list(inner.shape or ())[:2], *self.whole]
        if op.opset < _PADS_BY_INPUT:
            return op("Pad", inner, like=inner, shape=dims, pads=pads)
        return op("Pad", inner, op.integers(*pads), like=inner, shape=dims)


def image_box(mask: Mask) -> Box | None:
    """The smallest box around the image, if there is a border around that."""
    if mask.border is None or not mask.image.any():
        return None
    spans = [np.flatnonzero(mask.image.any(axis=axis)) for axis in (1, 0)]
    first = (int(spans[0][0]), int(spans[1][0]))
    size = (int(spans[0][-1]) + 1 - first[0], int(spans[1][-1]) + 1 - first[1])
    return None if size == mask.size else Box(first, size, mask.size)
