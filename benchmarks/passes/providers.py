"""Passes of OpenVINO over those of ONNX Runtime, both on this processor.

    python -m benchmarks.passes.providers [--network NAME] [--passes 24] [--rounds 5]

Each runs the batches that a server would, as many at once as there are cores, in a process of its
own, in turns.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from itertools import product
from types import MappingProxyType
from typing import Final

import numpy as np
import onnxruntime as ort

from benchmarks.alone import alternating, ratios
from benchmarks.networks import names, networks
from benchmarks.passes.predictors import MODEL, predictor_of
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Batch
from heatproof.evaluators.removal import Masking
from heatproof.graphs.runtime import SessionSettings
from heatproof.graphs.runtime.backends.providers import Provider

COLUMNS: Final = ("network", "pass", "openvino's time over cpu's")

_BATCH: Final = 2
_PASSES: Final[Mapping[str, ModelPass]] = MappingProxyType(
    {
        "plain": ModelPass(MODEL),
        "layer-masked": ModelPass(MODEL, masking=Masking()),
        "gradient": ModelPass(MODEL, wrt=IMAGE),
    }
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="", help="part of a network's name")
    parser.add_argument("--passes", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(
        f"OpenVINO {version('openvino')}, ONNX Runtime {ort.__version__}, {cores} cores; "
        "median and range of the rounds\n"
    )
    print("|", " | ".join(COLUMNS), "|\n|" + "---|" * len(COLUMNS))
    for network, kind in product(names(options.network), _PASSES):
        makers = {
            provider: partial(made, network, kind, Provider(provider), options.passes, cores)
            for provider in ("cpu", "openvino")
        }
        found = ratios(alternating(makers, options.rounds), "cpu")["openvino"]
        print("|", " | ".join((network, kind, str(found))), "|", flush=True)


def made(
    network: str, kind: str, provider: Provider, passes: int, cores: int
) -> Callable[[], object]:
    """A call that runs so many batches."""
    canonical = networks(part=network)[network]
    settings = SessionSettings(cores, provider=provider)
    predictor = predictor_of(canonical, settings, batch=_BATCH)
    batches = [_drawn(kind, canonical.height, canonical.classes, seed) for seed in range(passes)]

    def run() -> None:
        for pending in [predictor.submit(_PASSES[kind], batch) for batch in batches]:
            pending.result()

    return run


def _drawn(kind: str, side: int, classes: int, seed: int) -> Batch:
    random = np.random.default_rng(seed)
    images = random.random((_BATCH, 3, side, side), np.float32)
    if kind == "gradient":
        return Batch(images, output_gradients=np.eye(_BATCH, classes, dtype=np.float32))
    if kind == "plain":
        return Batch(images)
    cells = random.random((_BATCH, 7, 7)) < 0.5
    return Batch(images, masks=np.kron(cells, np.ones((side // 7, side // 7), np.bool_)))


if __name__ == "__main__":
    main()
