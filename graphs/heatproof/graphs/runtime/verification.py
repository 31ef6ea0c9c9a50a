"""Checks a written model before it is handed out: nobody gets a file that nobody can load."""

from pathlib import Path

import onnx
import onnxruntime as ort

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.files.skeletons import skeleton_of
from heatproof.graphs.runtime.backends.onnxruntime_networks import told_by_onnxruntime

AFFORDABLE_BYTES = 256 << 20
"""Files up to this size are loaded whole, larger ones without their weights."""


def verify_file(path: Path, *, affordable: int = AFFORDABLE_BYTES) -> None:
    """Returns if `onnx.checker` accepts a model file and ONNX Runtime opens it.

    The files of its weights lie beside it. Of a file above `affordable` bytes, weights included,
    the graph is checked and opened with its large weights as inputs: that takes no memory for them
    and settles all else, names, order, types, shapes and kernels.

    Raises:
        UnsupportedModelError: it is not accepted, with the reason. The file is deleted.
    """
    total = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
    try:
        if total <= affordable:
            _open(path)
        else:
            _open(skeleton_of(path))
    except Exception as error:  # of the checker, the runtime, or the message: all say the same
        path.unlink()
        text = told_by_onnxruntime(error).replace(f"{path.parent}/", "")
        raise UnsupportedModelError(
            f"the rewritten model is not valid, so it is not handed out: {text}; if "
            "onnxruntime loads the original, this is a fault of Heatproof: report it with the model"
        ) from error


def _open(model: Path | onnx.ModelProto) -> None:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    onnx.checker.check_model(model)
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
