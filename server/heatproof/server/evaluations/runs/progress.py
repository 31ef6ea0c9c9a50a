"""How far the running evaluations are, and who wants to know."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """How far one running evaluation is.

    Attributes:
        images: images of the stored shards.
        predictions: predictions of the stored shards.
        known: those of them that were known.
        running: images, predictions and known ones of each shard in work.
    """

    images: int
    predictions: int
    known: int = 0
    running: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def images_done(self) -> int:
        """Images finished, those of unfinished shards included."""
        return self.images + sum(images for images, _, _ in self._in_work())

    @property
    def predictions_done(self) -> int:
        """Predictions answered, those of unfinished shards included."""
        return self.predictions + sum(predictions for _, predictions, _ in self._in_work())

    @property
    def predictions_known(self) -> int:
        """Those of the predictions that were known."""
        return self.known + sum(known for _, _, known in self._in_work())

    def _in_work(self) -> tuple[tuple[int, int, int], ...]:
        # Copied in one step of the interpreter, for other threads read while shards begin and end.
        return tuple(self.running.values())

    def finish(self, shard: int) -> None:
        """Counts a shard in work as a stored one."""
        images, predictions, known = self.running.pop(shard)
        self.images += images
        self.predictions += predictions
        self.known += known


class ProgressBoard:
    """Tallies by the name of the evaluation; changed in the event loop only."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}
        self._versions: Counter[str] = Counter()
        self._closings: Counter[str] = Counter()
        self._changes: dict[str, asyncio.Event] = {}

    def open(self, name: str, tally: Tally) -> None:
        """Shows the tally of an evaluation that starts to run."""
        self._tallies[name] = tally
        self.announce(name)

    def close(self, name: str) -> None:
        """Takes the tally away once the store knows better."""
        self._tallies.pop(name, None)
        self._closings[name] += 1
        self.announce(name)

    def tally(self, name: str) -> Tally | None:
        """The tally of a running evaluation."""
        return self._tallies.get(name)

    def announce(self, name: str) -> None:
        """Wakes everybody who waits for a change."""
        self._versions[name] += 1
        change = self._changes.pop(name, None)
        if change is not None:
            change.set()

    def version(self, name: str) -> int:
        """Number of changes so far."""
        return self._versions[name]

    def closings(self, name: str) -> int:
        """How often its tally has been taken away."""
        return self._closings[name]

    async def changed(self, name: str, since: int) -> None:
        """Waits for a change after the version `since`."""
        while self._versions[name] == since:
            await self._change(name)

    async def closed(self, name: str, since: int) -> None:
        """Waits until the tally has been taken away more often than `since` times."""
        while self._closings[name] == since:
            await self._change(name)

    async def _change(self, name: str) -> None:
        await self._changes.setdefault(name, asyncio.Event()).wait()
