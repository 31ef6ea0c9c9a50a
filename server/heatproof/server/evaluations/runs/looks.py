"""Looks at a sequential evaluation while it runs, and stops it once every check is decided."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from heatproof.evaluators.errors import HeatproofError
from heatproof.evaluators.evaluation.results import SequentialUnits
from heatproof.evaluators.gate.policy import Policy
from heatproof.server.evaluations.gating.gates import Gates
from heatproof.server.evaluations.runs.agenda import Shard
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.evaluations.store.rules import Rules


class Decided(Exception):  # noqa: N818  # no error: it ends a group of tasks that have done enough
    """Every check is decided; what is still in work is not needed."""


class Turns:
    """Lets shards that are computed side by side go on one after the other, in their order."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def after(self, computing: Awaitable[None], number: int) -> AsyncIterator[None]:
        """Waits for a shard and then for its turn, which the body takes.

        Args:
            computing: computes the shard. What it fails with is raised in its turn, for an earlier
                shard may decide that it was not needed.
            number: which shard it is.
        """
        failure: HeatproofError | None = None
        try:
            await computing
        except HeatproofError as error:
            failure = error
        async with self._changed:
            await self._changed.wait_for(lambda: self._next == number)
            if failure is not None:
                raise failure
            yield
            self._next += 1
            self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Looks:
    """Judges a sequential evaluation by what it has so far.

    Attributes:
        gates: judges it.
        stored: the evaluation.
        rules: by what it is judged.
        policy: the rules' policy.
        agenda: its shards.
        turns: the order in which they are stored.
    """

    gates: Gates
    stored: StoredEvaluation
    rules: Rules
    policy: Policy
    agenda: Sequence[Shard]
    turns: Turns = field(default_factory=lambda: Turns(0))

    async def at(self, number: int) -> None:
        """Looks at what is stored up to a shard.

        Nobody looks within a unit of sampling, before the units that the policy asks for, or at
        the end of the data.

        Raises:
            Decided: every check is decided.
        """
        units = self.agenda[number].units
        is_last = number + 1 == len(self.agenda)
        if units is None or units < self.policy.min_images or is_last:
            return
        taken = SequentialUnits(units, self.units_total)
        if await self.gates.is_decided(self.stored, self.rules, taken):
            raise Decided

    @property
    def units_total(self) -> int:
        """Units of all data."""
        return self.agenda[-1].units or 0

    def taken(self, finished: int) -> SequentialUnits:
        """How far the evaluation went whose first `finished` shards are stored."""
        units = self.agenda[finished - 1].units if finished else 0
        return SequentialUnits(units or 0, self.units_total)
