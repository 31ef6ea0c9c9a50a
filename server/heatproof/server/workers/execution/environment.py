"""Tells what computes the scores, and how fast it was found to."""

import hashlib
import platform
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np

from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime.backends.providers import ONNX_RUNTIME_VERSION
from heatproof.graphs.runtime.grouping import COUNTS
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.inputs import RunSize
from heatproof.server.workers.tasks import DescribeEnvironment

_PACKAGES: Final = ("heatproof", "onnx", "onnx-ir", "numpy", "scipy")
_IMAGES: Final = ("opencv-python-headless", "pillow", "scikit-image")
_PROCESSOR: Final = Path("/proc/cpuinfo")


def describe_environment(_task: DescribeEnvironment, context: TaskContext) -> dict[str, str]:
    """Lists versions, the processor and the options of the runtime."""
    context.report("describing the environment")
    return {
        **computing_environment(context.model_cache.session_options),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def known_run_sizes(sizes: Iterable[RunSize], context: TaskContext) -> Callable[[str], int]:
    """Tells by the key of a session how many batches a run takes as was measured; 0: not known."""
    batches = {size.key: size.batches for size in sizes if size.batches in COUNTS}
    options = context.model_cache.session_options
    return lambda session: batches.get(_run_size_key(session, options), 0)


def measured_run_sizes(
    model: str, predictor: GraphPredictor, context: TaskContext
) -> Iterator[RunSize]:
    """How many batches the runs of a model take, as far as that was measured."""
    options = context.model_cache.session_options
    for session, batches in predictor.measured_run_sizes().items():
        yield RunSize(model, _run_size_key(session, options), batches)


def _run_size_key(session: str, session_options: str) -> str:
    """SHA-256 of a session and of all that its time depends on."""
    return hashlib.sha256(f"{session}\n{_computing(session_options)}".encode()).hexdigest()


@cache
def _computing(session_options: str) -> str:
    """The environment in one text: it stays while a process lives, and takes milliseconds."""
    return str(sorted(computing_environment(session_options).items()))


def computing_environment(session_options: str) -> dict[str, str]:
    """What of the environment may change the last bits of a score."""
    return {
        **{package: _version(package) for package in (*_PACKAGES, *_IMAGES)},
        "onnxruntime": ONNX_RUNTIME_VERSION,  # whose package has another name for each provider
        "processor": _processor(),
        "processor_features": " ".join(_features()),
        "session_options": session_options,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    """Name of the processor type, on which rounding depends."""
    if _PROCESSOR.is_file():
        for line in _PROCESSOR.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _features() -> list[str]:
    """Instruction sets of this processor that NumPy knows."""
    found = np.show_config(mode="dicts")
    extensions = found.get("SIMD Extensions", {}) if isinstance(found, dict) else {}
    return [*extensions.get("baseline", ()), *extensions.get("found", ())]
