"""Whether masked networks are slower than another checkout's, or answer otherwise.

    python -m benchmarks.passes.rewrites write before/      # in the other checkout
    python -m benchmarks.passes.rewrites compare before/    # in this one

One run times both, turn by turn; half of every image is hidden.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort

from benchmarks.networks import ARCHITECTURES, OPSETS, networks
from benchmarks.timing import interleaved
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.lowering import Platform, lowered
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.masking.options import MaskingOptions, Mode

MASK = "mask"


def main() -> None:
    """Writes the masked networks, or prints a row for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("action", choices=("write", "compare"))
    parser.add_argument("folder", type=Path, help="masked networks of the other checkout")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="part of a network's name")
    options = parser.parse_args()
    if options.action == "write":
        options.folder.mkdir(parents=True, exist_ok=True)
        for name, masked in masked_networks(options.only):
            (options.folder / name).write_bytes(masked)
        return
    print(f"ONNX Runtime {ort.__version__}, batch {options.batch}, {options.threads} threads\n")
    print("| network, opset, mode | before, ms | after / before | equal bits |\n|---|---|---|---|")
    for name, masked in masked_networks(options.only):
        compare(options.folder / name, masked, options)


def masked_networks(only: str) -> Iterator[tuple[str, bytes]]:
    """Names of files, and ONNX as it is run on this platform."""
    for opset in OPSETS:
        for name, canonical in networks(opset, only).items():
            for mode in Mode if name in ARCHITECTURES or opset == OPSETS[0] else ():
                masked = layer_masked(canonical.model, MaskingOptions(mode=mode))
                yield f"{name}, {opset}, {mode}.onnx", to_bytes(lowered(masked, Platform.CPU))


def compare(before: Path, after: bytes, options: argparse.Namespace) -> None:
    """Prints the row of one network."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, before.name)
        written.write_bytes(after)
        sessions = [session(path, options.threads) for path in (before, written)]
    feeds = inputs(sessions[0], options.batch)
    names = [output.name for output in sessions[0].get_outputs()]
    old, new = (each.run(names, feeds) for each in sessions)
    pairs = zip(old, new, strict=True)
    equal = all(np.array_equal(one, other, equal_nan=True) for one, other in pairs)
    calls = {
        "before": lambda: sessions[0].run(names, feeds),
        "after": lambda: sessions[1].run(names, feeds),
    }
    seconds = interleaved(calls, options.rounds)
    ratio = seconds["after"] / seconds["before"]
    print(f"| {before.stem} | {seconds['before'] * 1e3:.0f} | {ratio:.3f} | {equal} |", flush=True)


def session(path: Path, threads: int) -> ort.InferenceSession:
    """A network that is ready to run."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    return ort.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def inputs(network: ort.InferenceSession, batch: int) -> dict[str, np.ndarray]:
    """Random images, and masks that hide their right halves."""
    shapes = {one.name: [batch, *one.shape[1:]] for one in network.get_inputs()}
    rng = np.random.default_rng(0)
    feeds = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    visible = np.zeros(shapes[MASK], np.float32)
    visible[..., : visible.shape[-1] // 2] = 1
    return feeds | {MASK: visible}


if __name__ == "__main__":
    main()
