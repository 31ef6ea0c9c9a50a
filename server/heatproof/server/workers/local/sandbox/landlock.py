"""Landlock: which files a process may touch, and that it may neither dial nor signal others.

Interface of the kernel: https://docs.kernel.org/userspace-api/landlock.html.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from enum import IntFlag
from pathlib import Path
from typing import Final

from heatproof.server.workers.local.sandbox.system import UnavailableError, syscall

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""Numbers of the system calls, equal on every architecture."""

_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1
_SCOPES_ABI: Final = 6
_NETWORK_ABI: Final = 4


class Access(IntFlag):
    """Rights over files, by the bits of the kernel."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ: Final = Access.READ_FILE | Access.READ_DIR
WRITE: Final = (
    READ
    | Access.WRITE_FILE
    | Access.TRUNCATE
    | Access.MAKE_REG
    | Access.MAKE_DIR
    | Access.REMOVE_FILE
    | Access.REMOVE_DIR
)
"""Neither links nor sockets: a link could lead the server itself to another file."""

_OF_FILES: Final = Access.READ_FILE | Access.WRITE_FILE | Access.TRUNCATE
_PROCFS: Final = Path("/proc")
"""Whose inodes live no longer than someone holds them."""

_KNOWN_BITS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights a version knows; later ones know all."""


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """The version of Landlock in this kernel.

    Raises:
        UnavailableError: it has none, or forbids its use.
    """
    try:
        return syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError as error:
        raise UnavailableError(f"the kernel offers no Landlock ({error.strerror})") from None


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Leaves this thread nothing but these files and folders; nothing can be executed.

    Needs `PR_SET_NO_NEW_PRIVS`. Paths that do not exist are left out.

    Raises:
        UnavailableError: the kernel has no Landlock.
        OSError: it refuses the rules.
    """
    known = version()
    handled = Access((1 << _KNOWN_BITS.get(known, len(Access))) - 1)
    ruleset = _created(handled, known)
    try:
        for paths, rights in ((readable, READ), (writable, WRITE)):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _created(handled: Access, known: int) -> int:
    attributes = _Ruleset(handled_access_fs=handled)
    size = ctypes.sizeof(ctypes.c_uint64)
    if known >= _NETWORK_ABI:
        attributes.handled_access_net = 0b11  # bind and connect, TCP
        size *= 2
    if known >= _SCOPES_ABI:
        attributes.scoped = 0b11  # abstract sockets, signals
        size = ctypes.sizeof(_Ruleset)
    return syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0)


def _allow(ruleset: int, path: Path, rights: Access) -> None:
    """Adds a rule.

    A rule is of an inode. When memory is short the kernel drops those of procfs and makes others
    in their place, which no rule is of: their handles stay open for the life of the process.
    """
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        allowed = rights if is_folder else rights & _OF_FILES
        rule = _PathBeneath(allowed_access=allowed, parent_fd=handle)
        syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        if not path.is_relative_to(_PROCFS):
            os.close(handle)
