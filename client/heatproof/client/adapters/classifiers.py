"""A module of torch as Heatproof sees it: from pixels to logits."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from heatproof.client.documents.results.inputs import ModelInputs
from heatproof.client.errors import UsageError
from heatproof.client.export import evaluating
from heatproof.v1.preprocessing_pb2 import Preprocessing


class PixelClassifier(torch.nn.Module):
    """Reads RGB in [0, 1] and puts scale, mean and standard deviation before a module.

    So other libraries differentiate and mask in pixel space, as Heatproof's explainers do.

    Args:
        module: reads images that are preprocessed, gives logits [N, classes].
        preprocessing: with all of its values, as `ModelInputs` has it.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, module: torch.nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.module = module
        self.scale = preprocessing.scale
        self.is_bgr = preprocessing.channel_order == Preprocessing.CHANNEL_ORDER_BGR
        self.is_nhwc = preprocessing.layout == Preprocessing.LAYOUT_NHWC
        weights = (one for one in module.parameters() if one.is_floating_point())
        like = next(weights, torch.zeros(()))
        for name in ("mean", "std"):
            values = torch.tensor(list(getattr(preprocessing, name))).to(like)
            self.register_buffer(name, values[:, None, None])

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits [N, classes] of pixels [N, 3, height, width]."""
        seen = pixels.flip(1) if self.is_bgr else pixels
        seen = (self.scale * seen - self.mean) / self.std
        logits: torch.Tensor = self.module(seen.permute(0, 2, 3, 1) if self.is_nhwc else seen)
        return logits

    def batch(self, pixels: NDArray[np.float32]) -> torch.Tensor:
        """A batch of one image, where the weights are and of their type."""
        return torch.from_numpy(pixels[None].copy()).to(self.mean)


Attribution = Callable[[torch.Tensor, int], torch.Tensor]
"""Explains a batch of one image and a class: [height, width] or [channels, height, width]; a map
that is smaller than the image is stretched over it."""


def explained_by(
    module: torch.nn.Module,
    inputs: ModelInputs,
    attribution_of: Callable[[PixelClassifier], Attribution],
) -> list[NDArray[np.float32]]:
    """The maps of all images, in evaluation mode; all modules are left in the mode they had.

    Args:
        module: gives logits [N, classes].
        inputs: what is explained.
        attribution_of: makes what explains of the module with its preprocessing.

    Returns:
        Of each image float32 [height, width] or [channels, height, width], for `maps`.

    Raises:
        UsageError: an image has no single class, or what explains gives no map.
    """
    with evaluating(module):
        classifier = PixelClassifier(module, inputs.preprocessing).eval()
        attribute = attribution_of(classifier)
        return [
            _over_input(attribute(classifier.batch(pixels), target), pixels)
            for pixels, target in inputs.explained()
        ]


def _over_input(values: torch.Tensor, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map in the input frame; half-pixel centres, as Heatproof stretches its own."""
    size = pixels.shape[1:]
    if values.ndim not in {2, 3}:  # axes, without or with channels
        raise UsageError(
            f"a map is [height, width] or [channels, height, width], not {list(values.shape)}"
        )
    held = values.detach().float().cpu()
    if held.shape[-2:] != size:
        planes = held.reshape(1, -1, *held.shape[-2:])
        stretched = interpolate(planes, size, mode="bilinear", align_corners=False)
        held = stretched[0].reshape(*held.shape[:-2], *size)
    found: NDArray[np.float32] = held.numpy()
    return found
