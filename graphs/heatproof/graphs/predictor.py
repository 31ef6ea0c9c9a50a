"""The predictor of the science, over graphs in ONNX Runtime or OpenVINO."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import cache, cached_property, partial

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.evaluators.images.arrays import Masks
from heatproof.evaluators.queries.class_outputs import ClassOutput, Reading
from heatproof.evaluators.queries.model_warnings import Doubt, ModelWarning
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch, PredictorFacts
from heatproof.graphs.canonical.model import CanonicalModel
from heatproof.graphs.composition import composed
from heatproof.graphs.files.notes import Note, notes_of
from heatproof.graphs.gating import GATE_INPUT, gated
from heatproof.graphs.gradients import (
    INPUT_GRADIENT,
    OUTPUT_GRADIENT,
    differentiated,
)
from heatproof.graphs.masking import MaskingOptions, layer_masked
from heatproof.graphs.masking.rewriting import COVERAGE_OUTPUT, MASK_INPUT
from heatproof.graphs.randomization import layers_of, randomized
from heatproof.graphs.runtime.backends.network import Feed
from heatproof.graphs.runtime.backends.providers import Provider, device_of
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.grouped import have_equal_bits, merged, taken_apart
from heatproof.graphs.runtime.grouping import COUNTS, Grouping
from heatproof.graphs.runtime.sessions import Session, SessionCache
from heatproof.graphs.runtime.streams import Lane
from heatproof.graphs.runtime.telling import DeviceImages, told_masks, told_rows
from heatproof.graphs.tapping import tapped

SMALLEST_BATCH = 2
"""Rows of a batch are independent of their neighbours from this size on, not always at 1."""

MOST_PIXELS_SIDE_BY_SIDE = 448 * 448
"""Pixels of an image up to which every core runs a batch of its own."""

_ONE_BY_ONE = Grouping(fixed=1)


def unmeasured(_key: str) -> int:
    """Knows of no session how many batches a run takes."""
    return 0


class GraphPredictor:
    """Runs a canonical model and its rewritten forms, each in a session of its own.

    Rewrites and sessions are made when first needed and kept by the cache, under a key that holds
    the model, its preprocessing and the batch size. Implements
    `heatproof.evaluators.queries.predictor.Predictor`.

    Args:
        canonical: the model.
        sessions: where its sessions are kept.
        model: its name.
        batch_size: rows of a batch.
        cancellation: what its passes run under.
        run_sizes: by the key of a session, how many batches a run takes as was measured before; 0
            where it was not.

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
        run_sizes: Callable[[str], int] = unmeasured,
    ) -> None:
        if batch_size < SMALLEST_BATCH:
            message = f"batch_size must be at least {SMALLEST_BATCH}, not {batch_size}"
            raise ValueError(message)
        self._canonical = canonical
        self._sessions = sessions
        self._model = model
        self._batch_size = batch_size
        self._cancellation = cancellation
        self._run_sizes = run_sizes
        self._lanes: defaultdict[ModelPass, Lane] = defaultdict(Lane)
        self._groupings: dict[ModelPass, Grouping] = {}
        settings = sessions.settings
        # What else the machine does lengthens no run that is timed by the work of its one thread.
        is_processor = settings.provider is Provider.CPU
        self._clock = time.thread_time if is_processor else time.perf_counter
        # Whoever runs rows one by one cuts what has a row for each of them.
        self._composes = settings.composes and not canonical.is_run_alone
        self._held = DeviceImages(device_of(settings.provider))
        output = canonical.output
        read = (output.name, output.logits, output.activation)
        identity = f"{model}|{canonical.preprocessing}|{batch_size}|{read}"
        self.key = hashlib.sha256(identity.encode()).hexdigest()
        self._keys = cache(partial(_session_key, self.key))

    @property
    def facts(self) -> PredictorFacts:
        """What the model is and can do."""
        return self._facts

    @cached_property
    def _facts(self) -> PredictorFacts:
        canonical = self._canonical
        return PredictorFacts(
            model=self._model,
            height=canonical.height,
            width=canonical.width,
            classes=canonical.classes,
            probabilities="sigmoid" if canonical.are_independent else "softmax",
            batch_size=self._batch_size,
            cam_tensor=canonical.cam_tensor,
            supports=canonical.capabilities.supports,
            tensors=canonical.tensors,
            channels=canonical.channels,
            layers=layers_of(canonical.model),
            in_flight=self._in_flight(),
            cores=self._sessions.settings.threads,
            composes=self._composes,
            reading=self._reading(),
            warnings=tuple(self._warning(note) for note in notes_of(canonical.model)),
        )

    @property
    def threads(self) -> int:
        """Threads inside an operator of a pass; several may decide its last bits."""
        return self._sessions.settings.threads if self._is_large else 1

    def _in_flight(self) -> int:
        """Enough for all that runs at once, and for one more run to wait."""
        runs = 1 if self._is_large else self._sessions.streams.side_by_side
        return (runs + 1) * (1 if self._uses_all else max(COUNTS))

    def ways_run(self) -> frozenset[str]:
        """How each kind of pass that was asked for is run: rows x streams x threads, in words."""
        streams, threads = self._sessions.streams.side_by_side, 1
        if self._is_large:
            streams, threads = 1, self._sessions.settings.threads
        rows_of_batch = 1 if self._canonical.is_run_alone else self._batch_size
        return frozenset(
            f"{_kind(run)} {grouping.chosen * rows_of_batch} x {streams} x {threads}"
            for run, grouping in self._groupings.items()
        )

    def measured_run_sizes(self) -> Mapping[str, int]:
        """Batches that a run takes, by the key of the session, where measurement has decided it."""
        if self._sessions.settings.grouped:
            return {}
        found = {
            self._keys(run): grouping.decided
            for run, grouping in self._groupings.items()
            if grouping is not _ONE_BY_ONE and not run.weights.layers
        }
        return {key: batches for key, batches in found.items() if batches}

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

    def submit(self, run: ModelPass, batch: Batch) -> "Future[Answers]":
        """Opens the session of a pass if need be, and runs the batch beside others.

        The future raises UnsupportedOperatorError for a node without a rule, UnknownNameError for a
        tensor or layer that the model lacks, CancelledError if the work was cancelled.
        """
        try:
            self._check(batch)
            session = self._session(run)
        except Exception as error:  # noqa: BLE001  # whoever waits gets it
            failed: Future[Answers] = Future()
            failed.set_exception(error)
            return failed
        answer = partial(self._grouped, session, run)
        grouping = _ONE_BY_ONE if self._uses_all else session.grouping
        self._groupings[run] = grouping
        return self._lanes[run].submit(
            batch, answer, self._sessions.streams, grouping, alone=self._is_large
        )

    def _grouped(self, session: Session, run: ModelPass, batches: Sequence[Batch]) -> list[Answers]:
        """Answers batches in one run; the first time, in one of each too, to compare the bits."""
        count, grouping = len(batches), session.grouping
        start = self._clock()
        found = self._answers(session, run, merged(batches))
        grouping.note(count, (self._clock() - start) / count)
        parts = taken_apart(found, [len(batch.rows) for batch in batches])
        if grouping.is_proven(count):
            return parts
        alone = [self._answers(session, run, batch) for batch in batches]
        grouping.prove(count, holds=all(map(have_equal_bits, parts, alone)))
        return alone

    def _answers(self, session: Session, run: ModelPass, batch: Batch) -> Answers:
        masked = () if run.masking is None else (COVERAGE_OUTPUT,)
        derived = () if run.wrt is None else (INPUT_GRADIENT,)
        wrt = (run.wrt,) if run.wrt else ()
        names = (self._canonical.logits, *masked, *derived, *dict.fromkeys((*wrt, *run.taps)))
        fetched = self._run(session, self._feeds(run, batch), len(batch.rows), *names)
        found = dict(zip(names, fetched, strict=True))
        return Answers(
            logits=found[self._canonical.logits],
            coverage=found.get(COVERAGE_OUTPUT),
            activations=batch.images if run.wrt == IMAGE else found.get(run.wrt or ""),
            gradients=found.get(INPUT_GRADIENT),
            features={name: found[name] for name in run.taps},
        )

    def _feeds(self, run: ModelPass, batch: Batch) -> dict[str, Feed]:
        masks = None if run.masking is None else batch.masks
        feeds = self._told(batch, masks) if self._composes else self._drawn(batch, masks)
        if run.wrt is not None and batch.output_gradients is not None:
            feeds[OUTPUT_GRADIENT] = np.ascontiguousarray(batch.output_gradients, np.float32)
        if run.gate is not None and batch.gates is not None:
            feeds[GATE_INPUT] = np.ascontiguousarray(batch.gates, np.float32)
        return feeds

    def _drawn(self, batch: Batch, masks: Masks | None) -> dict[str, Feed]:
        """Pixels and masks for a graph that takes them."""
        images = np.ascontiguousarray(batch.images, np.float32)
        feeds: dict[str, Feed] = {self._canonical.input_name: images}
        if masks is not None:
            feeds[MASK_INPUT] = np.ascontiguousarray(masks[:, np.newaxis], np.float32)
        return feeds

    def _told(self, batch: Batch, masks: Masks | None) -> dict[str, Feed]:
        """What a graph is told that draws its rows itself."""
        told = told_rows(batch.compositions, self._held)
        return told if masks is None else {**told, **told_masks(masks)}

    def _session(self, run: ModelPass) -> Session:
        self._cancellation.check()
        self._canonical.row_check.run(self._cancellation)
        # Images may ask for dozens of models with other weights, together for more than memory has.
        passing = bool(run.weights.layers)
        key, rewritten = self._keys(run), partial(self._opened, run)
        grouped = partial(self._run_sizes, key)
        return self._sessions.get(
            key, rewritten, threads=self.threads, grouped=grouped, passing=passing
        )

    @property
    def _uses_all(self) -> bool:
        """Whether a run takes no more than one batch."""
        return self._is_large or self._canonical.is_run_alone

    @property
    def _is_large(self) -> bool:
        """Whether a batch uses all cores, for one on each would need too much memory."""
        return self._canonical.height * self._canonical.width > MOST_PIXELS_SIDE_BY_SIDE

    def _opened(self, run: ModelPass) -> ir.Model:
        """The graph of a pass as it is run."""
        model = self._rewritten(run)
        return composed(model, self._canonical.input_name) if self._composes else model

    def _rewritten(self, run: ModelPass) -> ir.Model:
        """Weights first, for masking and gradients follow from the graph that they leave.

        A canonical model is plain, and so are those with other weights, gates and outputs.
        """
        model, logits = self._canonical.model, self._canonical.logits
        if run.weights.layers:
            weights = run.weights
            model = randomized(model, weights.layers, weights.seed, weights.noise)
        if run.gate is not None:
            model = gated(model, run.gate)
        if run.masking is not None:
            # Tapped first, for hidden cells are cleared where the graph has an output.
            model = tapped(model, sorted(run.taps))
            # `Masks` are booleans.
            options = MaskingOptions(mode=run.masking.mode, fill=run.masking.fill)
            model = layer_masked(model, options, trusted=True, plain=True)
        taps = {*run.taps, run.wrt or IMAGE} - {IMAGE}
        if taps:
            model = tapped(model, sorted(taps))
        if run.wrt is None:
            return model
        wrt = run.wrt or self._canonical.input_name
        plain = run.masking is None
        return differentiated(model, of=logits, wrt=wrt, rules=run.rules, plain=plain)

    def _check(self, batch: Batch) -> None:
        if len(batch.rows) != self._batch_size:
            message = f"a batch has {self._batch_size} rows, not {len(batch.rows)}; pad it"
            raise ValueError(message)

    def _run(
        self, session: Session, feeds: Mapping[str, Feed], rows: int, *outputs: str
    ) -> list[NDArray[np.float32]]:
        if not self._canonical.is_run_alone:
            found = session.run(feeds, outputs, self._cancellation, rows)
            return [array.astype(np.float32, copy=False) for array in found]
        one_by_one = [
            session.run(
                {name: np.asarray(feed)[row : row + 1] for name, feed in feeds.items()},
                outputs,
                self._cancellation,
                1,
            )
            for row in range(rows)
        ]
        return [
            np.concatenate(parts).astype(np.float32, copy=False)
            for parts in zip(*one_by_one, strict=True)
        ]


def _session_key(predictor: str, run: ModelPass) -> str:
    form = f"{run.weights}|{run.gate}|{run.masking}|{run.wrt}|{run.rules}|{run.taps}"
    return f"{predictor}/{form}"


def _kind(run: ModelPass) -> str:
    """What a pass computes, in words."""
    parts = {
        "layer-masked": run.masking is not None,
        "gradient": run.wrt is not None,
        "gated": run.gate is not None,
        "tapped": bool(run.taps),
        "with other weights": bool(run.weights.layers),
    }
    return " ".join(name for name, is_part in parts.items() if is_part) or "plain"
