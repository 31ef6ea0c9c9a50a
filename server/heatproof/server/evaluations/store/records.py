"""Evaluations and their results as they are stored: messages of the contract, serialised."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.workers.shard_results import ImageRow


class State(StrEnum):
    """Where an evaluation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether nothing changes any more."""
        return self in {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.STOPPED}


UNFINISHED: Final = tuple(state for state in State if not state.is_final)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvaluation:
    """An evaluation that is to be stored.

    Attributes:
        spec: serialised `EvaluationSpec` with every default filled in.
        models: names of the models, in the order of the spec.
        dataset: name of the data set.
        request_id: makes a retry safe; None without one.
        images: number of images.
        predictions: upper bound of the predictions.
        environment: serialised `Evaluation` that holds the environment alone.
        rules: by what it is judged while it runs, as a document; b"" if it is not.
    """

    spec: bytes
    models: tuple[str, ...]
    dataset: str
    request_id: str | None
    images: int
    predictions: int
    environment: bytes
    rules: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvaluation:
    """A stored evaluation.

    Attributes:
        number: key of its rows.
        name: resource name.
        spec: serialised `EvaluationSpec`.
        dataset: name of the data set.
        state: where it stands.
        error: serialised `google.rpc.Status`, b"" unless it failed.
        create_time: when it was accepted.
        end_time: when it ended.
        images_total: number of images.
        images_done: images with a stored result.
        predictions_total: upper bound of the predictions.
        predictions_done: predictions of the stored shards.
        results: serialised `Evaluation` that holds results and clean accuracy alone.
        environment: serialised `Evaluation` that holds the environment alone.
    """

    number: int
    name: str
    spec: bytes
    dataset: str
    state: State
    error: bytes
    create_time: datetime
    end_time: datetime | None
    images_total: int
    images_done: int
    predictions_total: int
    predictions_done: int
    results: bytes
    environment: bytes
    predictions_known: int = 0

    def require_success(self, purpose: str, *, field: str = "name") -> None:
        """Refuses an evaluation that has no results to read yet, or none at all.

        Args:
            purpose: what only one that has succeeded can be, such as `judged`.
            field: where the request names it.

        Raises:
            FailedPreconditionError: at that field.
        """
        if self.state is State.SUCCEEDED:
            return
        way_out = "wait for its end (WatchEvaluation)"
        if self.state is State.STOPPED:
            way_out = (
                "its scores decided how many images it has, which only confidence sequences allow "
                "for; evaluate all of them, without a sequential policy"
            )
        elif self.state.is_final:
            way_out = "evaluate anew"
        raise FailedPreconditionError(
            f"{self.name} is {self.state}; only an evaluation that has succeeded can be {purpose}: "
            f"{way_out}",
            field=field,
        )

    def require_results(self, purpose: str) -> None:
        """The same, but for one that has stopped early, whose results hold for what they are of."""
        if self.state is not State.STOPPED:
            self.require_success(purpose)

    @property
    def predictions_expected(self) -> int:
        """How many predictions there will have been at the end.

        What is still to come is counted by its upper bound; what has been done often took fewer.
        """
        if self.images_done >= self.images_total or self.state is State.STOPPED:
            return self.predictions_done
        per_image = self.predictions_total // self.images_total
        left = per_image * (self.images_total - self.images_done)
        return min(self.predictions_total, self.predictions_done + left)


@dataclass(frozen=True, slots=True)
class Experience:
    """What an evaluation has cost.

    Attributes:
        spec: serialised `EvaluationSpec`.
        images: images with a stored result.
        predictions: predictions that were made for them.
        seconds: time of one worker that they took.
    """

    spec: bytes
    images: int
    predictions: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ShardRows:
    """A finished shard.

    Attributes:
        shard: its number.
        positions: places in the data set of its images, and of those that it did not finish.
        images: results of its images, in the order of the positions.
        predictions: predictions answered.
        seconds: time that took one worker, what it loads and opens once aside.
        columns: what statistics read of it, as blocks; () of a shard that was cut short.
        known: those of the predictions that were known.
        ways_run: how each kind of pass of each model was run, in words; not stored with the shard.
    """

    shard: int
    positions: Sequence[int]
    images: tuple[ImageRow, ...]
    predictions: int
    seconds: float
    columns: tuple[bytes, ...] = ()
    known: int = 0
    ways_run: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How an evaluation ends.

    Attributes:
        state: its last state.
        results: serialised `Evaluation` that holds results and clean accuracy alone.
        error: serialised `google.rpc.Status`, b"" unless it failed.
        partial: shards that were cut short, with the images that were finished, if any were.
        end_time: when it ended.
    """

    state: State
    results: bytes
    error: bytes = b""
    partial: tuple[ShardRows, ...] = ()
    end_time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def of(self, evaluation: StoredEvaluation) -> StoredEvaluation:
        """The evaluation as it will be stored."""
        return replace(
            evaluation,
            state=self.state,
            results=self.results,
            error=self.error,
            end_time=self.end_time,
        )
