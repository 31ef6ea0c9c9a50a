"""Checks by running it that a model whose batch was freed keeps the rows of a batch apart."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import SessionSettings, open_session

_TOLERANCE = 1e-4
_HALF_TOLERANCE = 1e-2
"""Relative to the largest logit: kernels differ by batch size; float16 has three digits."""


def check_rows(model: ir.Model) -> None:
    """Compares a black image and noise in one batch with each of them alone.

    Args:
        model: one float32 image input of static size but for the batch, one output.

    Raises:
        UnsupportedModelError: the answer for a row depends on its neighbours, or the model does
            not run on two rows.
    """
    image, output = model.graph.inputs[0], model.graph.outputs[0]
    shape = [size for size in image.shape or () if isinstance(size, int)]
    noise = np.random.default_rng(0).random((2, *shape), np.float32)
    noise[0] = 0
    session = open_session(model, SessionSettings())
    names, cancellation = (output.name or "",), Cancellation()

    def answers(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return session.run({image.name or "": rows}, names, cancellation)[0]

    alone = np.concatenate([answers(noise[:1]), answers(noise[1:])])
    together = answers(noise)
    half = any(value.dtype == ir.DataType.FLOAT16 for node in model.graph for value in node.outputs)
    tolerance = (_HALF_TOLERANCE if half else _TOLERANCE) * np.max(np.abs(alone), initial=1e-6)
    if together.shape != alone.shape or not np.all(np.abs(together - alone) <= tolerance):
        raise UnsupportedModelError(
            "the model is exported for one batch size only: with another one, the answer for an "
            "image depends on its neighbours; export it with a dynamic batch dimension"
        )
