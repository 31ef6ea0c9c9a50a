"""What can be asked of a worker of scores: tables, summaries, comparisons, trust, verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from heatproof.evaluators.comparison.comparing import ComparisonRules
from heatproof.evaluators.evaluation.results import SequentialUnits
from heatproof.evaluators.images.labels import Label
from heatproof.evaluators.images.sources import FramedBox
from heatproof.server.workers.inputs import FramedSource
from heatproof.server.workers.limits import Effort
from heatproof.server.workers.protocol import Document, DocumentCheck, Task
from heatproof.server.workers.shard_results import check_columns

_EXECUTION: Final = "heatproof.server.workers.execution"


@dataclass(frozen=True, slots=True)
class TabulateRows(Task[object, tuple[bytes, ...]]):
    """Makes the columns of a shard of its rows; its value are the blocks.

    For shards that were cut short, that a release without columns wrote, or whose images have
    copies in earlier shards.

    Attributes:
        spec: serialised `EvaluationSpec`.
        images: serialised `ImageResult` messages with curves.
        counted: places of the images whose curves count; None: the first of equal ones.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.statistics:tabulate_rows"
    value: ClassVar[Any] = tuple[bytes, ...]
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "fewer metrics"

    spec: bytes
    images: tuple[bytes, ...]
    counted: tuple[int, ...] | None = None

    @classmethod
    def check_value(cls, value: tuple[bytes, ...], check: DocumentCheck) -> None:  # noqa: ARG003  # holds none
        """Reads the columns once."""
        check_columns(value)


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """What is said of the images of an evaluation.

    Attributes:
        summary: serialised `Evaluation` with clean accuracy, sampling and warnings alone.
        recounted: shards whose sums of curves are over other images than those that count: its
            place among the shards, and the places of the images that count in it.
    """

    summary: bytes
    recounted: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class SummarizeImages(Task[object, ImageSummary]):
    """Summarizes what is known of the images of an evaluation beside their scores.

    Attributes:
        spec: serialised `EvaluationSpec`.
        images: the blocks of images of all shards, in their order.
        environment: serialised `Evaluation` with the readings of the models.
        stopped: whether its scores decided how many images there are.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.statistics:summarize_images"
    value: ClassVar[Any] = ImageSummary
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "fewer images"

    spec: bytes
    images: tuple[bytes, ...]
    environment: bytes
    stopped: bool = False

    @classmethod
    def check_value(cls, value: ImageSummary, check: DocumentCheck) -> None:
        """Reads the message once."""
        check("Evaluation", value.summary)


@dataclass(frozen=True, slots=True)
class SummarizeScores(Task[object, bytes]):
    """Summarizes some results; its value is a serialised `Evaluation` with these alone.

    Attributes:
        spec: serialised `EvaluationSpec`.
        images: the blocks of images of all shards, in their order.
        first: index of the first of the results.
        scores: the blocks of scores of all shards, likewise.
        stopped: whether they decided how many images there are.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.statistics:summarize_scores"
    value: ClassVar[Any] = Document("Evaluation")
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "fewer images"

    spec: bytes
    images: tuple[bytes, ...]
    first: int
    scores: tuple[bytes, ...]
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class RecordedEvaluation:
    """An ended evaluation as a client has kept it.

    Attributes:
        model: the model that is judged.
        evaluation: serialised `Evaluation`.
        images: serialised `ImageResult` messages.
        label: what it goes by as a baseline.
        policy: serialised `Policy` by which it was judged; b"" if it is not known.
    """

    model: str
    evaluation: bytes
    images: tuple[bytes, ...]
    label: str = ""
    policy: bytes = b""


@dataclass(frozen=True, slots=True)
class TabulatedEvaluation:
    """An ended evaluation as this server has kept it.

    Attributes:
        model: the model that is judged.
        evaluation: serialised `Evaluation`.
        images: the blocks of images of all shards, in their order.
        scores: likewise those of the results that are compared, by the index of the first result.
        label: what it goes by as a baseline.
        policy: serialised `Policy` by which it was judged; b"" if it is not known.
    """

    model: str
    evaluation: bytes
    images: tuple[bytes, ...]
    scores: Mapping[int, tuple[bytes, ...]]
    label: str = ""
    policy: bytes = b""


@dataclass(frozen=True, slots=True)
class RecordedColumns:
    """The columns of a recorded evaluation.

    Attributes:
        images: the block of its images.
        scores: the blocks of the results that are compared, by the index of the first result.
    """

    images: bytes
    scores: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class TabulateRecord(Task[object, RecordedColumns]):
    """Makes the columns of a recorded evaluation against which many looks will be taken.

    Attributes:
        record: the evaluation.
        policy: serialised `Policy`, which says what is compared.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.statistics:tabulate_record"
    value: ClassVar[Any] = RecordedColumns
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "fewer images or metrics"

    record: RecordedEvaluation
    policy: bytes

    @classmethod
    def check_value(cls, value: RecordedColumns, check: DocumentCheck) -> None:  # noqa: ARG003  # holds none
        """Reads the columns once."""
        check_columns((value.images, *value.scores.values()))


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """What a policy may read of an image.

    Attributes:
        digest: SHA-256 of its bytes.
        label: the true class, or all that it shows, if given.
        object_mask: where the object is, if given.
        boxes: around objects.
        group: its group; "" for none.
    """

    digest: str
    label: Label | None
    object_mask: FramedSource | None
    boxes: tuple[FramedBox, ...]
    group: str


@dataclass(frozen=True, slots=True)
class CheckPolicy(Task[object, None]):
    """Checks a policy before its evaluation runs.

    Attributes:
        policy: serialised `Policy`.
        spec: serialised `EvaluationSpec`.
        images: of the evaluation, in the order of the data set.
        baseline: what regressions will be measured against; of its images only digest, label and
            digest of the objects are read, and no scores.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.statistics:check_policy"
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "fewer images or metrics"

    policy: bytes
    spec: bytes
    images: tuple[CheckedImage, ...]
    baseline: RecordedEvaluation | TabulatedEvaluation | None


@dataclass(frozen=True, slots=True)
class ComparedModels:
    """Models compared by some quantities.

    Attributes:
        comparisons: serialised `ModelComparison` messages, whose p-values are not yet corrected.
        p_values: those of each.
    """

    comparisons: tuple[bytes, ...]
    p_values: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class CompareScores(Task[object, ComparedModels]):
    """Compares the models of an evaluation by some quantities.

    Attributes:
        spec: serialised `EvaluationSpec`.
        images: the blocks of images of all shards, in their order.
        scores: likewise those of the results that the quantities are of, by the index of the first
            result of a block.
        quantities: which of the spec's quantities, by place: the first, and the one after the last.
        rules: how to compare.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.comparisons:compare_scores"
    value: ClassVar[Any] = ComparedModels
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "a reference model, or fewer images or metrics"

    spec: bytes
    images: tuple[bytes, ...]
    scores: Mapping[int, tuple[bytes, ...]]
    quantities: tuple[int, int]
    rules: ComparisonRules

    @classmethod
    def check_value(cls, value: ComparedModels, check: DocumentCheck) -> None:
        """Reads the messages once."""
        for data in value.comparisons:
            check("ModelComparison", data)
        if len(value.p_values) != len(value.comparisons):
            message = f"{len(value.p_values)} lists of p-values"
            raise ValueError(message)
        if not all(0 <= each <= 1 for p_values in value.p_values for each in p_values):
            message = "a p-value outside [0, 1]"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class AssessedMetrics:
    """Metrics that were put to the test.

    Attributes:
        reliabilities: serialised `MetricReliability` messages.
    """

    reliabilities: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class AssessMetrics(Task[object, AssessedMetrics]):
    """Says which metrics deserve trust.

    Attributes:
        spec: serialised `EvaluationSpec`.
        model: which of its models.
        images: the blocks of images of all shards, in their order.
        scores: likewise those of the results that are read, by the index of the first result of a
            block.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.reliability:assess_metrics"
    value: ClassVar[Any] = AssessedMetrics
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "fewer images, metrics or explainers"

    spec: bytes
    model: str
    images: tuple[bytes, ...]
    scores: Mapping[int, tuple[bytes, ...]]

    @classmethod
    def check_value(cls, value: AssessedMetrics, check: DocumentCheck) -> None:
        """Reads the messages once."""
        for data in value.reliabilities:
            check("MetricReliability", data)


@dataclass(frozen=True, slots=True)
class Judge(Task[object, bytes]):
    """Judges an evaluation by a policy; its value is a serialised `Verdict`."""

    executor: ClassVar[str] = f"{_EXECUTION}.statistics:judge"
    value: ClassVar[Any] = Document("Verdict")
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "fewer images or metrics"

    policy: bytes
    candidate: TabulatedEvaluation
    baseline: TabulatedEvaluation | RecordedEvaluation | None


@dataclass(frozen=True, slots=True)
class LookAt(Task[object, bool]):
    """Says whether the units that a sequential evaluation has so far decide every check.

    Attributes:
        policy: serialised `Policy`.
        candidate: what the evaluation has so far, whole units of sampling.
        baseline: what regressions are measured against.
        taken: how far it is.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.statistics:look_at"
    value: ClassVar[Any] = bool
    effort: ClassVar[Effort] = Effort.STATISTICS
    way_out: ClassVar[str] = "fewer images or metrics"

    policy: bytes
    candidate: TabulatedEvaluation
    baseline: TabulatedEvaluation | RecordedEvaluation | None
    taken: SequentialUnits
