"""Prints the peak memory in MiB of a process that does nothing but run a model.

python -m benchmarks.passes.peak MODEL BATCH THREADS [--planned]

`--planned` leaves ONNX Runtime's planning of memory on, as the sessions of Heatproof do.
"""

import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort

PASSES = 3  # what is planned counts from the second


def main() -> None:
    path, batch, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_mem_pattern = "--planned" in sys.argv
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {given.name: feed(batch, given.shape[1:]) for given in session.get_inputs()}
    for _ in range(PASSES):
        session.run(None, feeds)
    print(peak_mebibytes())


def peak_mebibytes() -> float:
    """Peak of the resident memory; getrusage would inherit that of the parent process. Linux."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def feed(batch: int, shape: list[int]) -> np.ndarray:
    """Ones on the left half of every channel: an image, or a mask."""
    array = np.zeros((batch, *shape), np.float32)
    array[..., : shape[-1] // 2] = 1
    return array


if __name__ == "__main__":
    main()
