"""Evaluations as things: what a client holds of one that the server works on or keeps."""

from typing import Protocol, TypeVar

from heatproof.client.clients.effects import Flow
from heatproof.client.clients.flows import following
from heatproof.client.clients.progress import OnProgress, ignore
from heatproof.client.documents.messages import short_name
from heatproof.client.documents.results import Report
from heatproof.v1.evaluation_pb2 import Evaluation

R = TypeVar("R")


class Performing(Protocol):
    """Performs flows while the caller waits."""

    def perform(self, flow: Flow[R], *, timeout: float | None = None) -> R:
        """Performs a flow to its end, within seconds."""
        ...


class Awaited(Protocol):
    """Performs flows on an event loop."""

    async def perform(self, flow: Flow[R], *, timeout: float | None = None) -> R:
        """As `Performing.perform`."""
        ...


class _Named:
    """What both handles say of an evaluation without asking.

    Attributes:
        message: the message `Evaluation`, as last heard of.
    """

    message: Evaluation

    @property
    def name(self) -> str:
        """The name `evaluations/...`, by which any client finds it again."""
        return self.message.name

    @property
    def state(self) -> str:
        """As last heard: `queued`, `running`, `cancelling`, `succeeded`, `failed`, `cancelled`."""
        return short_name(Evaluation.State.DESCRIPTOR, self.message.state)

    def __repr__(self) -> str:
        at = self.message.progress
        images = f", {at.images_done} of {at.images_total} images" if at.images_total else ""
        return f"<{type(self).__name__} {self.name}: {self.state}{images}>"


class EvaluationHandle(_Named):
    """An evaluation on a server, which goes on whether or not anybody waits.

    Args:
        client: that asks for it; it must be open while methods are called.
        message: what the server has said of it.
    """

    def __init__(self, client: Performing, message: Evaluation) -> None:
        self._client = client
        self.message = message

    def refresh(self, *, timeout: float | None = None) -> Evaluation:
        """Asks where it stands, and returns the message `Evaluation`.

        Args:
            timeout: most seconds; None: the client's, or none.
        """
        self.message = self._client.perform(following.found(self.name), timeout=timeout)
        return self.message

    def watch(
        self, on_progress: OnProgress = ignore, *, timeout: float | None = None
    ) -> Evaluation:
        """Follows it to its end, whichever that is, and returns its last message.

        Interrupting this, or a timeout, leaves the evaluation at work.

        Args:
            on_progress: is called with how far it is.
            timeout: most seconds to wait; None: the client's, or none.
        """
        flow = following.ended(self.name, on_progress)
        self.message = self._client.perform(flow, timeout=timeout)
        return self.message

    def result(
        self,
        on_progress: OnProgress = ignore,
        *,
        partial: bool = False,
        timeout: float | None = None,
    ) -> Report:
        """Waits for its end and reads the results.

        Args:
            on_progress: as for `watch`.
            partial: whether to take those of an evaluation that failed or was cancelled, which
                are of its finished images.
            timeout: as for `watch`.

        Raises:
            EvaluationFailedError: it failed; not if `partial`.
            EvaluationCancelledError: it was cancelled; not if `partial`.
        """
        flow = following.result(self.name, on_progress, partial=partial)
        report = self._client.perform(flow, timeout=timeout)
        self.message = report.evaluation
        return report

    def cancel(self, *, timeout: float | None = None) -> None:
        """Ends it; the results of finished images are kept. Does nothing once it has ended.

        Args:
            timeout: as of `refresh`.
        """
        self.message = self._client.perform(following.cancelled(self.name), timeout=timeout)

    def delete(self, *, timeout: float | None = None) -> None:
        """Deletes it with its results; it must have ended.

        Args:
            timeout: as of `refresh`.
        """
        self._client.perform(following.deleted(self.name), timeout=timeout)


class AsyncEvaluationHandle(_Named):
    """As `EvaluationHandle`, with coroutines.

    Args:
        client: that asks for it; it must be open while methods are awaited.
        message: what the server has said of it.
    """

    def __init__(self, client: Awaited, message: Evaluation) -> None:
        self._client = client
        self.message = message

    async def refresh(self, *, timeout: float | None = None) -> Evaluation:
        """As `EvaluationHandle.refresh`."""
        self.message = await self._client.perform(following.found(self.name), timeout=timeout)
        return self.message

    async def watch(
        self, on_progress: OnProgress = ignore, *, timeout: float | None = None
    ) -> Evaluation:
        """As `EvaluationHandle.watch`."""
        flow = following.ended(self.name, on_progress)
        self.message = await self._client.perform(flow, timeout=timeout)
        return self.message

    async def result(
        self,
        on_progress: OnProgress = ignore,
        *,
        partial: bool = False,
        timeout: float | None = None,
    ) -> Report:
        """As `EvaluationHandle.result`."""
        flow = following.result(self.name, on_progress, partial=partial)
        report = await self._client.perform(flow, timeout=timeout)
        self.message = report.evaluation
        return report

    async def cancel(self, *, timeout: float | None = None) -> None:
        """As `EvaluationHandle.cancel`."""
        self.message = await self._client.perform(following.cancelled(self.name), timeout=timeout)

    async def delete(self, *, timeout: float | None = None) -> None:
        """As `EvaluationHandle.delete`."""
        await self._client.perform(following.deleted(self.name), timeout=timeout)
