"""Maps of pytorch-grad-cam."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from heatproof.client.adapters.classifiers import Attribution, PixelClassifier, explained_by
from heatproof.client.documents.results.inputs import ModelInputs

PytorchCam: TypeAlias = AbstractContextManager[Callable[..., NDArray[Any]]]
"""A class activation map of pytorch-grad-cam, which holds hooks until it is left."""


def grad_cam_maps(
    module: torch.nn.Module,
    method: Callable[..., PytorchCam],
    inputs: ModelInputs,
    target_layers: Sequence[torch.nn.Module],
    /,
    **arguments: Any,  # noqa: ANN401  # those of the method
) -> list[NDArray[np.float32]]:
    """Maps by a class of `pytorch_grad_cam`, which scales each to [0, 1].

    `GradCAM` orders pixels as Heatproof's `grad_cam` does at the same layer.

    Args:
        module: gives logits [N, classes].
        method: a class such as `GradCAM`.
        inputs: what is explained, from `Client.model_inputs`.
        target_layers: layers of the module.
        **arguments: further ones of the class.

    Returns:
        Of each image float32 [height, width], for `maps` of `evaluate`.

    Raises:
        UsageError: an image has no single class that is explained.
    """

    def attribution_of(classifier: PixelClassifier) -> Attribution:
        def attribute(batch: torch.Tensor, target: int) -> torch.Tensor:
            layers = list(target_layers)
            with method(model=classifier, target_layers=layers, **arguments) as cam:
                found = cam(input_tensor=batch, targets=[lambda output: output[..., target]])
            return torch.from_numpy(found[0])

        return attribute

    return explained_by(module, inputs, attribution_of)
