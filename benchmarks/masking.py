"""What layer masking and gradients cost over a plain pass: one table, measured in one run.

Every kind of pass has a process of its own, and one works at a time, in turns.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort
from alone import alternating, ratios
from networks import ARCHITECTURES, OPSETS, names, networks

from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Batch
from heatproof.evaluators.removal import Masking, Mode
from heatproof.graphs.canonical import CanonicalModel
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.lowering import Platform, lowered
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.predictor import OrtPredictor
from heatproof.graphs.runtime import Cancellation, SessionCache, SessionSettings

PEAK = Path(__file__).with_name("peak.py")
KINDS = ("plain", "layer-masked", "strict", "with gradient")
COLUMNS = ("network", "opset", "plain ms", *KINDS[1:], "memory", "memory, planned")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", help="part of a network's name")
    parser.add_argument(
        "--cpu", action="store_true", help="time of the processor, for machines that are not idle"
    )
    options = parser.parse_args()
    print(f"ONNX Runtime {ort.__version__}, batch {options.batch}, {options.threads} threads;")
    print(
        "all but the milliseconds as multiples of the plain pass: median and range of the rounds\n"
    )
    print("|", " | ".join(COLUMNS), "|")
    print("|" + "---|" * len(COLUMNS))
    for opset in OPSETS:
        for name in names(options.only or ""):
            if name in ARCHITECTURES or opset == OPSETS[0]:
                measure(name, opset, options)


def measure(name: str, opset: int, options: argparse.Namespace) -> None:
    """Prints the row of one network."""
    clock = time.process_time if options.cpu else time.perf_counter
    makers = {
        kind: partial(one_pass, name, opset, kind, options.batch, options.threads) for kind in KINDS
    }
    seconds = alternating(makers, options.rounds, clock)
    plain = median(seconds["plain"])
    found = ratios(seconds, "plain")
    memory = peaks(networks(opset, name)[name], options.batch, options.threads)
    cells = [f"{plain * 1e3:.0f}", *(str(found[kind]) for kind in KINDS[1:])]
    cells += [f"{ratio:.2f}" for ratio in memory]
    print(f"| {name} | {opset} | {' | '.join(cells)} |", flush=True)


def one_pass(name: str, opset: int, kind: str, batch: int, threads: int) -> Callable[[], object]:
    """A session of its own for one kind of pass, with half of every image hidden."""
    canonical = networks(opset, name)[name]
    images = np.random.default_rng(0).random(
        (batch, 3, canonical.height, canonical.width), np.float32
    )
    masks = np.zeros((batch, canonical.height, canonical.width), bool)
    masks[:, :, : canonical.width // 2] = True
    seed = np.eye(canonical.classes, dtype=np.float32)[np.arange(batch)]
    predictor = OrtPredictor(
        canonical,
        SessionCache(4 << 30, SessionSettings(threads)),
        model="benchmark",
        batch_size=batch,
        cancellation=Cancellation(),
    )
    run, held = {
        "plain": (ModelPass("benchmark"), Batch(images)),
        "layer-masked": (_masking(Mode.REFERENCE), Batch(images, masks)),
        "strict": (_masking(Mode.STRICT), Batch(images, masks)),
        "with gradient": (ModelPass("benchmark", wrt=IMAGE), Batch(images, output_gradients=seed)),
    }[kind]
    return lambda: predictor.submit(run, held).result()


def _masking(mode: Mode) -> ModelPass:
    return ModelPass("benchmark", masking=Masking(mode))


def peaks(canonical: CanonicalModel, batch: int, threads: int) -> list[float]:
    """Peak memory of a process that runs the layer-masked model over one that runs the plain."""
    with tempfile.TemporaryDirectory() as folder:
        plain, masked = Path(folder, "plain.onnx"), Path(folder, "masked.onnx")
        plain.write_bytes(to_bytes(canonical.model))
        masked.write_bytes(to_bytes(lowered(layer_masked(canonical.model), Platform.CPU)))
        return [
            _peak(masked, batch, threads, *planned) / _peak(plain, batch, threads, *planned)
            for planned in ((), ("--planned",))
        ]


def _peak(model: Path, batch: int, threads: int, *flags: str) -> float:
    command = [sys.executable, str(PEAK), str(model), str(batch), str(threads), *flags]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
