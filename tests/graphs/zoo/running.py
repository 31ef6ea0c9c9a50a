"""Runs the checks, each model in a process of its own under limits of time and memory."""

import copy
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import torch
from torch import nn

from heatproof.evaluators.errors import HeatproofError
from heatproof.graphs.files.loading import load_model
from tests.graphs.zoo.checks import Finding, failure, gradients, masking, refusal, unloadable
from tests.graphs.zoo.exporting import Export, write
from tests.graphs.zoo.families import Model
from tests.graphs.zoo.journal import Record
from tests.graphs.zoo.networks import DeadNetworkError, built
from tests.graphs.zoo.planning import Task

MEMORY = 12 << 30
SECONDS = 900
"""For one export and its checks."""

_PRELOADED = ["timm", "torchvision", "torch.onnx", "onnxscript", "tests.graphs.zoo.checks"]
_THREADS = 1


def context() -> ForkServerContext:
    """Starts processes from one that has loaded the libraries and computed nothing."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_PRELOADED)
    return found


def records(task: Task, processes: ForkServerContext) -> Iterator[Record]:
    """One record an export; a process that dies or hangs costs its own export only."""
    waiting = list(task.exports)
    while waiting:
        receiver, sender = processes.Pipe(duplex=False)
        process = processes.Process(target=_examine, args=(task, tuple(waiting), sender))
        process.start()
        sender.close()
        with closing(receiver):
            try:
                while waiting and receiver.poll(SECONDS):
                    yield receiver.recv()
                    waiting.pop(0)
                end = f"took more than {SECONDS} s"
            except EOFError:
                process.join()
                end = f"the process ended with code {process.exitcode}"
        process.kill()
        process.join()
        if waiting:
            yield replace(_record(task.model, waiting.pop(0)), unwritten=end)


def _record(model: Model, export: Export) -> Record:
    return Record(model=str(model), export=str(export), half=export.half)


def _examine(task: Task, exports: tuple[Export, ...], sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    torch.set_num_threads(_THREADS)
    network: nn.Module | None = None
    for export in exports:
        start = time.monotonic()
        try:
            network = network or built(task.model)
            record = _examined(task, network, export)
        except DeadNetworkError as error:
            record = replace(_record(task.model, export), unwritten=str(error))
        sender.send(replace(record, seconds=time.monotonic() - start))


def _examined(task: Task, network: nn.Module, export: Export) -> Record:
    """Exports and checks; gradients compare with a float64 network of the same weights."""
    record = _record(task.model, export)
    network = copy.deepcopy(network).to(export.dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        try:
            opset = write(network, task.model.size, export, path)
        except Exception as error:  # noqa: BLE001 - of torch's exporter, which has no common one
            return replace(record, unwritten=failure(error).reason)
        if fault := unloadable(path):
            return replace(record, unwritten=fault)
        masks, differentiates = _findings(path, bool(task.mixes), network.double())
    return replace(record, opset=opset, masking=masks, gradients=differentiates)


def _findings(path: Path, mixes: bool, network: nn.Module) -> tuple[Finding, Finding]:
    """Of masking and of gradients."""
    try:
        model = load_model(path)
    except HeatproofError as error:
        return failure(error), failure(error)
    masks = _found(lambda: refusal(model) if mixes else masking(model, network))
    return masks, _found(lambda: gradients(model, network))


def _found(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever a rewrite raises is what the table tells
        return failure(error)
