"""Maps of generators that know the protocols of MAITE, such as those of XAITK-saliency."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from heatproof.client.adapters.classifiers import Attribution, PixelClassifier, explained_by
from heatproof.client.documents.reading.tensors import as_array
from heatproof.client.documents.results.inputs import ModelInputs
from heatproof.client.errors import UsageError


class MaiteClassifier:
    """A module with its preprocessing as a `maite.protocols.image_classification.Model`.

    Args:
        classifier: gives logits.

    Attributes:
        metadata: names the class of the module.
    """

    def __init__(self, classifier: PixelClassifier) -> None:
        self._classifier = classifier
        self.metadata: Final[Mapping[str, str]] = {"id": type(classifier.module).__name__}

    def __call__(self, batch: Sequence[Any]) -> list[NDArray[np.float32]]:
        """Softmax probabilities [classes] of images [3, height, width], RGB in [0, 1]."""
        images: NDArray[np.float32] = np.stack([as_array(one) for one in batch]).astype(np.float32)
        with torch.no_grad():
            logits = self._classifier(torch.from_numpy(images).to(self._classifier.mean))
        return list(torch.softmax(logits, dim=1).float().cpu().numpy())


Generator: TypeAlias = Callable[[MaiteClassifier, NDArray[np.float32]], Any]
"""Takes a model of MAITE and an image [3, height, width], gives maps [classes, height, width]."""


def maite_maps(
    module: torch.nn.Module, generate: Generator, inputs: ModelInputs
) -> list[NDArray[np.float32]]:
    """Maps by a generator that asks a model of MAITE about changed images.

    Args:
        module: gives logits [N, classes].
        generate: makes the maps of all classes for an image, RGB in [0, 1].
        inputs: what is explained, from `Client.model_inputs`.

    Returns:
        Of each image float32 [height, width], for `maps` of `evaluate`.

    Raises:
        UsageError: the generator gives no map for each class, or an image has no single class that
            is explained.
    """

    def attribution_of(classifier: PixelClassifier) -> Attribution:
        model = MaiteClassifier(classifier)

        def attribute(batch: torch.Tensor, target: int) -> torch.Tensor:
            found = as_array(generate(model, batch[0].float().cpu().numpy()))
            if found.ndim != 3 or target >= len(found):  # axes: classes, height, width
                raise UsageError(
                    f"a generator gives maps [classes, height, width] with a map of class {target},"
                    f" not {list(found.shape)}"
                )
            return torch.from_numpy(np.ascontiguousarray(found[target]))

        return attribute

    return explained_by(module, inputs, attribution_of)
