"""What a model can do beyond plain answers, found once and when first asked."""

from collections.abc import Callable
from functools import cached_property

import onnx_ir as ir

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.evaluators.queries.predictor import Shortfall
from heatproof.graphs.gradients import gradient_blockers
from heatproof.graphs.masking import masking_blockers
from heatproof.graphs.nodes.blockers import Blocker


class Capabilities:
    """Whether layer masking and gradients cover a model; each is tried once."""

    def __init__(self, model: ir.Model, logits: str, cam_tensor: str) -> None:
        self._model = model
        self._logits = logits
        self._cam_tensor = cam_tensor

    @cached_property
    def layer_masking(self) -> Shortfall | None:
        """None if regions can be hidden inside the network, else why not."""
        return _shortfall("layer_masking", lambda: masking_blockers(self._model))

    @cached_property
    def gradients(self) -> Shortfall | None:
        """None if gradients by the image can be had, else why not."""
        return _shortfall("gradients", self._gradient_blockers)

    @cached_property
    def activation_gradients(self) -> Shortfall | None:
        """None if gradients by the tensor of class activation maps can be had, else why not."""
        if not self.gradients or not self._cam_tensor:
            return self.gradients
        return _shortfall("activation_gradients", lambda: self._gradient_blockers(self._cam_tensor))

    def _gradient_blockers(self, wrt: str | None = None) -> tuple[Blocker, ...]:
        return gradient_blockers(self._model, of=self._logits, wrt=wrt)


def _shortfall(capability: str, find: Callable[[], tuple[Blocker, ...]]) -> Shortfall | None:
    try:
        blockers = find()
    except FailedPreconditionError as error:
        return Shortfall(capability, error.message)
    if not blockers:
        return None
    first = blockers[0]
    others = f" (and {len(blockers) - 1} more nodes)" if len(blockers) > 1 else ""
    return Shortfall(capability, f"node {first.node!r}, {first.operator}: {first.reason}{others}")
