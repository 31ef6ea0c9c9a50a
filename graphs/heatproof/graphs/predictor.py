"""The predictor of the science, over ONNX Runtime."""

import hashlib
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.evaluators.images.arrays import Images, Logits, Masks
from heatproof.evaluators.queries.class_outputs import ClassOutput, Reading
from heatproof.evaluators.queries.model_warnings import Doubt, ModelWarning
from heatproof.evaluators.queries.predictor import Gradients, MaskedLogits, PredictorFacts
from heatproof.graphs.canonical.model import CanonicalModel
from heatproof.graphs.files.notes import Note, notes_of
from heatproof.graphs.gradients import (
    INPUT_GRADIENT,
    OUTPUT_GRADIENT,
    differentiated,
)
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from heatproof.graphs.masking.rewriting import COVERAGE_OUTPUT, MASK_INPUT
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import Session, SessionCache
from heatproof.graphs.tapping import tapped

SMALLEST_BATCH = 2
"""Rows of a batch are independent of their neighbours from this size on, not always at 1."""


class OrtPredictor:
    """Runs a canonical model and its rewritten forms, each in a session of its own.

    Rewrites and sessions are made when first needed and kept by the cache, under a key that holds
    the model, its preprocessing and the batch size. Implements
    `heatproof.evaluators.queries.predictor.Predictor`.

    Attributes:
        key: what the keys of its sessions begin with.
    """

    def __init__(
        self,
        canonical: CanonicalModel,
        sessions: SessionCache,
        *,
        model: str,
        batch_size: int,
        cancellation: Cancellation,
    ) -> None:
        if batch_size < SMALLEST_BATCH:
            message = f"batch_size must be at least {SMALLEST_BATCH}, not {batch_size}"
            raise ValueError(message)
        self._canonical = canonical
        self._sessions = sessions
        self._model = model
        self._batch_size = batch_size
        self._cancellation = cancellation
        output = canonical.output
        read = (output.name, output.logits, output.activation)
        identity = f"{model}|{canonical.preprocessing}|{batch_size}|{read}"
        self.key = hashlib.sha256(identity.encode()).hexdigest()

    @property
    def facts(self) -> PredictorFacts:
        """What the model is and can do."""
        canonical = self._canonical
        return PredictorFacts(
            model=self._model,
            height=canonical.height,
            width=canonical.width,
            classes=canonical.classes,
            probabilities="sigmoid" if canonical.are_independent else "softmax",
            batch_size=self._batch_size,
            cam_tensor=canonical.cam_tensor,
            layer_masking=canonical.capabilities.layer_masking,
            gradients=canonical.capabilities.gradients,
            activation_gradients=canonical.capabilities.activation_gradients,
            tensors=canonical.tensors,
            reading=self._reading(),
            warnings=tuple(self._warning(note) for note in notes_of(canonical.model)),
        )

    def _warning(self, note: Note) -> ModelWarning:
        reason = Doubt.MODEL_CHANGED if note.changes_answers else Doubt.MODEL_FORM
        return ModelWarning(reason, self._model, note.text)

    def _reading(self) -> Reading:
        found = self._canonical.output
        output = ClassOutput(
            model=self._model,
            output=found.name,
            logits=found.logits,
            classes=self._canonical.classes,
            activation=found.activation,
            is_binary=found.is_binary,
            basis=found.basis,
            decision=found.decision,
        )
        return Reading(output, found.tolerance, found.is_linear)

    def logits(self, images: Images) -> Logits:
        """Runs the plain model.

        Raises:
            CancelledError: the work was cancelled.
        """
        session = self._session("plain", lambda: self._canonical.model)
        return self._run(session, self._image_feed(images), self._canonical.logits)[0]

    def masked_logits(self, images: Images, masks: Masks, mode: str) -> MaskedLogits:
        """Runs the layer-masked model; `mode` is `reference` or `strict`.

        Raises:
            UnsupportedOperatorError: the model has a node without a masking rule.
            CancelledError: the work was cancelled.
        """
        session = self._session(f"masked/{mode}", lambda: self._masked(Mode(mode)))
        feeds = self._image_feed(images)
        feeds[MASK_INPUT] = np.ascontiguousarray(masks[:, np.newaxis], np.float32)
        logits, coverage = self._run(session, feeds, self._canonical.logits, COVERAGE_OUTPUT)
        return MaskedLogits(logits, coverage)

    def gradients(self, images: Images, output_gradients: Logits, tensor: str) -> Gradients:
        """Multiplies gradients of the logits into the Jacobian by `tensor`; "" is the input.

        Raises:
            UnsupportedOperatorError: a node between the two has no gradient.
            UnknownNameError: the model has no such tensor.
            CancelledError: the work was cancelled.
        """
        session = self._session(f"gradient/{tensor}", lambda: self._differentiated(tensor))
        feeds = self._image_feed(images)
        feeds[OUTPUT_GRADIENT] = np.ascontiguousarray(output_gradients, np.float32)
        fetched = [self._canonical.logits, INPUT_GRADIENT, *([tensor] if tensor else [])]
        logits, gradient, *activations = self._run(session, feeds, *fetched)
        return Gradients(logits, activations[0] if activations else images, gradient)

    def _masked(self, mode: Mode) -> ir.Model:
        # `Masks` are booleans.
        return layer_masked(self._canonical.model, MaskingOptions(mode=mode), trusted=True)

    def _differentiated(self, tensor: str) -> ir.Model:
        model, logits = self._canonical.model, self._canonical.logits
        if not tensor:
            return differentiated(model, of=logits, wrt=self._canonical.input_name)
        return differentiated(tapped(model, (tensor,)), of=logits, wrt=tensor)

    def _session(self, form: str, build: Callable[[], ir.Model]) -> Session:
        self._cancellation.check()
        self._canonical.row_check.run(self._cancellation)
        return self._sessions.get(f"{self.key}/{form}", build)

    def _image_feed(self, images: Images) -> dict[str, NDArray[np.generic]]:
        if len(images) != self._batch_size:
            message = f"a batch has {self._batch_size} rows, not {len(images)}; pad it"
            raise ValueError(message)
        return {self._canonical.input_name: np.ascontiguousarray(images, np.float32)}

    def _run(
        self, session: Session, feeds: dict[str, NDArray[np.generic]], *outputs: str
    ) -> list[NDArray[np.float32]]:
        if not self._canonical.is_run_alone:
            found = session.run(feeds, outputs, self._cancellation)
            return [array.astype(np.float32, copy=False) for array in found]
        rows = [
            session.run(
                {name: array[row : row + 1] for name, array in feeds.items()},
                outputs,
                self._cancellation,
            )
            for row in range(self._batch_size)
        ]
        return [
            np.concatenate(parts).astype(np.float32, copy=False)
            for parts in zip(*rows, strict=True)
        ]
