"""Peak memory of loading, rewriting and saving large models, as a multiple of the model's size.

Each step runs in a process of its own, and its peak is what the kernel noted for it. What Python
and the libraries take without a model is left out.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import psutil

from heatproof.client import Client
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.files.saving import save_model
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.inspection.inspecting import inspect
from heatproof.graphs.masking import layer_masked
from heatproof.v1.model_service_pb2 import LayerMasking

MEBIBYTE = 1 << 20
CHANNELS = 1024
DATA = "weights.bin"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=512)
    parser.add_argument("--external", action="store_true", help="keep weights in a second file")
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        for name, peak in STEPS[options.step](options.model).items():
            print(f"{name}: {peak}")
        return
    with tempfile.TemporaryDirectory(prefix="heatproof-memory-") as folder:
        path = write(Path(folder), options.mebibytes, external=options.external)
        size = sum(file.stat().st_size for file in path.parent.iterdir())
        print(f"model of {size / MEBIBYTE:.0f} MiB{', external data' if options.external else ''}")
        for step in STEPS:
            for name, peak in measured(step, path):
                print(f"{name}: {peak / MEBIBYTE:.0f} MiB, {peak / size:.2f} x", flush=True)


def measured(step: str, path: Path) -> Iterator[tuple[str, int]]:
    """Runs a step in a process of its own."""
    command = [sys.executable, __file__, "--step", step, "--model", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        name, _, peak = line.rpartition(": ")
        yield name, int(peak)


def write(folder: Path, mebibytes: int, *, external: bool) -> Path:
    """Writes a CNN of 1 x 1 convolutions, each of `CHANNELS` x `CHANNELS` random weights."""
    layers = max(mebibytes * MEBIBYTE // (4 * CHANNELS**2), 1)
    x = ir.val("image", ir.DataType.FLOAT, ir.Shape(["N", 3, 32, 32]))
    inner = [CHANNELS] * layers
    rng = np.random.default_rng(0)
    nodes, weights, value = [], [], x
    for index, (inputs, outputs) in enumerate(zip([3, *inner], [*inner, 10], strict=True)):
        kernel = rng.standard_normal((outputs, inputs, 1, 1), np.float32)
        weights.append(ir.Value(name=f"w{index}", const_value=ir.tensor(kernel, name=f"w{index}")))
        nodes.append(ir.node("Conv", [value, weights[-1]], name=f"c{index}"))
        nodes.append(ir.node("Relu", nodes[-1].outputs, name=f"r{index}"))
        value = nodes[-1].outputs[0]
    pool = ir.node("GlobalAveragePool", [value])
    flat = ir.node("Flatten", pool.outputs)
    scores = flat.outputs[0]
    scores.name, scores.dtype, scores.shape = "scores", ir.DataType.FLOAT, ir.Shape(["N", 10])
    graph = ir.Graph(
        [x],
        [scores],
        nodes=[*nodes, pool, flat],
        initializers=weights,
        opset_imports={"": 18},
        name="large",
    )
    path = folder / "model.onnx"
    ir.save(ir.Model(graph, ir_version=10), path, external_data=DATA if external else None)
    return path


def external_of(path: Path) -> dict[str, Path]:
    return {DATA: path.with_name(DATA)} if path.with_name(DATA).exists() else {}


def peak_of(process: int) -> int:
    """The largest resident size that a process has had, in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def functions(path: Path) -> Mapping[str, int]:
    """The functions of the graphs in this process, one after the other."""
    start, found = peak_of(psutil.Process().pid), {}
    model = load_model(path, external=external_of(path))
    found["load"] = peak_of(psutil.Process().pid) - start
    inspect(model)
    found["load, inspect"] = peak_of(psutil.Process().pid) - start
    return found


def rewrite(build: Callable[[ir.Model], ir.Model], name: str, path: Path) -> Mapping[str, int]:
    start = peak_of(psutil.Process().pid)
    rewritten = build(load_model(path, external=external_of(path)))
    with tempfile.TemporaryDirectory(dir=path.parent.parent) as folder:
        save_model(rewritten, Path(folder) / "out.onnx")
    return {f"load, {name}, save": peak_of(psutil.Process().pid) - start}


def server(path: Path) -> Mapping[str, int]:
    """The whole way by a client and its server: upload, inspect, rewrite, download."""
    own = psutil.Process()
    with tempfile.TemporaryDirectory(dir=path.parent.parent) as folder, Client.embedded() as client:
        client.catalog()
        starts = {process.pid: peak_of(process.pid) for process in family(own)}
        client.rewrite(path, Path(folder) / "out.onnx", LayerMasking())
        peaks = {process.pid: peak_of(process.pid) for process in family(own)}
    names = {own.pid: "client", **{pid: "server or worker" for pid in peaks if pid != own.pid}}
    return {
        f"{names[pid]} {index}": peak - starts.get(pid, 0)
        for index, (pid, peak) in enumerate(sorted(peaks.items()))
    }


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


STEPS: dict[str, Callable[[Path], Mapping[str, int]]] = {
    "functions": functions,
    "masked": lambda path: rewrite(layer_masked, "mask", path),
    "differentiated": lambda path: rewrite(differentiated, "differentiate", path),
    "server": server,
}


if __name__ == "__main__":
    main()
