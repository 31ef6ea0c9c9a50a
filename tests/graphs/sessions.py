"""Opens models in ONNX Runtime; needs no fixtures, so that scripts can use it too."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray

Array = NDArray[Any]
Run = Callable[..., dict[str, Array]]
_STANDARD_ERROR = 2  # ONNX Runtime writes there from C++


def opened(model: ir.Model, *, fused: bool = True, checked: bool = True, threads: int = 1) -> Run:
    """Checks a model and opens it in ONNX Runtime; feeds are keyword arguments."""
    proto = ir.to_proto(model)
    if checked:
        onnx.checker.check_model(proto, full_check=True)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    if not fused:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]

    def run(**feeds: Array) -> dict[str, Array]:
        results: Any = session.run(names, feeds)  # arrays alone, of tensors
        return dict(zip(names, results, strict=True))

    return run


@contextmanager
def complaints() -> Iterator[list[str]]:
    """Collects what native code writes to standard error; complete when the block has ended."""
    lines: list[str] = []
    kept = os.dup(_STANDARD_ERROR)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as caught:
        os.dup2(caught.fileno(), _STANDARD_ERROR)
        try:
            yield lines
        finally:
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)
            caught.seek(0)
            lines.extend(caught.read().splitlines())
