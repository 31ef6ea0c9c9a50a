"""The masks of one rewrite: each geometry once, shared by every layer and channel."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.emission import Attribute, Dim, Emitter
from heatproof.graphs.masking.options import ConcatVote
from heatproof.graphs.masking.states import NCHW, Axes, Mask, Reach
from heatproof.graphs.masking.windows import Window

SHARE_GUARD = 1e-8
"""Added to the visible share of a map before its mean is divided by it; as in the paper."""


class Pyramid:
    """Derives masks from masks; equal derivations give the same mask."""

    def __init__(self, emit: Emitter, batch: Dim) -> None:
        self._emit = emit
        self._batch = batch
        self._derived: dict[tuple[object, ...], Mask] = {}
        self._views: dict[tuple[object, ...], ir.Value] = {}

    def source(
        self, visibility: ir.Value, height: int, width: int, threshold: float | None
    ) -> Mask:
        """The image's own mask; what is not above the threshold, or one half, is hidden."""
        visible = self._emit.node(
            "Greater",
            visibility,
            self._emit.scalar(0.5 if threshold is None else threshold, ir.DataType.FLOAT),
            like=visibility,
            dtype=ir.DataType.BOOL,
            name="mask_visible",
        )
        reach = Reach(np.eye(height, dtype=bool), np.eye(width, dtype=bool))
        value = self._emit.node(
            "Cast",
            visible,
            like=visibility,
            name="mask_binary",
            attributes={"to": ir.DataType.FLOAT.value},
        )
        mask = Mask(value, height, width, reach)
        self._views[mask, NCHW, ir.DataType.BOOL] = visible
        return self._shared(mask)

    def slid(self, mask: Mask, window: Window) -> Mask:
        """The window rule: visible where the window holds a visible cell, or no cell at all."""
        if window.keeps_cells:
            return mask
        return self._once(("slid", mask, window), lambda: self._slide(mask, window))

    def _slide(self, mask: Mask, window: Window) -> Mask:
        reach = mask.reach and Reach(
            _composed(window.incidence(0), mask.reach.rows),
            _composed(window.incidence(1), mask.reach.columns),
        )
        empty = window.counts() == 0
        if empty.any():
            reach = None  # such windows are visible without any cell of the image
        known = reach and self._known(reach)
        if known:
            return known
        value = self._holds_visible(mask, window)
        if empty.any():
            border = self._emit.constant(empty[None, None], ir.DataType.FLOAT)
            value = self._emit.node("Max", value, border, like=value)
        return Mask(value, *window.target, reach)

    def _holds_visible(self, mask: Mask, window: Window) -> ir.Value:
        shape = (self._batch, 1, *window.target)
        geometry: dict[str, Attribute] = {
            "kernel_shape": window.kernel,
            "strides": window.strides,
            "pads": window.pads,
        }
        if not window.has_wide_padding and window.dilations == (1, 1):
            pooled = self._emit.node(
                "MaxPool",
                mask.value,
                like=mask.value,
                shape=shape,
                name="mask_pooled",
                attributes=geometry,
            )
            # An empty window gives the lowest number.
            return self._bounded(pooled, "Max", 0.0) if not window.counts().all() else pooled
        ones = self._emit.constant(np.ones((1, 1, *window.kernel), np.float32))
        count = self._emit.node(
            "Conv",
            mask.value,
            ones,
            like=mask.value,
            shape=shape,
            name="mask_counted",
            attributes=geometry | {"dilations": window.dilations},
        )
        return self._bounded(count, "Min", 1.0)

    def _bounded(self, value: ir.Value, op_type: str, bound: float) -> ir.Value:
        return self._emit.node(op_type, value, self._emit.scalar(bound, value.dtype), like=value)

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
        half = self._emit.scalar(len(masks) / 2, votes.dtype)
        elected = self._emit.node("Greater", votes, half, like=votes, dtype=ir.DataType.BOOL)
        value = self._emit.node(
            "Cast", elected, like=votes, attributes={"to": ir.DataType.FLOAT.value}
        )
        return Mask(value, *masks[0].size)

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
            value = self._emit.node(
                op_type,
                total.value,
                mask.value,
                like=mask.value,
                shape=(self._batch, 1, height, width),
                name=f"mask_{op_type.lower()}",
            )
            total = Mask(value, height, width)
        return total

    def mapped(self, mask: Mask, key: object, derive: Callable[[ir.Value], Mask]) -> Mask:
        """A mask derived from the value of another by some other operator; `key` names which."""
        return self._once((key, mask), lambda: derive(mask.value))

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
            value = self._emit.node(
                "Transpose", value, like=value, shape=turned, attributes={"perm": [0, 1, 3, 2]}
            )
        sizes = axes.sizes(mask)
        dims = [sizes.get(axis, 1) for axis in range(1, axes.rank)]
        shape = (self._batch, *dims)
        return self._emit.node(
            "Reshape", value, self._emit.integers(0, *dims), like=value, shape=shape
        )

    def _typed(self, mask: Mask, dtype: ir.DataType) -> ir.Value:
        if dtype == mask.value.dtype:
            return mask.value
        if dtype == ir.DataType.BOOL:
            half = self._emit.scalar(0.5, mask.value.dtype)
            return self._emit.node("Greater", mask.value, half, like=mask.value, dtype=dtype)
        return self._emit.node(
            "Cast", mask.value, like=mask.value, dtype=dtype, attributes={"to": dtype.value}
        )

    def share(self, mask: Mask) -> ir.Value:
        """The visible share of the map, [N, 1, 1, 1]."""
        key = (mask, "share")
        if key not in self._views:
            shape = (self._batch, 1, 1, 1)
            self._views[key] = self._emit.node(
                "GlobalAveragePool", mask.value, like=mask.value, shape=shape, name="mask_share"
            )
        return self._views[key]

    def guarded_share(self, mask: Mask, *, rows: bool, columns: bool) -> Mask:
        """The visible share plus 1e-8, along the axes named; laid out like a mask."""
        key = ("guarded share", mask, rows, columns)
        return self._once(key, lambda: self._guarded_share(mask, rows=rows, columns=columns))

    def _guarded_share(self, mask: Mask, *, rows: bool, columns: bool) -> Mask:
        kernel = (mask.height if rows else 1, mask.width if columns else 1)
        left = (mask.height // kernel[0], mask.width // kernel[1])
        share = self.share(mask) if left == (1, 1) else self._averaged(mask, kernel, left)
        guard = self._emit.scalar(SHARE_GUARD, share.dtype)
        return Mask(self._emit.node("Add", share, guard, like=share), *left)

    def _averaged(self, mask: Mask, kernel: tuple[int, int], left: tuple[int, int]) -> ir.Value:
        return self._emit.node(
            "AveragePool",
            mask.value,
            like=mask.value,
            shape=(self._batch, 1, *left),
            name="mask_share",
            attributes={"kernel_shape": kernel},
        )

    def reduced(self, mask: Mask, *, rows: bool, columns: bool) -> Mask:
        """Visible where any cell along the axes named is."""
        kernel = (mask.height if rows else 1, mask.width if columns else 1)
        left = (mask.height // kernel[0], mask.width // kernel[1])
        return self.slid(mask, Window(kernel, (1, 1), (1, 1), (0, 0), mask.size, left))

    def _once(self, key: tuple[object, ...], make: Callable[[], Mask]) -> Mask:
        if key not in self._derived:
            self._derived[key] = self._shared(make())
        return self._derived[key]

    def _shared(self, mask: Mask) -> Mask:
        if mask.reach is None:
            return mask
        return self._derived.setdefault(("reach", *_bytes(mask.reach)), mask)

    def _known(self, reach: Reach) -> Mask | None:
        return self._derived.get(("reach", *_bytes(reach)))


def _composed(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    return (outer.astype(np.int32) @ inner.astype(np.int32)) > 0


def _bytes(reach: Reach) -> tuple[object, ...]:
    return reach.rows.shape, reach.rows.tobytes(), reach.columns.shape, reach.columns.tobytes()


def _extreme(masks: Sequence[Mask], wins: Callable[[Mask, Mask], bool]) -> Mask | None:
    """The one mask that wins against all, if there is one."""
    return next((mask for mask in masks if all(wins(mask, other) for other in masks)), None)


def _chain(masks: Sequence[Mask]) -> list[Mask] | None:
    """The masks from most to least visible, if each is known to include the next."""
    ordered = sorted(masks, key=lambda mask: -_extent(mask))
    pairs = itertools.pairwise(ordered)
    return ordered if all(first.includes(second) for first, second in pairs) else None


def _extent(mask: Mask) -> int:
    return 0 if mask.reach is None else int(mask.reach.rows.sum() + mask.reach.columns.sum())
