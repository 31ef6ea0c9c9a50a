"""What can be asked of a worker."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.inventory import Inventory
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.queries.class_outputs import UNSTATED, Statement
from heatproof.evaluators.queries.targets import PREDICTED, Target
from heatproof.evaluators.removal import RemovalOperator
from heatproof.server.workers.inputs import (
    AnswerGrant,
    ArraySource,
    FramedSource,
    ModelFiles,
    RunSize,
    StoredImage,
)
from heatproof.server.workers.limits import Amount, Effort
from heatproof.server.workers.protocol import Document, DocumentCheck, Task
from heatproof.server.workers.shard_results import ImageRow, ShardTotals

if TYPE_CHECKING:  # the server itself never loads ONNX
    from heatproof.graphs.lowering.platforms import Platform
    from heatproof.graphs.masking.options import MaskingOptions

_EXECUTION: Final = "heatproof.server.workers.execution"


@dataclass(frozen=True, slots=True)
class InspectModel(Task[object, bytes]):
    """Parses, checks and describes a model; its value is a serialised `ModelFacts`.

    Fails with InvalidModelError, LimitExceededError and their kin when it is not usable.

    Attributes:
        model: what to describe.
        stated: what the user says of the class output.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.models:inspect_model"
    value: ClassVar[Any] = Document("ModelFacts")
    effort: ClassVar[Effort] = Effort.INSPECTION
    way_out: ClassVar[str] = "a smaller graph, such as one that a simplifier has folded"

    model: ModelFiles
    stated: Statement = UNSTATED

    def models_loaded(self) -> frozenset[str]:
        """Its model."""
        return frozenset({self.model.name})

    def amount(self) -> Amount:
        """The bytes of the model."""
        return Amount(model_bytes=self.model.size_bytes)


@dataclass(frozen=True, slots=True)
class GradientRewrite:
    """Adds input `output_gradient` and output `input_gradient`.

    Attributes:
        output: the output whose logits are differentiated; "" leaves it to the graph.
    """

    output: str = ""


Addition: TypeAlias = "MaskingOptions | GradientRewrite"
"""What a rewrite adds: a mask by its options, or the gradient."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What is made of a model.

    Attributes:
        addition: what is added.
        platform: where the result is to run.
    """

    addition: Addition
    platform: "Platform"


@dataclass(frozen=True, slots=True)
class RewriteModel(Task[object, tuple[str, ...]]):
    """Rewrites a model into a folder; its value is the names of the files, the model file first.

    Attributes:
        model: what to rewrite.
        rewrite: what is made of it.
        scratch: name of the request's folder, which is there and empty.
        file_name: name of the model file; external data lie at this and `.data`.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.models:rewrite_model"
    value: ClassVar[Any] = tuple[str, ...]
    effort: ClassVar[Effort] = Effort.REWRITING
    way_out: ClassVar[str] = "a smaller model"

    model: ModelFiles
    rewrite: Rewrite
    scratch: str
    file_name: str

    def models_loaded(self) -> frozenset[str]:
        """Its model."""
        return frozenset({self.model.name})

    def amount(self) -> Amount:
        """The bytes of the model."""
        return Amount(model_bytes=self.model.size_bytes)

    @classmethod
    def check_value(cls, value: tuple[str, ...], check: DocumentCheck) -> None:  # noqa: ARG003  # holds none
        """Refuses names that lead out of the folder."""
        if not value or any(name == ".." or PurePath(name).name != name for name in value):
            message = f"{value[:3]} are no names of files in the folder"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Extents of a decoded image in pixels, upright."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class CheckImages(Task[object, tuple[ImageFacts, ...]]):
    """Decodes every image with its mask and maps.

    Fails with InvalidImageError at field `images[i]...`, counted from `first`.

    Attributes:
        images: what to decode.
        first: index of the first image, for messages.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.images:check_images"
    value: ClassVar[Any] = tuple[ImageFacts, ...]
    effort: ClassVar[Effort] = Effort.DECODING
    way_out: ClassVar[str] = "smaller images"

    images: tuple[StoredImage, ...]
    first: int = 0

    def amount(self) -> Amount:
        """The number of images."""
        return Amount(units=len(self.images))


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """What an evaluation will cost.

    Attributes:
        predictions: upper bound of the predictions in all.
        model_facts: serialised `Evaluation` that says how the class scores of the models are read
            and what was done to the models, and nothing else.
        result_predictions: as `predictions`, of each result beside what results share.
    """

    predictions: int
    model_facts: bytes = b""
    result_predictions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanEvaluation(Task[object, PlannedWork]):
    """Finds what an evaluation computes, and whether its models can do it.

    Attributes:
        spec: what is asked.
        models: the models of the spec, in its order.
        inventory: what comes with the images.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.evaluations:plan_evaluation"
    value: ClassVar[Any] = PlannedWork
    way_out: ClassVar[str] = "smaller models"

    spec: EvaluationSpec
    models: tuple[ModelFiles, ...]
    inventory: Inventory

    def models_loaded(self) -> frozenset[str]:
        """The models of the spec."""
        return frozenset(model.name for model in self.models)

    def amount(self) -> Amount:
        """The bytes of the models."""
        return Amount(model_bytes=sum(model.size_bytes for model in self.models))


@dataclass(frozen=True, slots=True)
class RunShard(Task[ImageRow, ShardTotals]):
    """Evaluates some images.

    Attributes:
        spec: what is asked.
        models: the models of the spec, in its order.
        images: the images of the shard, in their order.
        positions: where they stand in the data set, for messages; () if they are the set.
        predictions: predictions of one image, as planned.
        answers: what it may make of answers that are kept; None: nothing.
        unasked: names of models that are not asked: an answer of theirs that is not known ends the
            shard with `UnknownAnswerError`.
        run_sizes: what was measured on earlier tasks.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.evaluations:run_shard"
    partial: ClassVar[Any] = ImageRow
    value: ClassVar[Any] = ShardTotals

    spec: EvaluationSpec
    models: tuple[ModelFiles, ...]
    images: tuple[StoredImage, ...]
    positions: tuple[int, ...] = ()
    predictions: int = 0
    answers: AnswerGrant | None = None
    unasked: frozenset[str] = frozenset()
    run_sizes: tuple[RunSize, ...] = ()

    @property
    def no_cache(self) -> bool:
        """Whether every answer is computed anew, and none is kept."""
        return self.spec.no_cache

    def models_loaded(self) -> frozenset[str]:
        """The models of the spec."""
        return frozenset(model.name for model in self.models)

    def position(self, index: int) -> int:
        """Where an image of the shard stands in the data set."""
        return self.positions[index] if self.positions else index

    def is_kept(self) -> bool:
        """Whether its answers are wanted."""
        return self.answers is not None and self.answers.keeps

    def amount(self) -> Amount:
        """The bytes of the models, and the predictions of all images with their decoding."""
        return Amount(
            model_bytes=sum(model.size_bytes for model in self.models),
            units=(1 + self.predictions) * len(self.images),
        )

    @classmethod
    def check_partial(cls, value: ImageRow, check: DocumentCheck) -> None:
        """Reads the messages of a row once."""
        for data in (value.basic, value.curves, value.overlays):
            check("ImageResult", data)

    @classmethod
    def check_value(cls, value: ShardTotals, check: DocumentCheck) -> None:  # noqa: ARG003  # holds none
        """Reads the columns once, and compares counts with their limits."""
        value.check()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explain(Task[bytes, None]):
    """Computes maps, each a serialised `Explanation`, image by image and explainer by explainer.

    Attributes:
        model: the model.
        preprocessing: how an image becomes its input.
        explainers: what explains.
        images: the images.
        target: what of the model's answers is explained.
        seed: of everything random.
        overlay: whether to lay each map over its image.
        input_pixels: whether to send the image that the model reads.
        stated: what the user says of the class output.
        predictions: predictions of one image, as planned.
        no_cache: whether every answer is computed anew, and none is kept.
        answers: what it may make of answers that are kept; None: nothing.
        run_sizes: what was measured on evaluations.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.explanations:explain"
    partial: ClassVar[Any] = Document("Explanation")

    model: ModelFiles
    preprocessing: Preprocessing
    explainers: tuple[Explainer, ...]
    images: tuple[StoredImage, ...]
    target: Target = PREDICTED
    seed: int = 0
    overlay: bool = False
    input_pixels: bool = False
    stated: Statement = UNSTATED
    predictions: int = 0
    no_cache: bool = False
    answers: AnswerGrant | None = None
    run_sizes: tuple[RunSize, ...] = ()

    def models_loaded(self) -> frozenset[str]:
        """Its model."""
        return frozenset({self.model.name})

    def is_kept(self) -> bool:
        """Whether its answers are wanted."""
        return self.answers is not None and self.answers.keeps

    def amount(self) -> Amount:
        """The bytes of the model, and the predictions of all images with their decoding."""
        units = (1 + self.predictions) * len(self.images)
        return Amount(model_bytes=self.model.size_bytes, units=units)


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictMasked(Task[object, bytes]):
    """Predicts one image under masks; its value is a serialised `PredictResponse`.

    Attributes:
        model: the model.
        preprocessing: how the image becomes its input.
        image: the image.
        masks: uint8 [masks, height, width], non-zero is visible; None: one mask that hides nothing.
        removal: how regions are hidden; None without masks.
        stated: what the user says of the class output.
    """

    executor: ClassVar[str] = f"{_EXECUTION}.explanations:predict_masked"
    value: ClassVar[Any] = Document("PredictResponse")

    model: ModelFiles
    preprocessing: Preprocessing
    image: StoredImage
    masks: FramedSource | None = None
    removal: RemovalOperator | None = None
    stated: Statement = UNSTATED

    def models_loaded(self) -> frozenset[str]:
        """Its model."""
        return frozenset({self.model.name})

    def amount(self) -> Amount:
        """The bytes of the model, and the number of masks with the decoding of the image."""
        source = None if self.masks is None else self.masks.source
        masks = source.shape[0] if isinstance(source, ArraySource) and source.shape else 1
        return Amount(model_bytes=self.model.size_bytes, units=1 + masks)


@dataclass(frozen=True, slots=True)
class DescribeEnvironment(Task[object, dict[str, str]]):
    """Tells what computes the scores: versions, processor, options of the runtime."""

    executor: ClassVar[str] = f"{_EXECUTION}.environment:describe_environment"
    value: ClassVar[Any] = dict[str, str]
