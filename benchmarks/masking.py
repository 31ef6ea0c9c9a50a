"""What layer masking and gradients cost over a plain pass: one table, measured in one run."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from networks import ARCHITECTURES, OPSETS, networks
from timing import interleaved

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
COLUMNS = (
    "network", "opset", "plain ms", "layer-masked", "strict", "with gradient", "memory",
    "memory, planned",
)  # fmt: skip


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
    print("all but the milliseconds as multiples of the plain pass\n")
    print("|", " | ".join(COLUMNS), "|")
    print("|" + "---|" * len(COLUMNS))
    for opset in OPSETS:
        for name, canonical in networks(opset, options.only or "").items():
            if name in ARCHITECTURES or opset == OPSETS[0]:
                measure(name, canonical, options)


def measure(name: str, canonical: CanonicalModel, options: argparse.Namespace) -> None:
    """Prints the row of one network."""
    clock = time.process_time if options.cpu else time.perf_counter
    runs = passes(canonical, options.batch, options.threads)
    seconds = interleaved(runs, options.rounds, clock)
    plain = seconds.pop("plain")
    ratios = [value / plain for value in seconds.values()]
    ratios += peaks(canonical, options.batch, options.threads)
    opset = canonical.model.graph.opset_imports[""]
    figures = " | ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"| {name} | {opset} | {plain * 1e3:.0f} | {figures} |", flush=True)


def passes(canonical: CanonicalModel, batch: int, threads: int) -> dict[str, Callable[[], object]]:
    """A plain pass and its alternatives, with half of every image hidden."""
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
    masked = {mode: ModelPass("benchmark", masking=Masking(mode)) for mode in Mode}
    return {
        "plain": lambda: predictor.submit(ModelPass("benchmark"), Batch(images)).result(),
        "layer-masked": lambda: predictor.submit(
            masked[Mode.REFERENCE], Batch(images, masks)
        ).result(),
        "strict": lambda: predictor.submit(masked[Mode.STRICT], Batch(images, masks)).result(),
        "gradient": lambda: predictor.submit(
            ModelPass("benchmark", wrt=IMAGE), Batch(images, output_gradients=seed)
        ).result(),
    }


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
