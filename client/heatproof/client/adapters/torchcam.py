"""Maps of torch-cam."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from heatproof.client.adapters.classifiers import Attribution, PixelClassifier, explained_by
from heatproof.client.documents.results.inputs import ModelInputs

TorchCam: TypeAlias = AbstractContextManager[Callable[..., list[torch.Tensor]]]
"""A class activation map of torch-cam, which holds hooks until it is left."""


def torchcam_maps(
    module: torch.nn.Module,
    method: Callable[..., TorchCam],
    inputs: ModelInputs,
    target_layer: torch.nn.Module,
    /,
    **arguments: Any,  # noqa: ANN401  # those of the method
) -> list[NDArray[np.float32]]:
    """Maps by a class of `torchcam.methods`, not scaled, stretched over the image.

    `GradCAM` is Heatproof's `grad_cam` at the same layer.

    Args:
        module: gives logits [N, classes].
        method: a class such as `GradCAM`.
        inputs: what is explained, from `Client.model_inputs`.
        target_layer: a layer of the module.
        **arguments: further ones of the class.

    Returns:
        Of each image float32 [height, width], for `maps` of `evaluate`.

    Raises:
        UsageError: an image has no single class that is explained.
    """

    def attribution_of(classifier: PixelClassifier) -> Attribution:
        def attribute(batch: torch.Tensor, target: int) -> torch.Tensor:
            shape = tuple(batch.shape[1:])
            with method(classifier, target_layer, input_shape=shape, **arguments) as cam:
                scores = classifier(batch)
                (coarse,) = cam(target, scores, normalized=False)
            return coarse[0]

        return attribute

    return explained_by(module, inputs, attribution_of)
