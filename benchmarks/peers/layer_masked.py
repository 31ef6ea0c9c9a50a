"""Layer masking as published (Balasubramanian and Feizi 2022, arXiv 2211.14646), read for torch.

Every tensor of an image goes with a mask of its visible cells, and every layer applies it as the
paper has it: neighbours fill the hidden cells before a convolution, one round for each cell of the
kernel's width; masks multiply what activations, pools and additions give; a mean over all places
counts the visible ones.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from benchmarks.peers.replayed import RULES, Operands, Replayed, batch_norm, convolved

_FILL_EPSILON = 1e-5
_MEAN_EPSILON = 1e-8
_POINTWISE = frozenset({"Clip", "Relu", "Sigmoid"})


class Seen(NamedTuple):
    """A tensor and its mask.

    Attributes:
        values: [N, channels, height, width].
        mask: [N, 1, height, width], 1 where a cell is visible; None where there are no places.
    """

    values: torch.Tensor
    mask: torch.Tensor | None


class LayerMasked(Replayed):
    """A network that sees what masks leave of images."""

    def masked(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Logits of images in [0, 1] under masks [N, 1, height, width]."""
        self._masks = masks
        found: torch.Tensor = self(images).values
        return found

    def entered(self, images: torch.Tensor) -> Seen:
        """The input with its mask."""
        return Seen(super().entered(images), self._masks)

    def step(self, op: str, operands: Operands, attributes: Mapping[str, Any]) -> Seen:
        """The output of a node with its mask."""
        values = [one.values if isinstance(one, Seen) else one for one in operands]
        masks = [one.mask for one in operands if isinstance(one, Seen) and one.mask is not None]
        if not masks:
            return Seen(RULES[op](values, attributes), None)
        mask = masks[0]
        if op == "Conv":
            return _convolved(Seen(values[0], mask), values[1:], attributes)
        if op in _POINTWISE:
            values[0] = values[0] * mask
        elif op == "MaxPool":
            values[0] = values[0] * mask
            return _under(RULES[op](values, attributes), RULES[op]([mask], attributes))
        elif op in {"GlobalAveragePool", "ReduceMean"}:
            mean = (values[0] * mask).mean(dim=(2, 3), keepdim=True)
            return Seen(mean / (mask.mean(dim=(2, 3), keepdim=True) + _MEAN_EPSILON), None)
        elif len(masks) > 1:
            mask = mask * masks[1]
        return _under(RULES[op](values, attributes), mask)


def _convolved(seen: Seen, weights: Operands, attributes: Mapping[str, Any]) -> Seen:
    """A convolution of the filled tensor, and its batch norm."""
    weight, bias = weights
    x = filled(seen.values, seen.mask, rounds=weight.shape[3])
    mask = _window(seen.mask, weight, attributes)
    held = _under(convolved((x, weight), attributes), mask)
    return _under(batch_norm(held.values * mask, bias), mask)


def _under(values: torch.Tensor, mask: torch.Tensor) -> Seen:
    return Seen(values * mask, mask)


def _window(
    mask: torch.Tensor, weight: torch.Tensor, attributes: Mapping[str, Any]
) -> torch.Tensor:
    """Visible where a window of the convolution holds a visible cell."""
    kernel = list(weight.shape[2:])
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    edged = functional.pad(mask, (left, right, top, bottom))
    return functional.max_pool2d(edged, kernel, attributes.get("strides", [1, 1]))


def filled(values: torch.Tensor, mask: torch.Tensor, rounds: int) -> torch.Tensor:
    """Hidden cells take the mean of their visible neighbours, ring by ring."""
    values = values * mask
    for _ in range(rounds):
        sums = 9 * functional.avg_pool2d(values, 3, 1, 1)
        counts = 9 * functional.avg_pool2d(mask, 3, 1, 1)
        values = values + (1 - mask) * sums / (counts + _FILL_EPSILON)
        mask = torch.clamp(mask + counts, 0, 1)
    return values
