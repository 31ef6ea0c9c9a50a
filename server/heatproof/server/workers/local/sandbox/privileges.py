"""What a worker gives up of its own: privileges, and most of memory, files and disk."""

import ctypes
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

from heatproof.server.workers.local.sandbox.system import libc

_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITY_VERSION: Final = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_KEPT: Final = 1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH
"""A server of root may run from folders of others, which its workers have to read."""

_MAX_OPEN_FILES: Final = 8192
"""A model has up to 4096 external files."""


_OOM_SCORE: Final = "500"


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Set(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def volunteer_for_oom() -> None:
    """Out of memory, the kernel shall choose a worker and never the server."""
    with suppress(OSError):  # other systems than Linux, or forbidden
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def forbid_new_privileges() -> None:
    """Makes set-user-id programs and file capabilities give nothing.

    Raises:
        OSError: the kernel refuses.
        UnavailableError: the system is not Linux.
    """
    libc("prctl", _SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities() -> None:
    """Gives up all capabilities of this thread but those of reading files.

    Raises:
        OSError: the kernel refuses.
        UnavailableError: the system is not Linux.
    """
    header, sets = _Header(_CAPABILITY_VERSION, 0), (_Set * 2)()
    libc("capget", ctypes.byref(header), sets)
    sets[0].effective &= _KEPT
    sets[0].permitted &= _KEPT
    sets[1].effective = sets[1].permitted = 0
    sets[0].inheritable = sets[1].inheritable = 0
    libc("capset", ctypes.byref(header), sets)


def limit_resources(*, data_bytes: int, file_bytes: int) -> None:
    """Bounds memory, the size of a file, open files and core dumps.

    Memory by RLIMIT_DATA: it counts what is private and writable. RLIMIT_AS would count weights
    that are mapped from files, and address space that allocators reserve and never touch.
    Processor time is not bounded: a worker lives long, and the server holds each task to the clock.
    """
    for kind, most in (
        (resource.RLIMIT_DATA, data_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))
