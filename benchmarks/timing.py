"""Times alternatives against each other in one run, so that load falls on all alike."""

import time
from collections.abc import Callable, Mapping
from statistics import median


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds by name; every round runs every call once, the first round is not counted.

    The clock may be `time.process_time`, which leaves out what other processes take.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = clock()
            call()
            seconds[name].append(clock() - start)
    return {name: median(values[1:]) for name, values in seconds.items()}
