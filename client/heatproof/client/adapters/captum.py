"""Maps of Captum."""

from collections.abc import Callable
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from heatproof.client.adapters.classifiers import Attribution, PixelClassifier, explained_by
from heatproof.client.documents.results.inputs import ModelInputs
from heatproof.client.errors import UsageError

Channels: TypeAlias = Literal["sum", "largest"]

REDUCTIONS: Final[dict[str, Callable[[torch.Tensor], torch.Tensor]]] = {
    "sum": lambda values: values.sum(dim=0),
    "largest": lambda values: values.abs().amax(dim=0),
}
"""How a map of channels becomes one of pixels."""


class AttributionMethod(Protocol):
    """A method of Captum, made of a model."""

    def attribute(self, inputs: torch.Tensor, *, target: int, **arguments: Any) -> Any:  # noqa: ANN401  # Captum's signature
        """Attributions of a batch."""
        ...


def captum_maps(
    module: torch.nn.Module,
    method: Callable[[PixelClassifier], AttributionMethod],
    inputs: ModelInputs,
    /,
    *,
    channels: Channels = "sum",
    **arguments: Any,  # noqa: ANN401  # those of the method
) -> list[NDArray[np.float32]]:
    """Maps by a method of `captum.attr`, in pixel space: baselines are RGB in [0, 1].

    `Saliency` with `channels="largest"`, and `IntegratedGradients` with `n_steps=32` and
    `method="riemann_middle"`, are Heatproof's `saliency` and `integrated_gradients`.

    Args:
        module: gives logits [N, classes].
        method: makes a method of a model, such as `IntegratedGradients`, or
            `lambda model: NoiseTunnel(Saliency(model))`.
        inputs: what is explained, from `Client.model_inputs`.
        channels: what becomes of a map's channels: their `sum`, or the `largest` absolute value.
        **arguments: those of the method's `attribute`.

    Returns:
        Of each image float32 [height, width], for `maps` of `evaluate`.

    Raises:
        UsageError: unknown channels, or an image has no single class that is explained.
    """
    if channels not in REDUCTIONS:
        raise UsageError(f"unknown channels {channels!r}; known: {', '.join(REDUCTIONS)}")

    def attribution_of(classifier: PixelClassifier) -> Attribution:
        made = method(classifier)

        def attribute(batch: torch.Tensor, target: int) -> torch.Tensor:
            found: torch.Tensor = made.attribute(batch, target=target, **arguments)
            return REDUCTIONS[channels](found[0])

        return attribute

    return explained_by(module, inputs, attribution_of)
