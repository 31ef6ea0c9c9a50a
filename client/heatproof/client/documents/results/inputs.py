"""Images as a model reads them, for other libraries to explain."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heatproof.client.errors import UsageError
from heatproof.v1.preprocessing_pb2 import Preprocessing


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """The very pixels that the server gives a model, and the classes that it explains.

    Attributes:
        names: names of the images, in their order.
        pixels: of each image float32 [3, height, width], RGB in [0, 1], resized and cropped; scale,
            mean and standard deviation are not applied.
        classes: the class of each image that is explained; -1 where the target is more than one.
        preprocessing: how the images became the model's input, with all of its values.
    """

    names: tuple[str, ...]
    pixels: tuple[NDArray[np.float32], ...]
    classes: tuple[int, ...]
    preprocessing: Preprocessing

    def explained(self) -> Iterator[tuple[NDArray[np.float32], int]]:
        """The pixels and the class of each image.

        Raises:
            UsageError: an image has no single class that is explained.
        """
        for name, pixels, target in zip(self.names, self.pixels, self.classes, strict=True):
            if target < 0:
                raise UsageError(
                    f"the target of {name!r} is more than one class: these libraries explain one, "
                    "such as target='predicted' or target='label'"
                )
            yield pixels, target
