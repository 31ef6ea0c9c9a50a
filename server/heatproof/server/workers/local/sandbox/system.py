"""Calls of the kernel that Python does not offer."""

import ctypes
import os
from typing import Any, Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class UnavailableError(Exception):
    """The system lacks a layer of the sandbox; says why."""


def syscall(number: int, *arguments: Any) -> int:  # noqa: ANN401  # pointers, numbers, None
    """Makes a system call.

    Raises:
        OSError: it failed.
    """
    padded = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _checked(_LIBC.syscall(ctypes.c_long(number), *padded))


def libc(name: str, *arguments: Any) -> int:  # noqa: ANN401  # as above
    """Calls a function of the C library that returns -1 and sets `errno` when it fails.

    Raises:
        OSError: it failed.
        UnavailableError: the C library has no such function.
    """
    try:
        function = getattr(_LIBC, name)
    except AttributeError:
        raise UnavailableError(f"this system has no {name}") from None
    return _checked(function(*arguments))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
