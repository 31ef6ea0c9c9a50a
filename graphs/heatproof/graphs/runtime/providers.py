"""On what ONNX Runtime runs networks: its execution providers, all in float32."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

import onnxruntime as ort

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.graphs.lowering import Platform

RUNTIME_VERSION: Final[str] = ort.__version__
"""Version of ONNX Runtime, whatever the package is called that it came in."""

NativeProvider: TypeAlias = tuple[str, dict[str, str]]
"""Name of an execution provider in ONNX Runtime, and its options."""


class Provider(StrEnum):
    """What runs networks. Values may be added."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"


@dataclass(frozen=True, slots=True)
class _Runtime:
    """How ONNX Runtime is asked for a provider.

    Attributes:
        native: its execution providers, the preferred one first; what it cannot run goes to the
            next, and to the processor in the end.
        platform: what graphs are lowered for.
        distribution: the package whose ONNX Runtime has it.
        device: where tensors lie, as ONNX Runtime names it.
        composes: whether graphs draw their rows themselves, unless a setting says otherwise.
    """

    native: tuple[tuple[str, Mapping[str, str]], ...]
    platform: Platform
    distribution: str
    device: str = "cpu"
    composes: bool = False


# Products of 32 bits everywhere: TF32, float16 and bfloat16 are faster, and change scores. Kernels
# are not chosen by timing them, which would choose others the next time.
_CUDA: Final = (
    "CUDAExecutionProvider",
    {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
)
_TENSORRT: Final = ("TensorrtExecutionProvider", {"trt_fp16_enable": "0", "trt_int8_enable": "0"})
_OPENVINO: Final = ("OpenVINOExecutionProvider", {"device_type": "CPU", "precision": "FP32"})
_RUNTIMES: Final[Mapping[Provider, _Runtime]] = MappingProxyType(
    {
        Provider.CPU: _Runtime((), Platform.CPU, "onnxruntime"),
        Provider.CUDA: _Runtime((_CUDA,), Platform.CUDA, "onnxruntime-gpu", "cuda", composes=True),
        # TensorRT builds an engine anew, for minutes, once an input has a size beyond those it has
        # had; how many images a batch shows varies.
        Provider.TENSORRT: _Runtime((_TENSORRT, _CUDA), Platform.CUDA, "onnxruntime-gpu", "cuda"),
        Provider.OPENVINO: _Runtime((_OPENVINO,), Platform.OPENVINO, "onnxruntime-openvino"),
    }
)


def native_providers(provider: Provider) -> list[NativeProvider]:
    """The execution providers of ONNX Runtime with their options, the processor last.

    All compute in float32.
    """
    held = [(name, dict(options)) for name, options in _RUNTIMES[provider].native]
    return [*held, ("CPUExecutionProvider", {})]


def platform_of(provider: Provider) -> Platform:
    """What graphs are lowered for."""
    return _RUNTIMES[provider].platform


def device_of(provider: Provider) -> str:
    """Where tensors lie that networks read, as ONNX Runtime names it."""
    return _RUNTIMES[provider].device


def composes(provider: Provider) -> bool:
    """Whether graphs draw their rows themselves, unless a setting says otherwise."""
    return _RUNTIMES[provider].composes


def require_installed(provider: Provider, installed: Sequence[str] | None = None) -> None:
    """Refuses a provider that the ONNX Runtime of this environment lacks.

    Args:
        provider: what is to run networks.
        installed: names of the execution providers that there are; by default what ONNX Runtime
            says.

    Raises:
        FailedPreconditionError: names what is there, and the package that has it.
    """
    there = ort.get_available_providers() if installed is None else installed
    if {name for name, _ in native_providers(provider)} <= set(there):
        return
    usable = [
        str(one) for one in Provider if {name for name, _ in native_providers(one)} <= set(there)
    ]
    package = _RUNTIMES[provider].distribution
    raise FailedPreconditionError(
        f"this ONNX Runtime {RUNTIME_VERSION} cannot run networks by {provider}, but by "
        f"{', '.join(usable)}: install {package} in place of the onnxruntime there is, or choose "
        "another provider",
        field="provider",
    )
