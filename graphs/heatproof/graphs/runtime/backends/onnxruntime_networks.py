"""Networks that ONNX Runtime runs, which borrow their weights from the graph."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from onnxruntime.capi import (
    onnxruntime_pybind11_state as ort_errors,  # pyright: ignore[reportAttributeAccessIssue] # native
)

from heatproof.evaluators.errors import InvalidModelError, ResourceExhaustedError
from heatproof.graphs.runtime.backends.network import Array, Feed
from heatproof.graphs.runtime.backends.providers import (
    Runtime,
    native_providers,
    runtime_of,
)
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.folding import folds_within_budget

SHARED_BYTES: Final = 1024
"""Weights above this are lent to ONNX Runtime instead of copied into the model's bytes."""

SHAPING_BYTES: Final = 1 << 20
"""Integers up to this are copied too: they may be sizes, which ONNX Runtime reads early."""

_FOLDING: Final = ["ConstantFolding"]

_SHAREABLE: Final = frozenset(
    {ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.INT8, ir.DataType.UINT8}
    | {ir.DataType.INT32, ir.DataType.INT64}
)
_FAILURES: Final = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
_SOURCE: Final = re.compile(r"/\S*?\.(?:cc|h|cpp):\d+ ")


class OnnxRuntimeNetwork:
    """One graph in ONNX Runtime. Implements `network.Network`.

    Attributes:
        inputs: what it is fed.
    """

    def __init__(self, native: ort.InferenceSession, weights: Mapping[str, ort.OrtValue]) -> None:
        self.inputs: tuple[ort.NodeArg, ...] = tuple(native.get_inputs())
        self._native = native
        self._weights = weights  # ONNX Runtime reads them but does not own them
        self._outputs = tuple(output.name for output in native.get_outputs())

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return self._outputs

    def run(
        self, feeds: Mapping[str, Feed], outputs: Sequence[str], cancellation: Cancellation
    ) -> list[Array]:
        """Computes outputs by name; a cancelled pass ends between two nodes."""
        options = ort.RunOptions()

        def stop() -> None:
            options.terminate = True

        try:
            with cancellation.run(stop):
                found = self._native.run(list(outputs), dict(feeds), options)
                return [np.asarray(array) for array in found]
        except _FAILURES as error:
            raise _domain_error("the model failed while running", error) from error


def open_in_onnxruntime(model: ir.Model, settings: SessionSettings) -> OnnxRuntimeNetwork:
    """Opens a lowered graph, of which only its large weights are of use afterwards.

    Constants that cost too much to fold are left to be computed when the model runs.

    Raises:
        InvalidModelError: ONNX Runtime refuses the model.
        ResourceExhaustedError: memory ran out.
    """
    weights = {
        name: _lent(value.const_value)
        for name, value in model.graph.initializers.items()
        if value.const_value is not None and _is_shared(value)
    }
    disabled = None if folds_within_budget(model) else _FOLDING
    source = _skeleton(model, weights)
    options = native_options(settings)
    if weights:
        options.add_external_initializers(list(weights), list(weights.values()))
    providers = native_providers(settings.provider)
    try:
        native = ort.InferenceSession(
            source, options, providers=providers, disabled_optimizers=disabled
        )
    except _FAILURES as error:
        raise _domain_error("ONNX Runtime refuses the model", error) from error
    return OnnxRuntimeNetwork(native, weights)


def native_options(settings: SessionSettings) -> ort.SessionOptions:
    """Fresh options, deterministic: one operator after the other, fixed reductions."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    # Threads that spin after a pass take the processor from whatever runs next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if settings.fused else levels.ORT_DISABLE_ALL
    )
    options.use_deterministic_compute = True
    # Passes side by side would hand each other chunks that lie in another core's cache: memory is
    # planned as one block for each, which costs little while a run has few rows.
    options.enable_mem_pattern = True
    options.log_severity_level = settings.log_severity
    return options


def modes_in_words(settings: SessionSettings) -> str:
    """How graphs are optimized and run, in words."""
    if runtime_of(settings.provider) is not Runtime.ONNX_RUNTIME:
        return "optimized by what runs them"
    options = native_options(settings)
    return (
        f"{options.execution_mode}, {options.graph_optimization_level}, "
        f"deterministic={options.use_deterministic_compute}"
    )


def told_by_onnxruntime(error: Exception) -> str:
    """The message of an error of ONNX Runtime on one line, without places in its sources."""
    return " ".join(_SOURCE.sub("", str(error)).split())


def _is_shared(value: ir.Value) -> bool:
    tensor = value.const_value
    return (
        tensor is not None
        and tensor.dtype in _SHAREABLE
        and tensor.nbytes > _least_shared(tensor.dtype)
        and not value.is_graph_output()
        and bool(value.uses())  # what nobody reads is gone when weights are lent
    )


def _least_shared(dtype: ir.DataType) -> int:
    return SHAPING_BYTES if dtype in {ir.DataType.INT32, ir.DataType.INT64} else SHARED_BYTES


def _lent(tensor: ir.TensorProtocol) -> ort.OrtValue:
    array = np.require(tensor.numpy(), requirements=["C", "A"])
    return ort.OrtValue.ortvalue_from_numpy(array)


def _skeleton(model: ir.Model, weights: Mapping[str, ort.OrtValue]) -> bytes:
    """The bytes of a model whose lent weights become mere references, in place."""
    for name in weights:
        value = model.graph.initializers[name]
        tensor = value.const_value
        if tensor is not None:
            value.const_value = ir.ExternalTensor(
                f"lent:{name}", 0, tensor.nbytes, tensor.dtype, shape=_shape(tensor), name=name
            )
    return ir.to_proto(model).SerializeToString()


def _shape(tensor: ir.TensorProtocol) -> ir.Shape:
    return ir.Shape(tensor.shape.numpy())


def _domain_error(fault: str, error: Exception) -> InvalidModelError | ResourceExhaustedError:
    text = told_by_onnxruntime(error)
    if "bad allocation" in text or "Failed to allocate" in text or "bad_alloc" in text:
        return ResourceExhaustedError(f"memory ran out: {text}; use smaller images or batches")
    return InvalidModelError(f"{fault}: {text}; check the model with onnxruntime")
