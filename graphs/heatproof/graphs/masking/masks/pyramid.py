"""The masks of one rewrite: each geometry once, shared by every layer and channel."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.masking.options import ConcatVote
from heatproof.graphs.masking.states import NCHW, Axes, Cells, Mask, MaskField
from heatproof.graphs.operators.emitter import Attributes, Dim, Emitter
from heatproof.graphs.operators.windows import Incidence, PlaneWindow

_MOST_CELLS = 1 << 26
"""Cells of the largest mask."""

SHARE_GUARD = 1e-8
"""Added to the visible share of a map before its mean is divided by it; as in the paper."""


class Pyramid:
    """Derives masks from masks; equal derivations give the same mask."""

    def __init__(self, op: Emitter, batch: Dim) -> None:
        self._op = op
        self._batch = batch
        self._derived: dict[tuple[object, ...], Mask] = {}
        self._views: dict[tuple[object, ...], ir.Value] = {}

    def source(
        self, visibility: ir.Value, height: int, width: int, threshold: float | None
    ) -> Mask:
        """The image's own mask; what is not above the threshold, or one half, is hidden."""
        visible = self._op(
            "Greater",
            visibility,
            self._op.scalar(0.5 if threshold is None else threshold, ir.DataType.FLOAT),
            like=visibility,
            dtype=ir.DataType.BOOL,
            name="mask_visible",
        )
        field = MaskField(np.eye(height, dtype=bool), np.eye(width, dtype=bool))
        value = self._op(
            "Cast",
            visible,
            like=visibility,
            name="mask_binary",
            to=ir.DataType.FLOAT.value,
        )
        mask = Mask(value, height, width, field)
        self._views[mask, NCHW, ir.DataType.BOOL] = visible
        return self._shared(mask)

    def slid(self, mask: Mask, window: PlaneWindow) -> Mask:
        """The window rule: visible where the window holds a visible cell, or no cell at all."""
        if window.keeps_cells:
            return mask

        def pooled(image: ir.Value) -> ir.Value:
            return self._pooled(image, window)

        lines = (window.incidence(0), window.incidence(1))
        return self._once(("slid", mask, window), lambda: self._read(mask, lines, pooled))

    def reading(self, mask: Mask, rows: Incidence, columns: Incidence) -> Mask:
        """The window rule where each cell reads any rows x columns; cells of none are border."""
        if _is_identity(rows) and _is_identity(columns):
            return mask

        def held(image: ir.Value) -> ir.Value:
            return self._held(self._held(image, rows, 2), columns, 3)

        key = ("reading", mask, *_bytes(MaskField(rows, columns)))
        return self._once(key, lambda: self._read(mask, (rows, columns), held))

    def _read(
        self, mask: Mask, lines: tuple[Incidence, Incidence], hold: Callable[[ir.Value], ir.Value]
    ) -> Mask:
        """`hold` tells where cells hold a visible one; it may say anything of empty cells."""
        rows, columns = lines
        if len(rows) * len(columns) > _MOST_CELLS:
            raise UnsupportedModelError(
                f"a tensor of the model has {len(rows)} x {len(columns)} cells; layer masking "
                f"takes at most {_MOST_CELLS} cells: use smaller images, paddings and resizings"
            )
        field = mask.field and MaskField(
            _composed(rows, mask.field.rows), _composed(columns, mask.field.columns)
        )
        known = field and self._known(field)
        if known:
            return known
        border: Cells = ~_composed(_composed(rows, mask.image), columns.T)
        value = hold(self.of_image(mask))
        if border.any():
            shown = self._op.constant(border[None, None], ir.DataType.FLOAT)
            value = self._op("Max", value, shown, like=value)
        height, width = border.shape
        return Mask(value, height, width, field, border if border.any() else None)

    def of_image(self, mask: Mask) -> ir.Value:
        """The mask without its border: 1 in the visible cells of the image only."""
        if mask.border is None:
            return mask.value
        key = (mask, "image")
        if key not in self._views:
            image = self._op.constant(mask.image[None, None], ir.DataType.FLOAT)
            self._views[key] = self._op("Mul", mask.value, image, like=mask.value)
        return self._views[key]

    def _held(self, image: ir.Value, lines: Incidence, axis: int) -> ir.Value:
        """Along one axis, the cells that a result's cell reads: at most one, or any of several."""
        if _is_identity(lines):
            return image
        dims = list(image.shape or ())
        dims[axis] = len(lines)
        if (lines.sum(axis=1) <= 1).all():
            places = self._op.integers(*lines.argmax(axis=1).tolist())
            return self._op("Gather", image, places, like=image, shape=dims, axis=axis)
        matrix = self._op.constant(lines if axis == 2 else lines.T, ir.DataType.FLOAT)
        factors = (matrix, image) if axis == 2 else (image, matrix)
        count = self._op("MatMul", *factors, like=image, shape=dims, name="mask_counted")
        return self._bounded(count, "Min", 1.0)

    def _pooled(self, image: ir.Value, window: PlaneWindow) -> ir.Value:
        shape = (self._batch, 1, *window.target)
        geometry: Attributes = {
            "kernel_shape": window.kernel,
            "strides": window.strides,
            "pads": window.pads,
        }
        if not window.has_wide_padding and window.dilations == (1, 1):
            return self._op(
                "MaxPool", image, like=image, shape=shape, name="mask_pooled", **geometry
            )
        ones = self._op.constant(np.ones((1, 1, *window.kernel), np.float32))
        geometry["dilations"] = window.dilations
        count = self._op(
            "Conv", image, ones, like=image, shape=shape, name="mask_counted", **geometry
        )
        return self._bounded(count, "Min", 1.0)

    def _bounded(self, value: ir.Value, op_type: str, bound: float) -> ir.Value:
        return self._op(op_type, value, self._op.scalar(bound, value.dtype), like=value)

    def intersection(self, masks: Sequence[Mask]) -> Mask:
        """Visible where every mask is; one row or column stands for all of them."""
        distinct = list(dict.fromkeys(masks))
        least = _extreme(distinct, lambda mask, other: other.includes(mask))
        if least:
            return least
        return self._once(("all", *distinct), lambda: self._folded("Mul", distinct))

    def union(self, masks: Sequence[Mask]) -> Mask:
        """Visible where any mask is."""
        distinct = list(dict.fromkeys(masks))
        greatest = _extreme(distinct, lambda mask, other: mask.includes(other))
        if greatest:
            return greatest
        return self._once(("any", *distinct), lambda: self._folded("Max", distinct))

    def majority(self, masks: Sequence[Mask]) -> Mask:
        """Visible where more than half of the masks are; a mask counts as often as it is given."""
        chain = _chain(masks)
        if chain:
            return chain[len(chain) // 2]
        return self._once(("majority", *masks), lambda: self._majority(masks))

    def _majority(self, masks: Sequence[Mask]) -> Mask:
        votes = self._folded("Add", masks).value
        half = self._op.scalar(len(masks) / 2, votes.dtype)
        elected = self._op("Greater", votes, half, like=votes, dtype=ir.DataType.BOOL)
        value = self._op("Cast", elected, like=votes, to=ir.DataType.FLOAT.value)
        return Mask(value, *masks[0].size, border=_common_border(masks))

    def vote(self, masks: Sequence[Mask], rule: ConcatVote) -> Mask:
        """The mask of a channel concatenation of tensors with these masks."""
        rules = {
            ConcatVote.MAJORITY: self.majority,
            ConcatVote.UNION: self.union,
            ConcatVote.INTERSECTION: self.intersection,
        }
        return rules[rule](masks)

    def _folded(self, op_type: str, masks: Sequence[Mask]) -> Mask:
        total = masks[0]
        for mask in masks[1:]:
            height, width = max(total.height, mask.height), max(total.width, mask.width)
            value = self._op(
                op_type,
                total.value,
                mask.value,
                like=mask.value,
                shape=(self._batch, 1, height, width),
                name=f"mask_{op_type.lower()}",
            )
            total = Mask(value, height, width)
        return dataclasses.replace(total, border=_common_border(masks))

    def joined(self, masks: Sequence[Mask], axis: int) -> Mask:
        """The masks one behind the other, along the rows (axis 0) or columns (axis 1)."""
        return self._once(("joined", axis, *masks), lambda: self._join(masks, axis))

    def _join(self, masks: Sequence[Mask], axis: int) -> Mask:
        border: Cells = ~np.concatenate([mask.image for mask in masks], axis)
        value = self._op(
            "Concat",
            *(mask.value for mask in masks),
            like=masks[0].value,
            shape=(self._batch, 1, *border.shape),
            axis=axis + 2,
        )
        field = _joined_field([mask.field for mask in masks], axis)
        height, width = border.shape
        return Mask(value, height, width, field, border if border.any() else None)

    def view(self, mask: Mask, axes: Axes, dtype: ir.DataType) -> ir.Value:
        """The mask as it broadcasts against a tensor with these axes."""
        key = (mask, axes, dtype)
        if key not in self._views:
            self._views[key] = self._view(mask, axes, dtype)
        return self._views[key]

    def _view(self, mask: Mask, axes: Axes, dtype: ir.DataType) -> ir.Value:
        if axes == NCHW:
            return self._typed(mask, dtype)
        value = self.view(mask, NCHW, dtype)
        if axes.height is not None and axes.width is not None and axes.height > axes.width:
            turned = (self._batch, 1, mask.width, mask.height)
            value = self._op("Transpose", value, like=value, shape=turned, perm=[0, 1, 3, 2])
        sizes = axes.sizes(mask)
        dims = [sizes.get(axis, 1) for axis in range(1, axes.rank)]
        shape = (self._batch, *dims)
        return self._op("Reshape", value, self._op.integers(0, *dims), like=value, shape=shape)

    def _typed(self, mask: Mask, dtype: ir.DataType) -> ir.Value:
        if dtype == mask.value.dtype:
            return mask.value
        if dtype == ir.DataType.BOOL:
            half = self._op.scalar(0.5, mask.value.dtype)
            return self._op("Greater", mask.value, half, like=mask.value, dtype=dtype)
        return self._op("Cast", mask.value, like=mask.value, dtype=dtype, to=dtype.value)

    def share(self, mask: Mask) -> ir.Value:
        """The visible share of the map, [N, 1, 1, 1]."""
        key = (mask, "share")
        if key not in self._views:
            self._views[key] = self._mean(mask.value)
        return self._views[key]

    def guarded_share(self, mask: Mask, *, rows: bool, columns: bool) -> Mask:
        """The visible share plus 1e-8, along the axes named; laid out like a mask."""
        key = ("guarded share", mask, rows, columns)
        return self._once(key, lambda: self._guarded_share(mask, rows=rows, columns=columns))

    def _guarded_share(self, mask: Mask, *, rows: bool, columns: bool) -> Mask:
        kernel = (mask.height if rows else 1, mask.width if columns else 1)
        left = (mask.height // kernel[0], mask.width // kernel[1])
        share = self.share(mask) if left == (1, 1) else self._averaged(mask, kernel, left)
        guard = self._op.scalar(SHARE_GUARD, share.dtype)
        return Mask(self._op("Add", share, guard, like=share), *left)

    def _averaged(self, mask: Mask, kernel: tuple[int, int], left: tuple[int, int]) -> ir.Value:
        return self._op(
            "AveragePool",
            mask.value,
            like=mask.value,
            shape=(self._batch, 1, *left),
            name="mask_share",
            kernel_shape=kernel,
        )

    def reduced(self, mask: Mask, *, rows: bool, columns: bool) -> Mask:
        """Visible where any cell along the axes named is."""
        kernel = (mask.height if rows else 1, mask.width if columns else 1)
        left = (mask.height // kernel[0], mask.width // kernel[1])
        return self.slid(mask, PlaneWindow(kernel, (1, 1), (1, 1), (0, 0), mask.size, left))

    def coverage(self, mask: Mask) -> ir.Value:
        """The visible share of the cells that hold some part of the image, [N, 1, 1, 1]."""
        if mask.border is None:
            return self.share(mask)
        whole = self._mean(self._op.constant(mask.image[None, None], ir.DataType.FLOAT))
        seen = self._mean(self.of_image(mask))
        return self._op("Div", seen, whole, like=seen)

    def _mean(self, value: ir.Value) -> ir.Value:
        batch = self._batch if value.shape is None else value.shape[0]
        shape = (batch, 1, 1, 1)
        return self._op("GlobalAveragePool", value, like=value, shape=shape, name="mask_share")

    def _once(self, key: tuple[object, ...], make: Callable[[], Mask]) -> Mask:
        if key not in self._derived:
            self._derived[key] = self._shared(make())
        return self._derived[key]

    def _shared(self, mask: Mask) -> Mask:
        if mask.field is None:
            return mask
        return self._derived.setdefault(("field", *_bytes(mask.field)), mask)

    def _known(self, field: MaskField) -> Mask | None:
        return self._derived.get(("field", *_bytes(field)))


def _composed(outer: Incidence, inner: Incidence) -> Incidence:
    # Products of floats are fast, and counts of cells are exact in them.
    held: Incidence = (outer.astype(np.float32) @ inner.astype(np.float32)) > 0
    return held


def _is_identity(lines: Incidence) -> bool:
    return lines.shape[0] == lines.shape[1] and bool((lines == np.eye(len(lines))).all())


def _common_border(masks: Sequence[Mask]) -> Cells | None:
    """Cells that hold no part of the image in any of the masks."""
    border: Cells = ~np.logical_or.reduce(np.broadcast_arrays(*(mask.image for mask in masks)))
    return border if border.any() else None


def _joined_field(parts: Sequence[MaskField | None], axis: int) -> MaskField | None:
    """Blocks of maps one behind the other, if they agree on the other axis."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    across = [part.columns if axis == 0 else part.rows for part in known]
    along = np.concatenate([part.rows if axis == 0 else part.columns for part in known])
    if not all(np.array_equal(across[0], other) for other in across):
        return None
    return MaskField(along, across[0]) if axis == 0 else MaskField(across[0], along)


def _bytes(field: MaskField) -> tuple[object, ...]:
    return field.rows.shape, field.rows.tobytes(), field.columns.shape, field.columns.tobytes()


def _extreme(masks: Sequence[Mask], wins: Callable[[Mask, Mask], bool]) -> Mask | None:
    """The one mask that wins against all, if there is one."""
    return next((mask for mask in masks if all(wins(mask, other) for other in masks)), None)


def _chain(masks: Sequence[Mask]) -> list[Mask] | None:
    """The masks from most to least visible, if each is known to include the next."""
    ordered = sorted(masks, key=lambda mask: -_extent(mask))
    pairs = itertools.pairwise(ordered)
    return ordered if all(first.includes(second) for first, second in pairs) else None


def _extent(mask: Mask) -> int:
    return 0 if mask.field is None else int(mask.field.rows.sum() + mask.field.columns.sum())
