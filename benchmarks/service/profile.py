"""What an evaluation does beside its passes, seen by looking at its threads again and again."""

import hashlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from benchmarks.networks import BUNDLED_NAME
from benchmarks.passes.engine import REMOVALS, Work, evaluation, photographs
from benchmarks.sections import Section, Table
from heatproof.evaluators.images.decoding import ImageLimits
from heatproof.server.api.codec import worker_documents
from heatproof.server.workers.execution.images import ImageAccess, lazily_read
from heatproof.server.workers.file_access import SharedFolder
from heatproof.server.workers.inputs import EncodedSource, StoredImage

SHOWN: Final = 3
INTERVAL_SECONDS: Final = 0.002
PASS: Final = "passes"
IDLE: Final = "waiting"
ELSE: Final = "Python and libraries"
_WAITS: Final = ("/threading.py", "/queue.py", "/concurrent/futures/")
_PACKAGE: Final = "/heatproof/"


def section(*, quick: bool) -> Section:
    """Looks at the evaluations of the bundled network."""
    kinds = ("plain",) if quick else tuple(REMOVALS)
    rows = []
    cores = len(os.sched_getaffinity(0))
    for kind in kinds:
        seen = profile(Work(BUNDLED_NAME, kind, images=1 if quick else 7, cores=cores))
        busy = sum(count for where, count in seen.items() if where != IDLE)
        others = [(w, c) for w, c in seen.most_common() if w not in {PASS, IDLE}][:SHOWN]
        shown = [f"`{where}` {count / busy:.1%}" for where, count in others]
        rows.append((kind, busy, f"{seen[PASS] / busy:.1%}", *shown, *[""] * (SHOWN - len(shown))))
    return Section(
        "What is no pass",
        "Deletion and insertion curves of random maps over photographs with EfficientNet-Lite0, "
        "from JPEG files to encoded results, in one process. All its threads are looked at every "
        f"{INTERVAL_SECONDS * 1e3:.0f} ms; what is not a pass counts for the module of Heatproof "
        "that is at work. Threads that wait do not count, and neither does what ONNX Runtime's own "
        "threads do, so that the share of the passes is a lower bound.",
        (
            Table(
                ("pass", "looks at threads at work", PASS, "first", "second", "third"),
                tuple(rows),
            ),
        ),
    )


def profile(work: Work) -> Counter[str]:
    """How often threads were seen where, while images are evaluated for a second time."""
    stored = [_encoded(file) for file in photographs(work)]
    access = ImageAccess(ImageLimits(max_pixels=10**8), SharedFolder(Path()))
    evaluated = evaluation(work, lazily_read(stored, access, lambda _: None))
    for _ in evaluated(lambda _: None):
        pass  # sessions are open from here on
    with _watched() as seen:
        for result in evaluated(lambda _: None):
            worker_documents.image_row(result)
    return seen


def _encoded(file: Path) -> StoredImage:
    data = file.read_bytes()
    return StoredImage(hashlib.sha256(data).hexdigest(), file.name, EncodedSource(data))


@contextmanager
def _watched() -> Iterator[Counter[str]]:
    """Counts where the threads of this process are."""
    seen: Counter[str] = Counter()
    ended = threading.Event()

    def look() -> None:
        own = threading.get_ident()
        while not ended.wait(INTERVAL_SECONDS):
            threads = sys._current_frames()  # noqa: SLF001  # the only way to look at other threads
            seen.update(_place(frame) for ident, frame in threads.items() if ident != own)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _place(frame: FrameType) -> str:
    """Where a thread is: in a pass, waiting, or the innermost module of Heatproof."""
    files = [(one.f_code.co_filename, one.f_code.co_name) for one in _stack(frame)]
    if any(file.endswith("/runtime/sessions.py") and name == "run" for file, name in files):
        return PASS
    if any(wait in files[0][0] for wait in _WAITS):
        return IDLE
    inner = next((file for file, _ in files if _PACKAGE in file), "")
    return inner.rpartition(_PACKAGE)[2].removesuffix(".py") or ELSE


def _stack(frame: FrameType) -> Iterator[FrameType]:
    """From the innermost frame outwards."""
    while frame is not None:
        yield frame
        frame = frame.f_back
