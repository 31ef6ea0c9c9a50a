"""Networks that OpenVINO runs on a processor, in float32."""

import re
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import onnx_ir as ir
import onnxruntime as ort

from heatproof.evaluators.errors import (
    FailedPreconditionError,
    InvalidModelError,
    ResourceExhaustedError,
)
from heatproof.graphs.files.saving import weight_bytes
from heatproof.graphs.runtime.backends.network import Array, Feed
from heatproof.graphs.runtime.backends.providers import OPENVINO_PRECISION
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.folding import folds_within_budget

if TYPE_CHECKING:
    import openvino

MOST_WEIGHT_BYTES: Final = 1_800_000_000
"""OpenVINO is handed a network as one message of protobuf, which ends at 2 GiB."""

_SOURCE: Final = re.compile(r"(?:Check '.*?' failed|Exception from) (?:at )?\S+?:\d+:?")


class OpenvinoNetwork:
    """One graph in OpenVINO. Implements `network.Network`."""

    def __init__(self, compiled: "openvino.CompiledModel", outputs: tuple[str, ...]) -> None:
        self._compiled = compiled
        self._outputs = outputs
        self._lock = threading.Lock()
        self._idle: list[openvino.InferRequest] = []

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        return self._outputs

    def run(
        self, feeds: Mapping[str, Feed], outputs: Sequence[str], cancellation: Cancellation
    ) -> list[Array]:
        """Computes outputs by name; a cancelled pass ends between two nodes, and a loop is one."""
        arrays = {name: _array(feed) for name, feed in feeds.items()}
        request = self._request()
        try:
            with cancellation.run(request.cancel):
                request.start_async(arrays, share_inputs=True)
                if cancellation.cancelled:  # before there was anything to stop
                    request.cancel()
                request.wait()
                found = [request.get_tensor(name).data.copy() for name in outputs]
        except RuntimeError as error:
            raise _failure("the model failed while running", error) from error
        with self._lock:
            self._idle.append(request)
        return found

    def _request(self) -> "openvino.InferRequest":
        """One that no other thread uses; those that failed are not used again."""
        with self._lock:
            return self._idle.pop() if self._idle else self._compiled.create_infer_request()


def open_in_openvino(model: ir.Model, settings: SessionSettings) -> OpenvinoNetwork:
    """Opens a lowered graph, whose weights OpenVINO copies.

    Raises:
        FailedPreconditionError: OpenVINO cannot run it.
        ResourceExhaustedError: memory ran out.
    """
    if weight_bytes(model) > MOST_WEIGHT_BYTES:
        raise _unusable("its weights are above 1.8 GB")
    if not folds_within_budget(model):  # which OpenVINO would do whatever it costs
        raise _unusable("its constants cost too much to fold")
    source = ir.to_proto(model).SerializeToString()
    try:
        core = _core()
        compiled = core.compile_model(core.read_model(source), "CPU", native_properties(settings))
    except RuntimeError as error:
        if _is_of_memory(error):
            raise _failure("the model was not opened", error) from error
        raise _unusable(told_by_openvino(error)) from error
    return OpenvinoNetwork(compiled, tuple(str(value.name) for value in model.graph.outputs))


def native_properties(settings: SessionSettings) -> dict[str, str | int | bool]:
    """What OpenVINO is asked for: as many runs at once as there are, each on its threads."""
    return {
        **OPENVINO_PRECISION,
        "NUM_STREAMS": settings.side_by_side,
        "INFERENCE_NUM_THREADS": settings.threads * settings.side_by_side,
        "ENABLE_CPU_PINNING": False,
    }


def told_by_openvino(error: Exception) -> str:
    """The message of an error of OpenVINO on one line, without places in its sources."""
    return " ".join(_SOURCE.sub("", str(error)).split())


@cache
def _core() -> "openvino.Core":
    # It would tell Intel of its use, and writes into the home folder; as if it were not installed.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # makes an import fail
    import openvino  # noqa: PLC0415  # an extra, and a third of a second

    return openvino.Core()


def _array(feed: Feed) -> Array:
    return feed.numpy() if isinstance(feed, ort.OrtValue) else feed


def _is_of_memory(error: Exception) -> bool:
    return "bad_alloc" in str(error) or "could not allocate" in str(error).lower()


def _unusable(reason: str) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"OpenVINO cannot run this network: {reason}; run the server with provider cpu",
        field="provider",
    )


def _failure(fault: str, error: Exception) -> InvalidModelError | ResourceExhaustedError:
    text = told_by_openvino(error)
    if _is_of_memory(error):
        return ResourceExhaustedError(f"memory ran out: {text}; use smaller images or batches")
    return InvalidModelError(f"{fault}: {text}; check the model with openvino")
