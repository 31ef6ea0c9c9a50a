"""What computes the scores, echoed by every evaluation."""

from heatproof.server.workers.protocol import Workers
from heatproof.server.workers.tasks import DescribeEnvironment


class Environment:
    """Asks a worker once."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._known: dict[str, str] = {}

    async def describe(self) -> dict[str, str]:
        """Versions, the processor and the options of the runtime."""
        self._known = self._known or await self._workers.call(DescribeEnvironment())
        return self._known
