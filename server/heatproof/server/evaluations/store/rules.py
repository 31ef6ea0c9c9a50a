"""By what an evaluation will be judged, told when it is created."""

from dataclasses import dataclass
from typing import TypeAlias

from heatproof.server.resource_names import BaselineReference
from heatproof.server.workers.statistics_tasks import RecordedEvaluation, TabulatedEvaluation

Baseline: TypeAlias = str | RecordedEvaluation | TabulatedEvaluation | BaselineReference | None
"""Another model of the same evaluation, a recorded evaluation, one that has been read, a named
baseline, or nothing."""


@dataclass(frozen=True, slots=True)
class Rules:
    """By what an evaluation will be judged.

    Attributes:
        policy: serialised `Policy`.
        baseline: what regressions will be measured against.
        document: both as they are stored where an evaluation is judged while it runs.
    """

    policy: bytes
    baseline: Baseline = None
    document: bytes = b""
