"""How many cores and how much memory this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import psutil

_CGROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_UNLIMITED: Final = "max"


def granted_cores(*, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Counts the cores that affinity and the cgroups' quotas grant, at least 1.

    A quota of a part of a core counts as the whole core.
    """
    quotas = (_quota(group) for group in _own_groups(cgroups, membership))
    return max(1, min([_affinity(), *(math.ceil(quota) for quota in quotas if quota)]))


def granted_memory(*, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Bytes of memory that the machine has and the cgroups grant."""
    limits = (_memory_limit(group) for group in _own_groups(cgroups, membership))
    return min([psutil.virtual_memory().total, *(limit for limit in limits if limit)])


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _own_groups(cgroups: Path, membership: Path) -> Iterator[Path]:
    """The folders of this process's groups and of all groups around them, in cgroup v2 and v1."""
    lines = membership.read_text().splitlines() if membership.is_file() else []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        group = PurePosixPath(name.lstrip("/"))
        yield from (cgroups / controllers / part for part in (group, *group.parents))


def _quota(group: Path) -> float | None:
    """Cores granted by a group: quota over period, or None without a limit."""
    if limit := _read(group / "cpu.max"):
        quota, period = limit.split()
        return None if quota == _UNLIMITED else int(quota) / int(period)
    quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    return int(quota) / int(period) if period and int(quota) > 0 else None


def _memory_limit(group: Path) -> int | None:
    limit = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
    return int(limit) if limit and limit != _UNLIMITED else None


def _read(file: Path) -> str:
    return file.read_text().strip() if file.is_file() else ""
