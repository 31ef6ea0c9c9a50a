"""seccomp: system calls that a worker has no use for, refused with EPERM.

Through libseccomp, which knows the numbers of every architecture. Landlock watches over files and
TCP; this watches over what it does not know: other sockets, new processes, owners and modes of
files, and the rarer corners of the kernel.
"""

import ctypes
import errno
from typing import Any, Final

from heatproof.server.workers.local.sandbox.system import UnavailableError

_LIBRARY: Final = "libseccomp.so.2"
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_MASKED_EQUAL: Final = 7
_CLONE_THREAD: Final = 0x00010000

_NETWORK: Final = "socket socketpair connect bind listen accept accept4 sendto sendmsg sendmmsg"
_PROCESSES: Final = (
    "execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise kcmp "
    "pidfd_open pidfd_getfd pidfd_send_signal"
)
_OWNERS: Final = (
    "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat setxattr lsetxattr fsetxattr "
    "removexattr lremovexattr fremovexattr setxattrat removexattrat utime utimes utimensat "
    "futimesat"
)
_KERNEL: Final = (
    "mount umount2 pivot_root chroot setns unshare swapon swapoff reboot kexec_load "
    "kexec_file_load init_module finit_module delete_module bpf perf_event_open userfaultfd "
    "io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key "
    "open_by_handle_at name_to_handle_at acct quotactl quotactl_fd syslog settimeofday "
    "clock_settime clock_adjtime adjtimex iopl ioperm fsopen fsmount fsconfig fspick move_mount "
    "open_tree mount_setattr fanotify_init personality setuid setgid setreuid setregid setresuid "
    "setresgid setgroups setfsuid setfsgid capset vhangup lookup_dcookie nfsservctl modify_ldt"
)
REFUSED: Final = f"{_NETWORK} {_PROCESSES} {_OWNERS} {_KERNEL}".split()


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def refuse_system_calls() -> None:
    """Refuses this thread, and those that it starts, all of `REFUSED` and new processes.

    Needs `PR_SET_NO_NEW_PRIVS`. Threads stay possible.

    Raises:
        UnavailableError: the system has no libseccomp, or the kernel no seccomp.
    """
    library = _library()
    context = library.seccomp_init(_ALLOW)
    if not context:
        raise UnavailableError("libseccomp cannot start")
    try:
        for name in REFUSED:
            _refuse(library, context, name, errno.EPERM)
        _refuse(library, context, "clone3", errno.ENOSYS)  # its flags are out of sight: use clone
        _refuse(
            library,
            context,
            "clone",
            errno.EPERM,
            _Comparison(arg=0, op=_MASKED_EQUAL, datum_a=_CLONE_THREAD, datum_b=0),
        )
        if (result := library.seccomp_load(context)) < 0:
            raise UnavailableError(f"the kernel refuses the filter (error {-result})")
    finally:
        library.seccomp_release(context)


def _library() -> Any:  # noqa: ANN401  # a library of C
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise UnavailableError(f"{_LIBRARY} is not installed") from None
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_load.argtypes = library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    return library


def _refuse(
    library: Any,  # noqa: ANN401  # a library of C
    context: int,
    name: str,
    code: int,
    *conditions: _Comparison,
) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        return  # this architecture has no such call, or this libseccomp does not know it
    array = (_Comparison * len(conditions))(*conditions)
    result = library.seccomp_rule_add_array(context, _ERRNO | code, number, len(array), array)
    if result < 0:
        raise UnavailableError(f"libseccomp takes no rule for {name} (error {-result})")
