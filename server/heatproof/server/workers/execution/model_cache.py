"""Models and networks that a worker keeps ready between tasks."""

import gc
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Final, TypeAlias

import cv2

from heatproof.evaluators.errors import HeatproofError, placed
from heatproof.evaluators.images.decoding import ImageLimits
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.queries.class_outputs import Statement
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.files.limits import Limits
from heatproof.graphs.files.loading import Model, load_model
from heatproof.graphs.predictor import (
    MOST_PIXELS_SIDE_BY_SIDE,
    SMALLEST_BATCH,
    GraphPredictor,
    unmeasured,
)
from heatproof.graphs.runtime.backends.onnxruntime_networks import modes_in_words
from heatproof.graphs.runtime.backends.providers import Provider, provider_in_words
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.grouping import COUNTS
from heatproof.graphs.runtime.sessions import SessionCache
from heatproof.server.storage.integrity import Verifier
from heatproof.server.workers.file_access import FileAccess
from heatproof.server.workers.inputs import ModelFiles
from heatproof.server.workers.limits import WorkerSettings

_KEPT_MODELS: Final = 16
"""A spec names at most 16 models."""


_COMPOSED: Final[Mapping[str, bool | None]] = {"auto": None, "graph": True, "pixels": False}
"""Whether graphs draw their rows themselves, by the setting `views`."""

_Key: TypeAlias = tuple[str, Preprocessing, Statement]


class ModelCache:
    """Canonical models by files, preprocessing and statement; the least recently used go first.

    Weights are shared between a model and its sessions; the sessions are bounded in number and in
    the memory that they really hold. What belongs to a deleted model leaves.
    """

    def __init__(self, settings: WorkerSettings, blobs: FileAccess) -> None:
        cv2.setNumThreads(1)  # the cores are the networks'
        self._limits = Limits(max_bytes=settings.limits.max_model_bytes)
        self._verifier = Verifier()
        self._blobs = blobs
        self._models: OrderedDict[_Key, CanonicalModel] = OrderedDict()
        grouped = settings.batch_rows // SMALLEST_BATCH
        runtime = SessionSettings(
            threads=settings.threads,
            grouped=grouped,
            provider=Provider(settings.provider),
            composed=_COMPOSED[settings.views],
        )
        self._sessions = SessionCache(settings.session_bytes, runtime)
        self._loading_seconds = 0.0
        self._files: dict[str, Path] = {}
        self._session_keys: dict[str, set[str]] = {}
        self.session_options = _described(self._sessions)
        self.image_limits = ImageLimits(max_pixels=settings.limits.max_image_pixels)

    def begin_task(self) -> None:
        """Makes room for what the next task needs."""
        self.tidy()
        self._sessions.begin_task()

    def tidy(self) -> None:
        """Drops what belongs to models whose files are gone."""
        gone = [name for name, path in self._files.items() if not path.exists()]
        for name in gone:
            del self._files[name]
            for key in self._session_keys.pop(name):
                self._sessions.discard(key)
        for known in [key for key in self._models if key[0] in gone]:
            del self._models[known]
        if gone:
            gc.collect()  # graphs are cyclic

    @property
    def preparation_seconds(self) -> float:
        """Time that went into models and networks that were not at hand, since the start."""
        return self._loading_seconds + self._sessions.opening_seconds

    def options_of_bits(self, predictor: GraphPredictor) -> str:
        """The options of a model's sessions that may change a bit of an answer, in words.

        How many passes run at once, and how many batches one takes, change none.
        """
        settings = self._sessions.settings
        threads = f"{predictor.threads} threads each"
        return ", ".join([provider_in_words(settings.provider), threads, _modes(settings)])

    def load(self, files: ModelFiles) -> Model:
        """Parses and checks a stored model.

        Raises:
            DamagedFileError: a file is missing or holds other bytes than were uploaded.
        """
        path = self._blobs.path(files.model)
        external = {name: self._blobs.path(blob) for name, blob in files.external.items()}
        for one in (path, *external.values()):
            self._verifier.check(one)
        gc.collect()  # graphs are cyclic: the weights of the model before would linger
        return load_model(path, external=external, limits=self._limits)

    def predictor(
        self,
        files: ModelFiles,
        preprocessing: Preprocessing,
        stated: Statement,
        cancellation: Cancellation,
        run_sizes: Callable[[str], int] = unmeasured,
    ) -> GraphPredictor:
        """Runs a stored model under a preprocessing.

        `stated` is what a user says of the class output, `run_sizes` as of `GraphPredictor`.
        """
        canonical = self._canonical(files, preprocessing, stated)
        predictor = GraphPredictor(
            canonical,
            self._sessions,
            model=files.name,
            batch_size=SMALLEST_BATCH,
            cancellation=cancellation,
            run_sizes=run_sizes,
        )
        self._files[files.name] = self._blobs.path(files.model)
        self._session_keys.setdefault(files.name, set()).add(predictor.key)
        return predictor

    def _canonical(
        self, files: ModelFiles, preprocessing: Preprocessing, stated: Statement
    ) -> CanonicalModel:
        key = (files.name, preprocessing, stated)
        if key not in self._models:
            started = time.monotonic()
            model = self.load(files)
            with _preprocessing_fields():
                self._models[key] = canonicalize(
                    model, preprocessing, stated, self._sessions.settings
                )
            self._loading_seconds += time.monotonic() - started
        self._models.move_to_end(key)
        while len(self._models) > _KEPT_MODELS:
            self._models.popitem(last=False)
        return self._models[key]


@contextmanager
def _preprocessing_fields() -> Iterator[None]:
    """Errors of a field lie below `preprocessing`, but for those of what is stated beside it."""
    try:
        yield
    except HeatproofError as error:
        if error.field in {"", *(field.name for field in fields(Statement))}:
            raise
        with placed("preprocessing"):
            raise


def _described(sessions: SessionCache) -> str:
    """The options of a session that may change the last bits of a score, in words."""
    settings, runs = sessions.settings, sessions.streams.side_by_side
    counts = (settings.grouped,) if settings.grouped else COUNTS
    rows = " or ".join(str(count * SMALLEST_BATCH) for count in counts)
    side = math.isqrt(MOST_PIXELS_SIDE_BY_SIDE)
    return (
        f"{provider_in_words(settings.provider)}, {runs} runs of {rows} rows at once, "
        f"1 thread each, above {side} x {side} pixels 1 on {settings.threads} threads, "
        f"{_modes(settings)}"
    )


def _modes(settings: SessionSettings) -> str:
    """How sessions are optimized and run."""
    views = "views drawn by the graph, " if settings.composes else ""
    return f"{views}{modes_in_words(settings)}"
