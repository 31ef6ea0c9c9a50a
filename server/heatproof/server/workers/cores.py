"""How many cores this process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")
_UNLIMITED: Final = "max"


def available_cores(*, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Counts the cores that affinity and the cgroup's quota grant, at least 1.

    A quota of a part of a core counts as the whole core.
    """
    quotas = (_quota(group) for group in _own_groups(cgroups, membership))
    return max(1, min([_affinity(), *(math.ceil(quota) for quota in quotas if quota)]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux only
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _own_groups(cgroups: Path, membership: Path) -> Iterator[Path]:
    """The folders of this process's groups and of all groups around them, in cgroup v2 and v1."""
    yield cgroups
    lines = membership.read_text().splitlines() if membership.is_file() else []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        hierarchy = cgroups / controllers if controllers else cgroups
        group = PurePosixPath(name.lstrip("/"))
        yield from (hierarchy / part for part in (group, *group.parents))


def _quota(group: Path) -> float | None:
    """Cores granted by a group: quota over period, or None without a limit."""
    limit = group / "cpu.max"
    if limit.is_file():
        quota, period = limit.read_text().split()
        return None if quota == _UNLIMITED else int(quota) / int(period)
    old_limit, old_period = group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us"
    if old_limit.is_file() and old_period.is_file():
        quota = old_limit.read_text().strip()
        return int(quota) / int(old_period.read_text()) if int(quota) > 0 else None
    return None
