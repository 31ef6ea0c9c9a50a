"""Neighbour padding: hidden cells take the mean of their visible neighbours, round by round.

One round replaces each hidden cell by the sum over its 3 x 3 surroundings, divided by the number
of visible cells there (plus 1e-5); cells so filled count as visible in the next round. With A the
reciprocal of that number at the cells that the round fills, and 0 elsewhere, it reads

    X' = X + A . box(X)

where A depends on the mask alone and serves all channels and layers. The cells it fills in count as
constants for differentiation: what flows back goes to the visible cells alone.
"""

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.cells.boxes import CELLS, box_means
from heatproof.graphs.masking.masks.pyramid import Pyramid
from heatproof.graphs.masking.states import NCHW, Mask
from heatproof.graphs.nodes.derivatives import Derivative, declare_derivative
from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.nodes.shapes import channels_of
from heatproof.graphs.operators.emitter import Dim, Emitter

EPSILON = 1e-5
"""Added to the number of visible neighbours; as in the authors' code."""

MATRIX_CELLS_PER_ROUND = 40
"""Largest map, per round, whose fill is one matrix product: it multiplies once per cell pair."""


class Filler:
    """Fills tensors of axes N, C, H, W in the graph of one rewrite."""

    def __init__(self, op: Emitter, masks: Pyramid, batch: Dim) -> None:
        self._op = op
        self._masks = masks
        self._batch = batch
        self._weights: dict[tuple[Mask, int, ir.DataType], list[ir.Value]] = {}
        self._grown_masks: dict[tuple[Mask, int], ir.Value] = {}
        self._matrices: dict[tuple[Mask, int, ir.DataType], ir.Value] = {}

    def filled(self, visible: ir.Value, mask: Mask, rounds: int) -> ir.Value:
        """The tensor after `rounds` rounds; its hidden cells must be zeros."""
        for scale in self._scales(mask, rounds, _dtype(visible)):
            visible = self._round(visible, scale)
        return visible

    def product(self, value: ir.Value, mask: Mask, rounds: int) -> ir.Value:
        """The tensor masked and filled by one matrix product; its hidden cells must be finite."""
        shape = value.shape
        matrix = self._matrix(mask, rounds, _dtype(value))
        channels = channels_of(value)
        cells = mask.height * mask.width
        rows = self._op(
            "Reshape",
            value,
            self._op.integers(0, channels, cells),
            like=value,
            shape=(self._batch, channels, cells),
        )
        product = declare_derivative(
            self._op("MatMul", rows, matrix, like=rows), Derivative.DIAGONAL
        )
        target = self._op.integers(0, channels, *mask.size)
        return self._op("Reshape", product, target, like=value, shape=shape)

    def _matrix(self, mask: Mask, rounds: int, dtype: ir.DataType) -> ir.Value:
        """The fill as a matrix [N, from, to], made by filling the unit vectors."""
        key = (mask, rounds, dtype)
        if key not in self._matrices:
            cells = mask.height * mask.width
            units = np.eye(cells).reshape(1, cells, *mask.size)
            visible = self._op(
                "Mul",
                self._op.constant(units, dtype),
                self._masks.view(mask, NCHW, dtype),
                like=mask.value,
                dtype=dtype,
                shape=(self._batch, cells, *mask.size),
                name="fill_units",
            )
            filled = self.filled(declare_role(visible, Role.UNITS), mask, rounds)
            self._matrices[key] = self._op(
                "Reshape",
                filled,
                self._op.integers(0, cells, cells),
                like=filled,
                shape=(self._batch, cells, cells),
                name="fill_matrix",
            )
        return self._matrices[key]

    def _round(self, visible: ir.Value, scale: ir.Value) -> ir.Value:
        means = box_means(self._op, visible)
        fresh = self._op("Mul", means, scale, like=visible)
        declare_derivative(declare_role(fresh, Role.FILLING), Derivative.ZERO)
        return declare_role(self._op("Add", visible, fresh, like=visible), Role.FILLED)

    def _scales(self, mask: Mask, rounds: int, dtype: ir.DataType) -> list[ir.Value]:
        """The factor A of each round."""
        key = (mask, rounds, dtype)
        if key not in self._weights:
            self._weights[key] = self._new_scales(mask, rounds, dtype)
        return self._weights[key]

    def _new_scales(self, mask: Mask, rounds: int, dtype: ir.DataType) -> list[ir.Value]:
        scales = self._scales(mask, rounds - 1, dtype) if rounds > 1 else []
        before = self._grown(mask, rounds - 1)
        after = self._grown(mask, rounds)
        density = box_means(self._op, before)
        guard = self._op.scalar(EPSILON / CELLS, density.dtype)
        divisor = self._op("Add", density, guard, like=density)
        fresh = self._op("Sub", after, before, like=before)
        scale = self._op("Div", fresh, divisor, like=fresh, name="fill_scale")
        if dtype != scale.dtype:
            scale = self._op("Cast", scale, like=scale, dtype=dtype, to=dtype.value)
        return [*scales, scale]

    def _grown(self, mask: Mask, rounds: int) -> ir.Value:
        """The mask after `rounds` rounds, in which it grows by one cell each."""
        if rounds == 0:
            return mask.value
        if (mask, rounds) not in self._grown_masks:
            self._grown_masks[mask, rounds] = self._op(
                "MaxPool",
                self._grown(mask, rounds - 1),
                like=mask.value,
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
                name="fill_mask",
            )
        return self._grown_masks[mask, rounds]


def _dtype(value: ir.Value) -> ir.DataType:
    return value.dtype or ir.DataType.FLOAT
