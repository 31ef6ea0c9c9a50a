"""Sessions: how they are opened, run and kept."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, TypeVar

import onnx_ir as ir

from heatproof.graphs.files.saving import embedded, weight_bytes
from heatproof.graphs.lowering import lower
from heatproof.graphs.runtime import memory
from heatproof.graphs.runtime.backends.agreement import require_agreement
from heatproof.graphs.runtime.backends.network import Array, Feed, Network
from heatproof.graphs.runtime.backends.onnxruntime_networks import open_in_onnxruntime
from heatproof.graphs.runtime.backends.openvino_networks import open_in_openvino
from heatproof.graphs.runtime.backends.providers import (
    Provider,
    Runtime,
    platform_of,
    runtime_of,
)
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.grouping import Grouping
from heatproof.graphs.runtime.streams import Streams

OpenedNetwork = TypeVar("OpenedNetwork", bound=Network)

MAX_PASSING = 4
"""Most passing sessions: what they take to run is told by nothing before they have run."""

MAX_SESSIONS = 96
"""Sessions that are kept ready: enough for the forms of the 16 models that a spec may name."""

_OPENERS: Final[Mapping[Runtime, Callable[[ir.Model, SessionSettings], Network]]] = (
    MappingProxyType({
        Runtime.ONNX_RUNTIME: open_in_onnxruntime,
        Runtime.OPENVINO: open_in_openvino,
    })
)  # fmt: skip


class Session:
    """One graph that is ready to run.

    Attributes:
        outputs: names of the outputs, in order.
        grouping: how many batches one run takes.
    """

    def __init__(self, network: Network, nbytes: int, grouping: Grouping) -> None:
        self._network = network
        self.outputs = network.outputs
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
        with self._buffers.watched(rows):
            return self._network.run(feeds, outputs, cancellation)


def open_session(model: ir.Model, settings: SessionSettings) -> Session:
    """Opens a session on a model, whose large weights ONNX Runtime shares with the model.

    The graph is lowered for what runs it; the argument is left alone.

    Raises:
        InvalidModelError: ONNX Runtime refuses the model.
        ResourceExhaustedError: memory ran out.
        FailedPreconditionError: what is to run it cannot, or computes otherwise than the processor.
    """
    before = memory.resident_bytes()
    network = _opened(model, settings, _OPENERS[runtime_of(settings.provider)])
    nbytes = max(weight_bytes(model), memory.resident_bytes() - before)
    if settings.provider is not Provider.CPU:
        on_processor = replace(settings, provider=Provider.CPU)
        expected = _opened(model, on_processor, open_in_onnxruntime)
        require_agreement(network, expected, settings.provider)
    return Session(network, nbytes, Grouping(settings.grouped))


def _opened(
    model: ir.Model,
    settings: SessionSettings,
    open_network: Callable[[ir.Model, SessionSettings], OpenedNetwork],
) -> OpenedNetwork:
    copy = embedded(model)
    lower(copy, platform_of(settings.provider))
    return open_network(copy, settings)


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
        grouped: Callable[[], int] = int,
        passing: bool = False,
    ) -> Session:
        """Returns the session of a key, opening it on the built model if there is none.

        Args:
            key: what the session is of.
            build: makes its model.
            threads: threads inside its operators; all if None.
            grouped: tells how many batches one run takes, as was measured before; 0: not known.
            passing: whether it may be closed while the task is in work.
        """
        held = self._held(key, passing=passing)
        if held is not None:
            return held
        with self._lock:
            building = self._building.setdefault(key, threading.Lock())
        with building:
            session = self._held(key, passing=passing)
            if session is None:
                started = time.monotonic()
                settings = self._settings_of(threads, grouped())
                session = open_session(build(), settings)
                self.opening_seconds += time.monotonic() - started
                self._keep(key, session, passing=passing)
        with self._lock:
            self._building.pop(key, None)
        return session

    def _settings_of(self, threads: int | None, grouped: int) -> SessionSettings:
        """Of a session whose operators have all threads, or so many beside others."""
        settings = replace(self.settings, grouped=self.settings.grouped or grouped)
        if threads is None:
            return settings
        side_by_side = max(1, settings.threads // threads)
        return replace(settings, threads=threads, side_by_side=side_by_side)

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
