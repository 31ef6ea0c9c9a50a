"""Which layers a worker's sandbox has, and how it enters them."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from heatproof.server.workers.local.sandbox import landlock, privileges, seccomp
from heatproof.server.workers.local.sandbox.system import UnavailableError


class Mode(StrEnum):
    """How much of a sandbox workers have."""

    OFF = "off"
    """None."""

    AUTO = "auto"
    """What the system offers."""

    REQUIRE = "require"
    """All of it; without a layer the server does not start."""


class Layer(StrEnum):
    """A layer of the sandbox, in the order of entering."""

    RESOURCE_LIMITS = "resource_limits"
    """Bounds on memory, sizes of files and open files."""

    CAPABILITIES = "capabilities"
    """Nothing that root may do beyond reading files."""

    NO_NEW_PRIVILEGES = "no_new_privileges"
    """No program gives more rights."""

    LANDLOCK = "landlock"
    """Only libraries and blobs are read, only scratch is written; no TCP, no signals."""

    SECCOMP = "seccomp"
    """No sockets, no processes, no owners or modes of files, no corners of the kernel."""


_SYSTEM: Final = (
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/bus/pci",
    "/sys/devices",
    "/sys/fs/cgroup",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
)
"""What Python, NumPy and ONNX Runtime read of the system."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What a worker is confined to; everything beside it is forbidden.

    Attributes:
        mode: how much of it is needed.
        readable: files and folders that it reads, beside Python, its libraries and the system's.
        writable: folders in which it writes.
        data_bytes: memory.
        file_bytes: size of a file that it writes.
    """

    mode: Mode = Mode.OFF
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    data_bytes: int = 1 << 62
    file_bytes: int = 1 << 62

    def text(self) -> str:
        """All of it in one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def parse(cls, text: str) -> "Confinement":
        """Reads what `text` has written."""
        found = json.loads(text)
        paths = {name: tuple(found[name]) for name in ("readable", "writable")}
        return cls(**{**found, **paths, "mode": Mode(found["mode"])})


@dataclass(frozen=True, slots=True)
class Protection:
    """Which layers are in force.

    Attributes:
        layers: those that are.
        missing: those that are not, and why.
    """

    layers: tuple[Layer, ...] = ()
    missing: Mapping[Layer, str] = field(default_factory=dict)


def enter(confinement: Confinement) -> Protection:
    """Enters the sandbox, as far as the system offers it; for good.

    The process must have one thread, and must not have parsed anything yet.
    """
    if confinement.mode is Mode.OFF:
        return Protection(missing=dict.fromkeys(Layer, "the sandbox is off"))
    missing: dict[Layer, str] = {}
    for layer in Layer:
        try:
            _enter(layer, confinement)
        except (UnavailableError, OSError, ValueError) as error:
            missing[layer] = str(error)
    return Protection(tuple(layer for layer in Layer if layer not in missing), missing)


def _enter(layer: Layer, confinement: Confinement) -> None:
    match layer:
        case Layer.RESOURCE_LIMITS:
            privileges.limit_resources(
                data_bytes=confinement.data_bytes, file_bytes=confinement.file_bytes
            )
        case Layer.CAPABILITIES:
            privileges.drop_capabilities()
        case Layer.NO_NEW_PRIVILEGES:
            privileges.forbid_new_privileges()
        case Layer.LANDLOCK:
            readable = (*_libraries(), *map(Path, _SYSTEM), *map(Path, confinement.readable))
            landlock.restrict(readable, map(Path, confinement.writable))
        case Layer.SECCOMP:
            seccomp.refuse_system_calls()


def _libraries() -> Iterator[Path]:
    """Where this Python imports from."""
    own = sys.modules["heatproof"].__path__  # an editable install may have a finder of its own
    entries = (sys.prefix, sys.exec_prefix, sys.base_prefix, *sys.path, *own)
    for entry in dict.fromkeys(entries):
        path = Path(entry)
        if path.is_absolute() and path != Path("/"):
            yield path
