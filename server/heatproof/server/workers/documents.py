"""The seam between the workers and the contract, whose messages they hand on as bytes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from heatproof.evaluators.comparison.values import ModelComparison
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.evaluation.engine import Explanation, MaskedPredictions
from heatproof.evaluators.evaluation.results import (
    AveragePrecision,
    ImageResult,
    MetricResult,
    Sampling,
    Summary,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.gate.policy import Evaluated, Policy, Verdict
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.evaluators.queries.model_warnings import ModelWarning
from heatproof.evaluators.reliability.values import MetricReliability
from heatproof.server.workers.shard_results import ImageRow


class WorkerDocuments(Protocol):
    """Reads what tasks are given and writes what they give, as messages of the contract.

    What cannot be read raises InvalidArgumentError with its field.
    """

    def serialized_facts(self, facts: object) -> bytes:
        """Writes what was found in a graph, a `ModelFacts`."""
        ...

    def serialized_model_facts(
        self, class_outputs: Sequence[ClassOutput], warnings: Sequence[ModelWarning]
    ) -> bytes:
        """Writes what is known of models before they run, a part of an `Evaluation`."""
        ...

    def image_row(self, result: ImageResult) -> ImageRow:
        """Writes the result of an image."""
        ...

    def serialized_explanation(self, explanation: Explanation) -> bytes:
        """Writes a map, an `Explanation`."""
        ...

    def serialized_predictions(self, predictions: MaskedPredictions) -> bytes:
        """Writes predictions under masks, a `PredictResponse`."""
        ...

    def serialized_results(self, results: Sequence[MetricResult]) -> bytes:
        """Writes some results of an evaluation, a part of an `Evaluation`."""
        ...

    def serialized_image_summary(
        self,
        clean_accuracy: Mapping[str, Summary],
        sampling: Sampling,
        warnings: Sequence[ModelWarning],
        precisions: Sequence[AveragePrecision],
    ) -> bytes:
        """Writes what is said of the images, a part of an `Evaluation`."""
        ...

    def serialized_comparison(self, comparison: ModelComparison) -> bytes:
        """Writes a `ModelComparison`."""
        ...

    def serialized_reliability(self, reliability: MetricReliability) -> bytes:
        """Writes a `MetricReliability`."""
        ...

    def serialized_verdict(self, verdict: Verdict) -> bytes:
        """Writes a `Verdict`."""
        ...

    def read_spec(self, data: bytes) -> EvaluationSpec:
        """Reads an `EvaluationSpec`."""
        ...

    def read_class_outputs(self, environment: bytes) -> tuple[ClassOutput, ...]:
        """Reads how the answers of models are read, from a part of an `Evaluation`."""
        ...

    def read_rows(self, images: Iterable[bytes]) -> Iterator[ImageResult]:
        """Reads `ImageResult` messages, one after the other."""
        ...

    def read_evaluated(
        self,
        model: str,
        evaluation: bytes,
        columns: Callable[[EvaluationSpec], Columns],
        *,
        label: str,
        policy: bytes,
    ) -> Evaluated:
        """Reads an ended `Evaluation` for one of its models; `columns` finds its scores."""
        ...

    def read_policy(self, data: bytes) -> Policy:
        """Reads a `Policy`."""
        ...
