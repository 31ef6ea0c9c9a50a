"""Bare ONNX Runtime: plain sessions, as anyone would open them, on rows that are at hand.

Nothing is drawn, cut, read or stored for a pass: it is what no engine on this runtime exceeds.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray

from heatproof.graphs.files.saving import to_bytes

BATCHES: Final = (1, 2, 4, 8, 16, 32)
HELD_ROWS: Final = 32
GRID: Final = 7
"""Cells of a mask along a side."""

_MASK: Final = "mask"

_LOOKED_ROWS: Final = 32
_RUN_LONGER: Final = 4
_LONGER_ROWS: Final = 96


@dataclass(frozen=True, slots=True)
class Way:
    """How bare ONNX Runtime is run.

    Attributes:
        batch: rows of a run.
        threads: threads of the session inside an operator.
        streams: runs at once.
    """

    batch: int
    threads: int
    streams: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.threads} x {self.streams}"


@dataclass(frozen=True, slots=True)
class Rows:
    """A graph, and different rows for it: those of an evaluation are in no cache either.

    Attributes:
        file: the bytes of the graph.
        inputs: `HELD_ROWS` rows of each of its inputs.
    """

    file: bytes
    inputs: Mapping[str, NDArray[np.float32]]

    @classmethod
    def drawn(cls, model: ir.Model) -> "Rows":
        """Random rows; masks hide half of a grid."""
        rng = np.random.default_rng(0)
        inputs = {str(value.name): _drawn(value, rng) for value in model.graph.inputs}
        return cls(to_bytes(model), inputs)

    def passes(self, way: Way, count: int) -> Callable[[], object]:
        """A call that runs so many rows, or the few more that fill the last batch."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = way.threads
        session = ort.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])
        held = [
            {name: rows[first : first + way.batch] for name, rows in self.inputs.items()}
            for first in range(0, HELD_ROWS, way.batch)
        ]

        def run(one: int) -> None:
            session.run(None, held[one % len(held)])

        runs = range(-(-count // way.batch))
        if way.streams == 1:
            return lambda: [run(one) for one in runs]
        pool = ThreadPoolExecutor(way.streams)
        return lambda: list(pool.map(run, runs))

    def best_way(self, cores: int, batches: Iterable[int] = BATCHES) -> Way:
        """Tries every batch, on threads of one run and on runs side by side.

        The fastest few of a short look are run for longer, for a lucky run is not the best way.
        """
        split = {(1, cores), (1, cores + 1), (cores, 1), (cores, 2)}
        ways = [
            Way(batch, threads, streams)
            for (threads, streams), batch in product(sorted(split), batches)
        ]
        looked = {way: self._shortest(way, _LOOKED_ROWS, runs=2) for way in ways}
        fastest = sorted(looked, key=looked.__getitem__)[:_RUN_LONGER]
        return min(fastest, key=lambda way: self._shortest(way, _LONGER_ROWS, runs=3))

    def _shortest(self, way: Way, count: int, runs: int) -> float:
        call = self.passes(way, count)
        return min(seconds(call) for _ in range(runs))


def seconds(call: Callable[[], object]) -> float:
    """Of the wall's clock."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _drawn(value: ir.Value, rng: np.random.Generator) -> NDArray[np.float32]:
    sizes = [size for size in (value.shape or ())[1:] if isinstance(size, int)]
    if value.name != _MASK:
        return rng.random((HELD_ROWS, *sizes), np.float32)
    cells = (rng.random((HELD_ROWS, 1, GRID, GRID)) < 0.5).astype(np.float32)
    places = np.ix_(*(np.arange(size) * GRID // size for size in sizes[1:]))
    return cells[:, :, *places]
