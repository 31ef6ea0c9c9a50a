"""How near the engine and the service come to the best of bare ONNX Runtime, on as many rows.

    python -m benchmarks.passes.engine [--network NAME] [--pass plain] [--images 4] [--rounds 5]

The same evaluation runs in this process's engine and over gRPC from JPEG files: deletion and
insertion curves of random maps on the photographs of `examples`. Bare ONNX Runtime runs the same
network on as many rows, at the best of all batches, threads and sessions side by side that a sweep
finds beforehand; nothing is drawn, cut, read or stored for it. Everybody has a process of his own,
and one works at a time, in turns.
"""

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Final

import onnx_ir as ir
import onnxruntime as ort

from benchmarks.alone import Ratio, alternating, ratios
from benchmarks.networks import names, networks
from benchmarks.passes.bare import GRID, Rows, Way
from benchmarks.passes.predictors import MODEL, predictor_of
from benchmarks.service.uncached import UNCACHED
from heatproof.client import Client
from heatproof.evaluators.evaluation.engine import Progress, evaluate
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Random
from heatproof.evaluators.images.decoding import ImageLimits, decode_image
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import Deletion, Insertion
from heatproof.evaluators.removal import Black, Layer, RemovalOperator
from heatproof.graphs.canonical import CanonicalModel
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.lowering import Platform, lowered
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.predictor import SMALLEST_BATCH
from heatproof.graphs.runtime import SessionSettings
from heatproof.graphs.runtime.streams import take_short_turns

PHOTOGRAPHS = Path(__file__).parents[2] / "examples/photographs"
NETWORKS: Final = ("EfficientNet-Lite0 (bundled)", "ResNet-50")
REMOVALS: Final[Mapping[str, RemovalOperator]] = {"plain": Black(), "layer-masked": Layer()}
COLUMNS = (
    "network", "pass", "rows", "best bare: batch x threads x streams", "rows/s",
    "engine / bare", "service / bare",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """One evaluation.

    Attributes:
        network: name of the network.
        kind: how it is run, a key of `REMOVALS`.
        images: number of photographs.
        cores: cores that anybody may use.
    """

    network: str
    kind: str
    images: int
    cores: int


@dataclass(frozen=True, slots=True)
class Nearness:
    """What was measured of one evaluation.

    Attributes:
        rows: different rows that it asks the network for.
        way: the best way of bare ONNX Runtime.
        bare: its rows a second.
        engine: rows a second of the engine over that.
        service: rows a second of the service over that, uploads of the images included.
    """

    rows: int
    way: Way
    bare: float
    engine: Ratio
    service: Ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", help="part of a network's name; default: two of them")
    parser.add_argument("--pass", dest="kind", choices=REMOVALS, help="default: all")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"ONNX Runtime {ort.__version__}, {cores} cores; median and range of the rounds\n")
    print("|", " | ".join(COLUMNS), "|\n|" + "---|" * len(COLUMNS))
    chosen = NETWORKS if options.network is None else names(options.network)
    for network, kind in product(chosen, [options.kind] if options.kind else REMOVALS):
        work = Work(network, kind, options.images, cores)
        found = measured(work, options.rounds)
        speed = f"{found.bare:.0f}"
        cells = (network, kind, found.rows, found.way, speed, found.engine, found.service)
        print("|", " | ".join(map(str, cells)), "|", flush=True)


def measured(work: Work, rounds: int) -> Nearness:
    """Sweeps, then runs bare ONNX Runtime, the engine and the service in turns."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawning) as alone:
        way = alone.submit(best_way, work).result()
        rows = alone.submit(rows_of, work).result()
    makers = {
        "bare": partial(bare, work, way, rows),
        "engine": partial(engine, work),
        "service": partial(service, work),
    }
    seconds = alternating(makers, rounds)
    speed = rows / median(seconds["bare"])
    return Nearness(
        rows, way, speed, ratios(seconds, "engine")["bare"], ratios(seconds, "service")["bare"]
    )


def best_way(work: Work) -> Way:
    """The best of bare ONNX Runtime."""
    return _rows(work).best_way(work.cores)


def bare(work: Work, way: Way, count: int) -> Callable[[], object]:
    """Runs as many rows."""
    return _rows(work).passes(way, count)


@cache
def _rows(work: Work) -> Rows:
    return Rows.drawn(_graph(work))


def _graph(work: Work) -> ir.Model:
    model = _canonical(work).model
    if work.kind == "plain":
        return model
    return lowered(layer_masked(model), Platform.CPU)


@cache
def _canonical(work: Work) -> CanonicalModel:
    return networks(part=work.network)[work.network]


def rows_of(work: Work) -> int:
    """Rows that the engine asks for, each once, without padding."""
    return engine(work)()


def engine(work: Work) -> Callable[[], int]:
    """Evaluates decoded photographs in this process; returns the rows that were run."""
    evaluated = evaluation(work, [photograph(file) for file in photographs(work)])
    take_short_turns()  # as a worker's do

    def run() -> int:
        done: list[Progress] = []
        list(evaluated(done.append))
        return done[-1].predictions_done

    return run


def evaluation(
    work: Work, images: Sequence[SourceImage], *, composed: bool | None = None
) -> Callable[[Callable[[Progress], None]], Iterator[ImageResult]]:
    """The evaluation of these images, on a predictor that keeps its sessions.

    `composed`: as in `SessionSettings`.
    """
    settings = SessionSettings(work.cores, composed=composed)
    predictor = predictor_of(_canonical(work), settings, batch=SMALLEST_BATCH)
    spec = EvaluationSpec(
        models=(MODEL,),
        preprocessing=PRESETS["imagenet"],
        metrics=(Deletion(GRID, GRID * GRID), Insertion(GRID, GRID * GRID)),
        explainers=(Random(GRID),),
        removals=(REMOVALS[work.kind],),
    )
    return lambda told: evaluate(spec, images, {MODEL: predictor}, told)


def service(work: Work) -> Callable[[], object]:
    """Evaluates JPEG files over gRPC, and looks nothing up."""
    model = to_bytes(_canonical(work).model)
    client = Client.embedded()
    files, asked = [str(file) for file in photographs(work)], _asked(work)
    return lambda: client.evaluate(model, files, **asked, **UNCACHED)


def planned(work: Work) -> int:
    """Predictions that metrics and explainers ask for, as the service counts them beforehand."""
    model, files = to_bytes(_canonical(work).model), [str(file) for file in photographs(work)]
    with Client.embedded() as client:
        return client.estimate(model, files, **_asked(work)).predictions


def _asked(work: Work) -> dict[str, Any]:
    curve = {"grid": GRID, "steps": GRID * GRID}
    return {
        "preprocessing": "unit",
        "metrics": [{"deletion": curve}, {"insertion": curve}],
        "explainers": [{"random": {"grid": GRID}}],
        "removals": ["black" if work.kind == "plain" else "layer"],
    }


def photographs(work: Work) -> list[Path]:
    """The files of its images."""
    return sorted(PHOTOGRAPHS.glob("*.jpg"))[: work.images]


def photograph(file: Path) -> SourceImage:
    """A decoded one."""
    pixels = decode_image(file.read_bytes(), ImageLimits(max_pixels=10**8))
    return SourceImage(file.name.encode().hex().ljust(64, "0")[:64], file.name, pixels)


if __name__ == "__main__":
    main()
