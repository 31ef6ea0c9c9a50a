"""Which passes a model can run beyond the plain one, found once and when first asked."""

from collections.abc import Callable, Hashable

import onnx_ir as ir

from heatproof.evaluators.errors import FailedPreconditionError, HeatproofError
from heatproof.evaluators.queries.passes import Capability, ModelPass
from heatproof.evaluators.queries.predictor import Shortfall
from heatproof.graphs.gating import gated
from heatproof.graphs.gradients import gradient_blockers
from heatproof.graphs.masking import masking_blockers
from heatproof.graphs.nodes.blockers import Blocker
from heatproof.graphs.randomization import randomized
from heatproof.graphs.tapping import tapped


class Capabilities:
    """Answers whether a model can run a pass; each question is tried once."""

    def __init__(self, model: ir.Model, logits: str) -> None:
        self._model = model
        self._logits = logits
        self._known: dict[Hashable, Shortfall | None] = {}
        self._finders: dict[Capability, Callable[[ModelPass], Shortfall | None]] = {
            Capability.LAYER_MASKING: self._masking,
            Capability.GRADIENTS: self._gradients,
            Capability.ACTIVATION_GRADIENTS: self._activation_gradients,
            Capability.RECTIFIED_GRADIENTS: self._rectified_gradients,
            Capability.FEATURES: self._features,
            Capability.RANDOMIZATION: self._randomization,
            Capability.CHANNEL_GATES: self._channel_gates,
        }

    def supports(self, run: ModelPass) -> Shortfall | None:
        """None for a pass that the model can run, else the first thing that it lacks."""
        found = (self._finders[capability](run) for capability in run.capabilities)
        return next((shortfall for shortfall in found if shortfall is not None), None)

    def _masking(self, run: ModelPass) -> Shortfall | None:  # noqa: ARG002  # the same for all modes
        capability = Capability.LAYER_MASKING
        return self._blocked(capability, lambda: masking_blockers(self._model))

    def _gradients(self, run: ModelPass) -> Shortfall | None:  # noqa: ARG002  # by the image
        capability = Capability.GRADIENTS
        return self._blocked(capability, lambda: gradient_blockers(self._model, of=self._logits))

    def _activation_gradients(self, run: ModelPass) -> Shortfall | None:
        """A gradient by the image passes all that lies behind a tensor, and is asked first."""
        if self._gradients(run) is None:
            return None
        return self._blocked(
            Capability.ACTIVATION_GRADIENTS,
            lambda: gradient_blockers(self._model, of=self._logits, wrt=run.wrt),
            run.wrt,
        )

    def _rectified_gradients(self, run: ModelPass) -> Shortfall | None:
        """All rules for rectifiers act on the same nodes."""
        return self._blocked(
            Capability.RECTIFIED_GRADIENTS,
            lambda: gradient_blockers(
                self._model, of=self._logits, wrt=run.wrt or None, rules=run.rules
            ),
            run.wrt,
        )

    def _features(self, run: ModelPass) -> Shortfall | None:
        return self._tried(Capability.FEATURES, run.taps, lambda: tapped(self._model, run.taps))

    def _randomization(self, run: ModelPass) -> Shortfall | None:
        layers = run.weights.layers
        return self._tried(
            Capability.RANDOMIZATION, layers, lambda: randomized(self._model, layers, 0)
        )

    def _channel_gates(self, run: ModelPass) -> Shortfall | None:
        tensor = run.gate or ""
        return self._tried(Capability.CHANNEL_GATES, (tensor,), lambda: gated(self._model, tensor))

    def _blocked(
        self,
        capability: Capability,
        find: Callable[[], tuple[Blocker, ...]],
        tensor: str | None = None,
    ) -> Shortfall | None:
        question = capability, tensor
        if question not in self._known:
            self._known[question] = _shortfall(capability, find)
        return self._known[question]

    def _tried(
        self, capability: Capability, names: tuple[str, ...], rewrite: Callable[[], ir.Model]
    ) -> Shortfall | None:
        question = capability, names
        if question not in self._known:
            self._known[question] = _refusal(capability, rewrite)
        return self._known[question]


def _shortfall(capability: Capability, find: Callable[[], tuple[Blocker, ...]]) -> Shortfall | None:
    try:
        blockers = find()
    except FailedPreconditionError as error:
        return Shortfall(capability, error.message)
    if not blockers:
        return None
    first = blockers[0]
    others = f" (and {len(blockers) - 1} more nodes)" if len(blockers) > 1 else ""
    return Shortfall(capability, f"node {first.node!r}, {first.operator}: {first.reason}{others}")


def _refusal(capability: Capability, rewrite: Callable[[], ir.Model]) -> Shortfall | None:
    try:
        rewrite()
    except HeatproofError as error:
        return Shortfall(capability, error.message)
    return None
