"""What runs a server: versions, the sandbox of its workers, its limits of time and memory."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Final

from heatproof.server.workers.local.pool import PoolSettings
from heatproof.server.workers.local.sandbox.confinement import Protection

_PACKAGES: Final = ("heatproof", "onnxruntime", "onnx", "onnx-ir", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What runs a server.

    Attributes:
        packages: versions of what computes scores, by the name of the package.
        sandbox_layers: layers of the sandbox that are in force around every worker.
        missing_sandbox_layers: the other layers, and why they are missing.
        limit_seconds: limits of time, by the name of the setting.
        worker_memory_bytes: memory that all workers together may use.
    """

    packages: Mapping[str, str]
    sandbox_layers: tuple[str, ...]
    missing_sandbox_layers: Mapping[str, str]
    limit_seconds: Mapping[str, float]
    worker_memory_bytes: int


def server_info(pool: PoolSettings, protection: Protection) -> ServerInfo:
    """Tells what runs a server with this pool of workers."""
    return ServerInfo(
        packages={package: version(package) for package in _PACKAGES},
        sandbox_layers=tuple(map(str, protection.layers)),
        missing_sandbox_layers={str(layer): why for layer, why in protection.missing.items()},
        limit_seconds=asdict(pool.limits.tasks),
        worker_memory_bytes=pool.memory_bytes,
    )
