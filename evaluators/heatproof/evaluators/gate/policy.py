"""When a model may ship: the policy and the verdict by it, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, TypeAlias

from heatproof.evaluators.comparison.values import ModelDifference
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.evaluation.results import Interval, MetricResult, SequentialUnits
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.queries.class_outputs import Activation, ClassOutput
from heatproof.evaluators.queries.model_warnings import ModelWarning
from heatproof.evaluators.queries.targets import PREDICTED, Target
from heatproof.evaluators.removal import RemovalOperator
from heatproof.evaluators.statistics.intervals import Intervals


class On(StrEnum):
    """What a bound is held against."""

    INTERVAL = "interval"
    MEAN = "mean"


class Inconclusive(StrEnum):
    """What an inconclusive check does."""

    WARN = "warn"
    FAIL = "fail"


class Severity(StrEnum):
    """What a failed check does."""

    FAIL = "fail"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Bounds one metric; fields as in the message of the same name."""

    metric: Metric
    explainer: Explainer | None = None
    removal: RemovalOperator | None = None
    min: float | None = None
    max: float | None = None
    on: On = On.INTERVAL
    inconclusive: Inconclusive = Inconclusive.FAIL
    max_regression: float | None = None
    min_scored: float = 0.9
    severity: Severity = Severity.FAIL
    max_disparity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanAccuracy:
    """Bounds the clean accuracy; fields as in the message of the same name."""

    min: float | None = None
    on: On = On.INTERVAL
    inconclusive: Inconclusive = Inconclusive.FAIL
    max_regression: float | None = None
    severity: Severity = Severity.FAIL

    max: ClassVar[None] = None
    """An accuracy is never too high."""

    max_disparity: ClassVar[None] = None
    """Groups are compared by explanations."""

    min_scored: ClassVar[float] = 0.9
    """Share of images with a label and a finite answer."""


Rule: TypeAlias = Check | CleanAccuracy
"""What bounds a number and how much worse it may become."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyModel:
    """How the model reads images, and how its answers are read."""

    preprocessing: Preprocessing | None = None
    output: str = ""
    activation: Activation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a model may ship; fields as in the message of the same name."""

    checks: tuple[Check, ...]
    model: PolicyModel | None = None
    explainers: tuple[Explainer, ...] = ()
    removals: tuple[RemovalOperator, ...] = ()
    seed: int = 0
    target: Target = PREDICTED
    abs_tolerance: float = 1e-4
    min_images: int = 30
    interval: Intervals = Intervals.STANDARD
    clean_accuracy: CleanAccuracy | None = None
    sequential: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a verdict tells of an evaluation beside its scores.

    Attributes:
        evaluation: its name, "" if it has none.
        label: what it goes by as a baseline.
        environment: what computed it.
        class_output: how the class scores of the model are read, if known.
        policy: the rules by which it was judged, if known.
    """

    evaluation: str = ""
    label: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    class_output: ClassOutput | None = None
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An ended evaluation, as a verdict reads it.

    Attributes:
        model: the model that is judged.
        spec: what was asked.
        results: results of all models of the spec.
        columns: the images, and the results that are compared or summarized anew.
        warnings: what makes the scores of a model doubtful.
        circumstances: what else is told of it.
        taken: how far it went, if by a sequential policy.
    """

    model: str
    spec: EvaluationSpec
    results: tuple[MetricResult, ...]
    columns: Columns
    warnings: tuple[ModelWarning, ...] = ()
    circumstances: Circumstances = Circumstances()
    taken: SequentialUnits | None = None

    @property
    def stopped_early(self) -> bool:
        """Whether its own scores decided how many units it has."""
        return self.taken is not None and self.taken.stopped_early


class CheckKind(StrEnum):
    """What a check compares."""

    BOUND = "bound"
    REGRESSION = "regression"
    DISPARITY = "disparity"


class CheckOutcome(StrEnum):
    """Outcome of a check."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_EVALUATED = "not_evaluated"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Regression:
    """A score against the baseline's on the same images; fields as in the message."""

    pairs: int
    units: int = 0
    drop: float | None = None
    drop_upper_limit: float | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Outcome of one check; fields as in the message of the same name."""

    check: int
    result: int
    kind: CheckKind
    outcome: CheckOutcome
    severity: Severity
    message: str
    regression: Regression | None
    blocking: bool
    interval: Interval | None = None
    sequential: bool = False


class VerdictOutcome(StrEnum):
    """Whether a model may ship."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ImageChange:
    """A score of one image that got worse; fields as in the message of the same name."""

    image: str
    display_name: str
    candidate: float
    baseline: float
    drop: float


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """A score against the baseline's on the same images; fields as in the message."""

    result: int
    images: int
    only_candidate: int
    only_baseline: int
    candidate: float | None
    baseline: float | None
    difference: ModelDifference
    worst: tuple[ImageChange, ...]


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting of the candidate against the baseline's; fields as in the message."""

    setting: str
    baseline: str
    candidate: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model may ship, and why; fields as in the message of the same name."""

    outcome: VerdictOutcome
    checks: tuple[CheckResult, ...]
    warnings: tuple[str, ...]
    changes: tuple[ScoreChange, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    baseline: str = ""
    sequential: SequentialUnits | None = None
