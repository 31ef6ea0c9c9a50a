"""ONNX Runtime sessions: how they are opened, run and kept."""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import (
    onnxruntime_pybind11_state as ort_errors,  # pyright: ignore[reportAttributeAccessIssue] # native
)

from heatproof.evaluators.errors import InvalidModelError, ResourceExhaustedError
from heatproof.graphs.files.saving import embedded, weight_bytes
from heatproof.graphs.lowering import lower
from heatproof.graphs.runtime import memory
from heatproof.graphs.runtime.agreement import require_agreement
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.folding import folds_within_budget
from heatproof.graphs.runtime.grouping import Grouping
from heatproof.graphs.runtime.providers import (
    Provider,
    composes,
    native_providers,
    platform_of,
)
from heatproof.graphs.runtime.streams import Streams

Array = NDArray[Any]

Feed: TypeAlias = Array | ort.OrtValue
"""What an input is given: an array, or what lies on a device already."""

MAX_PASSING = 4
"""Most passing sessions: what they take to run is told by nothing before they have run."""

MAX_SESSIONS = 96
"""Sessions that are kept ready: enough for the forms of the 16 models that a spec may name."""

SHARED_BYTES = 1024
"""Weights above this are lent to ONNX Runtime instead of copied into the model's bytes."""

SHAPING_BYTES = 1 << 20
"""Integers up to this are copied too: they may be sizes, which ONNX Runtime reads early."""

_FOLDING = ["ConstantFolding"]

_SHAREABLE = frozenset(
    {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.INT8, ir.DataType.UINT8}
    | {ir.DataType.INT32, ir.DataType.INT64}
)
_FAILURES = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How sessions run.

    Attributes:
        threads: threads inside an operator; of a cache, threads of all that run at once.
        fused: whether ONNX Runtime may fuse nodes; else a session opens sooner and runs slower.
        grouped: batches that one run takes, of those that `grouping.COUNTS` lists; 0: the fastest.
        log_severity: lowest severity of ONNX Runtime's log: 2 warnings, 3 errors, 4 fatal.
        provider: what runs them.
        composed: whether graphs draw their rows themselves; None: as suits the provider.
    """

    threads: int = 1
    log_severity: int = 3
    fused: bool = True
    grouped: int = 0
    provider: Provider = Provider.CPU
    composed: bool | None = None

    @property
    def composes(self) -> bool:
        """Whether graphs draw their rows themselves."""
        return composes(self.provider) if self.composed is None else self.composed

    def options(self) -> ort.SessionOptions:
        """Fresh options, deterministic: one operator after the other, fixed reductions."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Threads that spin after a pass take the processor from whatever runs next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = (
            levels.ORT_ENABLE_ALL if self.fused else levels.ORT_DISABLE_ALL
        )
        options.use_deterministic_compute = True
        # Passes side by side would hand each other chunks that lie in another core's cache: memory
        # is planned as one block for each, which costs little while a run has few rows.
        options.enable_mem_pattern = True
        options.log_severity_level = self.log_severity
        return options


class Session:
    """One graph in ONNX Runtime, with the weights that it borrows.

    Attributes:
        outputs: names of the outputs, in order.
        grouping: how many batches one run takes.
    """

    def __init__(
        self,
        native: ort.InferenceSession,
        weights: Mapping[str, ort.OrtValue],
        nbytes: int,
        grouping: Grouping,
    ) -> None:
        self._native = native
        self._weights = weights  # ONNX Runtime reads them but does not own them
        self.outputs = tuple(output.name for output in native.get_outputs())
        self.grouping = grouping
        self._buffers = memory.Buffers()
        self._nbytes = nbytes

    @property
    def nbytes(self) -> int:
        """Memory that it holds.

        Its weights, or what opening it has added to this process if that is more, and what its
        first passes have added, for their buffers stay allocated.
        """
        return self._nbytes + self._buffers.nbytes

    def run(
        self,
        feeds: Mapping[str, Feed],
        outputs: Sequence[str],
        cancellation: Cancellation,
        rows: int,
    ) -> list[Array]:
        """Computes outputs by name, for a number of rows.

        Raises:
            CancelledError: the cancellation came before or during the pass.
            ResourceExhaustedError: memory ran out.
            InvalidModelError: a node failed on these inputs.
        """
        try:
            with self._buffers.watched(rows), cancellation.run() as options:
                found = self._native.run(list(outputs), dict(feeds), options)
                return [np.asarray(array) for array in found]
        except _FAILURES as error:
            raise _domain_error("the model failed while running", error) from error


def open_session(model: ir.Model, settings: SessionSettings) -> Session:
    """Opens a session on a model, whose large weights it shares with the model.

    The graph is lowered for what runs it; the argument is left alone.
    Constants that cost too much to fold are left to be computed when the model runs.

    Raises:
        InvalidModelError: ONNX Runtime refuses the model.
        ResourceExhaustedError: memory ran out.
        FailedPreconditionError: what is to run it computes otherwise than the processor.
    """
    copy = embedded(model)
    lower(copy, platform_of(settings.provider))
    weights = {
        name: _lent(value.const_value)
        for name, value in copy.graph.initializers.items()
        if value.const_value is not None and _is_shared(value)
    }
    held, before = weight_bytes(copy), memory.resident_bytes()
    disabled = None if folds_within_budget(copy) else _FOLDING
    source = _skeleton(copy, weights)

    def opened(provider: Provider) -> ort.InferenceSession:
        options = settings.options()
        if weights:
            options.add_external_initializers(list(weights), list(weights.values()))
        return ort.InferenceSession(
            source, options, providers=native_providers(provider), disabled_optimizers=disabled
        )

    try:
        native = opened(settings.provider)
        if settings.provider is not Provider.CPU:
            require_agreement(native, opened(Provider.CPU), settings.provider)
    except _FAILURES as error:
        raise _domain_error("ONNX Runtime refuses the model", error) from error
    nbytes = max(held, memory.resident_bytes() - before)
    return Session(native, weights, nbytes, Grouping(settings.grouped))


class SessionCache:
    """Sessions by key, the least recently used closed once they are too large or too many.

    A session that is running stays alive until its pass ends, and sessions of the task in work are
    kept, however large, for they would only be opened anew; but not passing ones, of which a task
    may open any number. Safe for threads; each key is built once at a time.

    Attributes:
        settings: how sessions run.
        streams: the threads in which passes run.
        opening_seconds: time that went into rewriting graphs and opening sessions.
    """

    def __init__(
        self, max_bytes: int, settings: SessionSettings, *, max_sessions: int = MAX_SESSIONS
    ) -> None:
        self.settings = settings
        self.streams = Streams(settings.threads)
        self._max_bytes = max_bytes
        self._max_sessions = max_sessions
        self._lock = threading.Lock()
        self._building: dict[str, threading.Lock] = {}
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._in_work: set[str] | None = None
        self._passing: OrderedDict[str, None] = OrderedDict()
        self.opening_seconds = 0.0

    @property
    def nbytes(self) -> int:
        """Memory of all sessions held."""
        with self._lock:
            return sum(session.nbytes for session in self._sessions.values())

    def __contains__(self, key: str) -> bool:
        """Whether a session is held; does not count as a use."""
        return key in self._sessions

    def __len__(self) -> int:
        return len(self._sessions)

    def begin_task(self) -> None:
        """Closes what is too much; from here on, sessions in use are kept until the next task."""
        with self._lock:
            self._in_work = set()
            self._close_surplus()

    def discard(self, prefix: str) -> None:
        """Closes the sessions whose keys begin so."""
        with self._lock:
            for key in [key for key in self._sessions if key.startswith(prefix)]:
                del self._sessions[key]
                self._passing.pop(key, None)

    def get(
        self,
        key: str,
        build: Callable[[], ir.Model],
        *,
        threads: int | None = None,
        passing: bool = False,
    ) -> Session:
        """Returns the session of a key, opening it on the built model if there is none.

        Args:
            key: what the session is of.
            build: makes its model.
            threads: threads inside its operators; all if None.
            passing: whether it may be closed while the task is in work.
        """
        held = self._held(key, passing=passing)
        if held is not None:
            return held
        settings = replace(self.settings, threads=threads or self.settings.threads)
        with self._lock:
            building = self._building.setdefault(key, threading.Lock())
        with building:
            session = self._held(key, passing=passing)
            if session is None:
                started = time.monotonic()
                session = open_session(build(), settings)
                self.opening_seconds += time.monotonic() - started
                self._keep(key, session, passing=passing)
        with self._lock:
            self._building.pop(key, None)
        return session

    def _held(self, key: str, *, passing: bool) -> Session | None:
        with self._lock:
            session = self._sessions.get(key)
            if session is not None:
                self._use(key, passing=passing)
            return session

    def _keep(self, key: str, session: Session, *, passing: bool) -> None:
        with self._lock:
            self._sessions[key] = session
            self._use(key, passing=passing)
            self._close_surplus()

    def _use(self, key: str, *, passing: bool) -> None:
        self._sessions.move_to_end(key)
        if passing:
            self._passing[key] = None
            self._passing.move_to_end(key)
            while len(self._passing) > MAX_PASSING:
                self._sessions.pop(self._passing.popitem(last=False)[0], None)
        elif self._in_work is not None:
            self._in_work.add(key)

    def _close_surplus(self) -> None:
        total = sum(held.nbytes for held in self._sessions.values())
        newest = next(reversed(self._sessions), "")
        for key in list(self._sessions):
            if total <= self._max_bytes and len(self._sessions) <= self._max_sessions:
                return
            if key != newest and key not in (self._in_work or ()):
                total -= self._sessions.pop(key).nbytes


def _is_shared(value: ir.Value) -> bool:
    tensor = value.const_value
    return (
        tensor is not None
        and tensor.dtype in _SHAREABLE
        and tensor.nbytes > _least_shared(tensor.dtype)
        and not value.is_graph_output()
        and bool(value.uses())  # what nobody reads is gone when weights are lent
    )


def _least_shared(dtype: ir.DataType) -> int:
    return SHAPING_BYTES if dtype in {ir.DataType.INT32, ir.DataType.INT64} else SHARED_BYTES


def _lent(tensor: ir.TensorProtocol) -> ort.OrtValue:
    array = np.require(tensor.numpy(), requirements=["C", "A"])
    return ort.OrtValue.ortvalue_from_numpy(array)


def _skeleton(model: ir.Model, weights: Mapping[str, ort.OrtValue]) -> bytes:
    """The bytes of a model whose lent weights become mere references, in place."""
    for name in weights:
        value = model.graph.initializers[name]
        tensor = value.const_value
        if tensor is not None:
            value.const_value = ir.ExternalTensor(
                f"lent:{name}", 0, tensor.nbytes, tensor.dtype, shape=_shape(tensor), name=name
            )
    return ir.to_proto(model).SerializeToString()


def _shape(tensor: ir.TensorProtocol) -> ir.Shape:
    return ir.Shape(tensor.shape.numpy())


_SOURCE = re.compile(r"/\S*?\.(?:cc|h|cpp):\d+ ")


def told_by_runtime(error: Exception) -> str:
    """The message of an error of ONNX Runtime on one line, without places in its sources."""
    return " ".join(_SOURCE.sub("", str(error)).split())


def _domain_error(fault: str, error: Exception) -> InvalidModelError | ResourceExhaustedError:
    text = told_by_runtime(error)
    if "bad allocation" in text or "Failed to allocate" in text or "bad_alloc" in text:
        return ResourceExhaustedError(f"memory ran out: {text}; use smaller images or batches")
    return InvalidModelError(f"{fault}: {text}; check the model with onnxruntime")
