"""What an evaluation would score and cost."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from heatproof.client.documents.captions import Captions
from heatproof.client.extras import required
from heatproof.v1.evaluation_pb2 import EvaluationSpec
from heatproof.v1.evaluation_service_pb2 import CreateEvaluationResponse
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import MetricResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


@dataclass(frozen=True, slots=True)
class EvaluationEstimate:
    """An evaluation that was planned and not run.

    Attributes:
        predictions: upper bound of the rows that the models are run on.
        seconds: how long that takes, by this server's speed on the same models; None where it has
            not run them yet.
        images: how many there are.
        spec: what was asked, with every default filled in.
        planned: what would be scored, as results without scores.
        reads: what is read of the images beside their pixels: `objects`, `boxes`, `label`, `maps`
            or `donors`.
        models: the models, in the order of the spec.
    """

    predictions: int
    seconds: float | None
    images: int
    spec: EvaluationSpec
    planned: tuple[MetricResult, ...]
    reads: tuple[str, ...]
    models: tuple[Model, ...]

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
        )

    def to_pandas(self) -> "pd.DataFrame":
        """One row a planned result: model, metric, removal operator and explainer."""
        pandas = required("pandas", extra="report")
        captions = Captions.of(self.models, self.planned)
        frame: pd.DataFrame = pandas.DataFrame([captions.row(one) for one in self.planned])
        return frame

    def __str__(self) -> str:
        time = "unknown time" if self.seconds is None else f"about {self.seconds:.0f} s"
        return (
            f"{len(self.planned)} results of {self.images} images: at most {self.predictions:,} "
            f"predictions, {time} on this server"
        )
