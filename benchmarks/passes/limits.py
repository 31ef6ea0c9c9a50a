"""Three ratios of every evaluation: engine / bare runtime, bare / roofline, distinct / planned.

The roofline is what the cores multiply and add in a large float32 matrix product; nothing that
convolves gets there, least of all depthwise convolutions, which wait for memory.
"""

import os
import time
from itertools import product
from typing import Final

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from benchmarks.networks import BUNDLED_NAME, networks
from benchmarks.passes.engine import NETWORKS, REMOVALS, Nearness, Work, measured, planned
from benchmarks.sections import Section, Table
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.inspection.inspecting import inspect

COLUMNS: Final = (
    "network", "pass", "rows", "best bare: batch x threads x streams", "bare rows/s",
    "engine / bare", "service / bare", "bare / roofline", "distinct / planned",
)  # fmt: skip
IMAGES: Final = {BUNDLED_NAME: 16, "ResNet-50": 2}
"""Enough that what a request takes once is small against its passes."""
_OPSET: Final = 17


def section(*, quick: bool) -> Section:
    """Measures the networks of the engine's benchmark."""
    cores = len(os.sched_getaffinity(0))
    peak = peak_multiply_adds(side=512 if quick else 2048, cores=cores)
    names = (BUNDLED_NAME,) if quick else NETWORKS
    kinds = ("plain",) if quick else tuple(REMOVALS)
    rows = []
    for name, kind in product(names, kinds):
        work = Work(name, kind, images=1 if quick else IMAGES[name], cores=cores)
        rows.append(_row(work, measured(work, rounds=1 if quick else 2), peak))
    return Section(
        "Engine, runtime and machine",
        "Deletion and insertion curves of random maps over photographs, in the engine alone and "
        "over gRPC from JPEG files, against bare ONNX Runtime on as many rows at the best batch, "
        "threads and streams of a sweep. Planned are the predictions that metrics and explainers "
        "ask for by the plan, distinct those that are run. The roofline is the rate of a large "
        "float32 matrix product in ONNX Runtime over the multiply-adds of the plain network, so "
        "that layer masking counts as cost and not as work.",
        (
            f"Matrix product: {peak / 1e9:.0f} billion multiply-adds a second on {cores} cores.",
            Table(COLUMNS, tuple(rows)),
        ),
    )


def _row(work: Work, found: Nearness, peak: float) -> tuple[object, ...]:
    roofline = peak / multiply_adds(work.network)
    return (
        work.network, work.kind, found.rows, found.way, f"{found.bare:.0f}", found.engine,
        found.service, f"{found.bare / roofline:.2f}", f"{found.rows / planned(work):.2f}",
    )  # fmt: skip


def multiply_adds(network: str) -> int:
    """Of one row of the plain network."""
    return inspect(networks(part=network)[network].model).multiply_adds


def peak_multiply_adds(*, side: int, cores: int) -> float:
    """Multiply-adds a second of a matrix product of this side, the best of some."""
    a, b, c = (
        ir.Value(name=name, shape=ir.Shape([side, side]), type=ir.TensorType(ir.DataType.FLOAT))
        for name in "abc"
    )
    graph = ir.Graph(
        [a, b],
        [c],
        nodes=[ir.node("MatMul", [a, b], outputs=[c])],
        opset_imports={"": _OPSET},
        name="product",
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = cores
    model = to_bytes(ir.Model(graph, ir_version=10))
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    feeds = {name: rng.random((side, side), np.float32) for name in "ab"}
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        session.run(None, feeds)
        seconds.append(time.perf_counter() - start)
    return side**3 / min(seconds)
