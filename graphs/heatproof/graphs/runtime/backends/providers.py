"""What runs networks: execution providers of ONNX Runtime, and OpenVINO, all in float32."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from importlib.metadata import version
from importlib.util import find_spec
from types import MappingProxyType
from typing import Final, TypeAlias

import onnxruntime as ort

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.graphs.lowering import Platform

ONNX_RUNTIME_VERSION: Final[str] = ort.__version__
"""Whatever the package is called that it came in."""

_OPENVINO: Final = "openvino"
"""The package."""

NativeProvider: TypeAlias = tuple[str, dict[str, str]]
"""Name of an execution provider in ONNX Runtime, and its options."""


class Runtime(Enum):
    """Libraries that run graphs."""

    ONNX_RUNTIME = auto()
    OPENVINO = auto()


class Provider(StrEnum):
    """What runs networks. Values may be added."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"


@dataclass(frozen=True, slots=True)
class _Way:
    """How a provider is asked for.

    Attributes:
        native: its execution providers in ONNX Runtime, the preferred one first; what it cannot run
            goes to the next, and to the processor in the end.
        platform: what graphs are lowered for.
        remedy: what is installed to have it.
        runtime: what opens graphs.
        device: where tensors lie, as ONNX Runtime names it.
        composes: whether graphs draw their rows themselves, unless a setting says otherwise.
    """

    native: tuple[tuple[str, Mapping[str, str]], ...]
    platform: Platform
    remedy: str
    runtime: Runtime = Runtime.ONNX_RUNTIME
    device: str = "cpu"
    composes: bool = False


# Products of 32 bits everywhere: TF32, float16 and bfloat16 are faster, and change scores. Kernels
# are not chosen by timing them, which would choose others the next time.
_CUDA: Final = (
    "CUDAExecutionProvider",
    {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"},
)
_TENSORRT: Final = ("TensorrtExecutionProvider", {"trt_fp16_enable": "0", "trt_int8_enable": "0"})
OPENVINO_PRECISION: Final = MappingProxyType({"INFERENCE_PRECISION_HINT": "f32"})
"""Products of 32 bits here too: with bfloat16 logits of EfficientNet-Lite0 are 2.5 % off, and
gradients by a third of their length."""

_GPU: Final = "onnxruntime-gpu in place of the onnxruntime there is"
_WAYS: Final[Mapping[Provider, _Way]] = MappingProxyType(
    {
        Provider.CPU: _Way((), Platform.CPU, "onnxruntime"),
        Provider.CUDA: _Way((_CUDA,), Platform.CUDA, _GPU, device="cuda", composes=True),
        # TensorRT builds an engine anew, for minutes, once an input has a size beyond those it has
        # had; how many images a batch shows varies.
        Provider.TENSORRT: _Way((_TENSORRT, _CUDA), Platform.CUDA, _GPU, device="cuda"),
        Provider.OPENVINO: _Way(
            (), Platform.OPENVINO, "heatproof[openvino]", runtime=Runtime.OPENVINO
        ),
    }
)


def native_providers(provider: Provider) -> list[NativeProvider]:
    """The execution providers of ONNX Runtime with their options, the processor last.

    All compute in float32.
    """
    held = [(name, dict(options)) for name, options in _WAYS[provider].native]
    return [*held, ("CPUExecutionProvider", {})]


def runtime_of(provider: Provider) -> Runtime:
    """What opens graphs."""
    return _WAYS[provider].runtime


def provider_in_words(provider: Provider) -> str:
    """What of a provider may change the last bits of an answer, in words."""
    if runtime_of(provider) is Runtime.OPENVINO:
        return f"OpenVINO {version(_OPENVINO)} {_told(OPENVINO_PRECISION)}"
    return ", ".join(
        " ".join([name, *([_told(options)] if options else [])])
        for name, options in native_providers(provider)
    )


def _told(options: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(options.items()))


def platform_of(provider: Provider) -> Platform:
    """What graphs are lowered for."""
    return _WAYS[provider].platform


def device_of(provider: Provider) -> str:
    """Where tensors lie that networks read, as ONNX Runtime names it."""
    return _WAYS[provider].device


def composes(provider: Provider) -> bool:
    """Whether graphs draw their rows themselves, unless a setting says otherwise."""
    return _WAYS[provider].composes


def require_installed(provider: Provider, installed: Sequence[str] | None = None) -> None:
    """Refuses a provider that this environment lacks.

    Args:
        provider: what is to run networks.
        installed: names of the execution providers that there are, and `openvino`; by default those
            that ONNX Runtime tells, and OpenVINO if it can be imported.

    Raises:
        FailedPreconditionError: names what is there, and what is to be installed.
    """
    there = set(_installed() if installed is None else installed)
    if _needs(provider) <= there:
        return
    usable = [str(one) for one in Provider if _needs(one) <= there]
    raise FailedPreconditionError(
        f"nothing is installed that runs networks by {provider}, but by {', '.join(usable)}: "
        f"install {_WAYS[provider].remedy}, or choose another provider",
        field="provider",
    )


def _installed() -> list[str]:
    is_there = find_spec(_OPENVINO) is not None
    return [*ort.get_available_providers(), *([_OPENVINO] if is_there else [])]


def _needs(provider: Provider) -> set[str]:
    if runtime_of(provider) is Runtime.OPENVINO:
        return {_OPENVINO}
    return {name for name, _ in native_providers(provider)}
