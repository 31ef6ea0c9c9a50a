"""What an evaluation would score and cost."""

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from heatproof.client.documents.captions import Captions
from heatproof.client.documents.results.frames import frame_of
from heatproof.v1.class_output_pb2 import ClassOutput
from heatproof.v1.evaluation_pb2 import EvaluationSpec
from heatproof.v1.evaluation_service_pb2 import CreateEvaluationResponse
from heatproof.v1.gate_pb2 import Check, Policy
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import MetricResult, Sampling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True, slots=True)
class EvaluationEstimate:
    """An evaluation that was planned and not run.

    Attributes:
        predictions: upper bound of the rows that the models are run on.
        seconds: how long that takes, by what the same models have cost on this server; None where
            it has not run them yet.
        images: how many there are.
        spec: what was asked, with every default filled in.
        planned: what would be scored, as results without scores.
        reads: what is read of the images beside their pixels: `objects`, `boxes`, `label`, `maps`
            or `donors`.
        models: the models, in the order of the spec.
        result_predictions: those of `predictions` that each of `planned` takes beside what results
            share: clean answers, answers to emptied images, and the maps.
        sampling: what intervals and tests will take for one sample, and how many there are.
        class_outputs: how the class scores of each model will be read.
        tried_units: units that were evaluated to know how long it takes.
        checks_at_the_end: checks of a sequential policy that keep it from stopping early, and why,
            by their index; -1 is the clean accuracy.
    """

    predictions: int
    seconds: float | None
    images: int
    spec: EvaluationSpec
    planned: tuple[MetricResult, ...]
    reads: tuple[str, ...]
    models: tuple[Model, ...]
    result_predictions: tuple[int, ...]
    sampling: Sampling
    class_outputs: tuple[ClassOutput, ...]
    tried_units: int = 0
    checks_at_the_end: "Mapping[int, str]" = field(default_factory=dict)

    @classmethod
    def of(
        cls, created: CreateEvaluationResponse, models: "Sequence[Model]"
    ) -> "EvaluationEstimate":
        """Reads a server's reply to a request that was to be validated only."""
        timed = created.HasField("estimated_duration")
        return cls(
            predictions=created.predictions,
            seconds=created.estimated_duration.ToTimedelta().total_seconds() if timed else None,
            images=created.evaluation.progress.images_total,
            spec=created.evaluation.spec,
            planned=tuple(created.evaluation.results),
            reads=tuple(created.reads),
            models=tuple(models),
            result_predictions=tuple(created.result_predictions),
            sampling=created.evaluation.sampling,
            class_outputs=tuple(created.evaluation.class_outputs),
            checks_at_the_end=dict(created.checks_at_the_end),
        )

    @property
    def shared_predictions(self) -> int:
        """Those of `predictions` that no result takes alone."""
        return self.predictions - sum(self.result_predictions)

    def seconds_of(self, predictions: int) -> float | None:
        """The share of the time that some of the predictions take; None where it is not known."""
        if self.seconds is None or not self.predictions:
            return None
        return self.seconds * predictions / self.predictions

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What each planned result is about, and its own predictions; None where it is not told."""
        captions = Captions.of(self.models, self.planned)
        return [
            {**captions.row(one), "predictions": own}
            for one, own in zip_longest(self.planned, self.result_predictions)
        ]

    def to_pandas(self) -> "pd.DataFrame":
        """One row a planned result: model, metric, removal operator, explainer, predictions."""
        return frame_of(self.rows)

    def __str__(self) -> str:
        time = "unknown time" if self.seconds is None else f"about {self.seconds:.0f} s"
        return (
            f"{len(self.planned)} results of {self.images} images: at most {self.predictions:,} "
            f"predictions, {time} on this server"
        )


@dataclass(frozen=True, slots=True)
class GateEstimate:
    """A gate that was planned and not run.

    Attributes:
        evaluation: what it would score and cost.
        policy: the rules, with the preprocessing that would be used.
    """

    evaluation: EvaluationEstimate
    policy: Policy

    def predictions_of(self, check: Check) -> int | None:
        """Those that what a check is about takes, beside what results share; None if not told."""
        found = self.evaluation
        if not found.result_predictions:
            return None
        metrics = list(dict.fromkeys(one.metric.SerializeToString() for one in self.policy.checks))
        explainers = [one.SerializeToString() for one in self.policy.explainers]
        removals = [one.SerializeToString() for one in self.policy.removals]
        wanted = {
            "metric": _decided(check.metric, metrics, found.spec.metrics),
            "explainer": _decided(check.explainer, explainers, found.spec.explainers),
            "removal": _decided(check.removal, removals, found.spec.removals),
        }
        return sum(
            own
            for result, own in zip(found.planned, found.result_predictions, strict=True)
            if all(one is None or getattr(result, part) == one for part, one in wanted.items())
        )

    def __str__(self) -> str:
        return f"{len(self.policy.checks)} checks; {self.evaluation}"


def _decided(
    one: Message, asked: "Sequence[bytes]", decided: "Sequence[Message]"
) -> Message | None:
    """What a choice of the policy has become in the spec, whose defaults are filled in.

    None stands for all, which a check that leaves it out is about.
    """
    data = one.SerializeToString()
    if not data:
        return None
    # What was asked twice, once with its defaults, stands once in the spec.
    alike = len(asked) == len(decided) and data in asked
    return decided[asked.index(data)] if alike else one
