"""Baselines: what is left of an image when a pixel operator has removed everything."""

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.removal import RemovalOperator


def check_baseline(baseline: RemovalOperator) -> None:
    """Refuses a baseline that does not live in pixel space.

    Raises:
        InvalidArgumentError: at `baseline`.
    """
    if baseline.masking is not None:
        raise InvalidArgumentError(
            f"{baseline.name} hides nothing in pixel space, so it gives no baseline: "
            "choose a pixel operator such as black",
            field="baseline",
        )


def baseline_of(sample: Sample, baseline: RemovalOperator) -> Image:
    """The image with all of its pixels removed."""
    hidden = np.zeros((sample.height, sample.width), np.bool_)
    return baseline.bind(sample.removal_view(baseline))(hidden)
