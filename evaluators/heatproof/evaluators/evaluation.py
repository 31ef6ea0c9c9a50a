"""Runs evaluations and explanations of a few images on models at hand: the engine's front door."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from heatproof.evaluators.arrays import Logits, Map, Masks
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.plan import Plan as Plan
from heatproof.evaluators.plan import ResultKey as ResultKey
from heatproof.evaluators.plan import plan as plan
from heatproof.evaluators.predictor import Predictor
from heatproof.evaluators.preprocessing import Preprocessing
from heatproof.evaluators.removal import RemovalOperator
from heatproof.evaluators.results import CleanPrediction, ImageResult
from heatproof.evaluators.sources import SourceImage as SourceImage
from heatproof.evaluators.spec import EvaluationSpec


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a shard is.

    Attributes:
        images_done: images finished.
        predictions_done: rows computed, without padding.
    """

    images_done: int
    predictions_done: int


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One map.

    Attributes:
        image: index of the image.
        explainer: the explainer.
        prediction: the model's answer to the clean image.
        values: the map in the model's input frame, or why there is none.
        overlay_png: the map over the image; empty if not asked for or if there is no map.
    """

    image: int
    explainer: Explainer
    prediction: CleanPrediction
    values: Map | Undefined
    overlay_png: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPredictions:
    """Answers to one image under masks.

    Attributes:
        logits: class scores, one row a mask.
        coverage: visible share of the last spatial mask, for `layer` only.
    """

    logits: Logits
    coverage: Float32[np.ndarray, "masks"] | None


def shards(images: int) -> tuple[range, ...]:
    """Cuts images into shards: a function of their number alone."""
    raise NotImplementedError


def evaluate(
    spec: EvaluationSpec,
    images: Sequence[SourceImage],
    predictors: Mapping[str, Predictor],
    on_progress: Callable[[Progress], None],
) -> Iterator[ImageResult]:
    """Evaluates one shard; results come in the order of the images.

    Batches are cut inside the shard only, in an order that depends on spec, images and models
    alone, so that equal shards give bit-equal results. `images` may be lazy: each is fetched once,
    in order, when its turn comes, and dropped when its result is out.

    Args:
        spec: what to evaluate; every model named in it has a predictor.
        images: the shard's images.
        predictors: models by name.
        on_progress: called after every batch.

    Raises:
        InvalidArgumentError: an image lacks the label that is to be explained, its label is no
            class of a model, or its map or size is unusable; the field starts with `images[i]`
            where i counts within this shard.
    """
    raise NotImplementedError


def explain(
    spec: EvaluationSpec, images: Sequence[SourceImage], predictor: Predictor
) -> Iterator[Explanation]:
    """Makes maps, image by image and explainer by explainer.

    Args:
        spec: one model, `explainers`, `target`, `seed`; `keep_overlays` asks for overlays; metrics
            and removal operators are not read.
        images: the images.
        predictor: the model.
    """
    raise NotImplementedError


def predict_masked(
    image: SourceImage,
    masks: Masks,
    removal: RemovalOperator,
    preprocessing: Preprocessing,
    predictor: Predictor,
) -> MaskedPredictions:
    """Predicts an image under masks of the model's input frame (see `frames.mask_to_input`)."""
    raise NotImplementedError
