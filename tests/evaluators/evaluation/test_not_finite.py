"""NaN and infinities of a model: a status of the image, never a number and never a failure."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import ImageResult, ImageScore
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import (
    GradCam,
    IntegratedGradients,
    Occlusion,
    Rise,
    Saliency,
)
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import DonorImage, Frame, FramedMask, SourceImage
from heatproof.evaluators.outcomes import Reason, Score, Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import Answers, Batch
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black, Layer
from tests.evaluators.everything import EVERY_METRIC, reading
from tests.evaluators.toys import SIDE, ToyPredictor, facts, linear

WEIGHTS = np.random.default_rng(0).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
MODEL = "models/toy"
SPEC = EvaluationSpec(
    models=(MODEL,),
    preprocessing=PRESETS["unit"],
    metrics=tuple(metric for metric in EVERY_METRIC if Reads.PANEL not in metric.reads),
    explainers=(
        Saliency(),
        IntegratedGradients(steps=2),
        GradCam(),
        Occlusion(16, 16),
        Rise(masks=4),
    ),
    removals=(Black(), Layer()),
    keep_overlays=True,
)
PANEL = replace(
    SPEC,
    models=(MODEL, "models/sound"),
    metrics=reading(Reads.PANEL),
    explainers=(Saliency(),),
    keep_overlays=False,
)
OBJECT = FramedMask(Frame.MODEL_INPUT, np.arange(SIDE * SIDE).reshape(SIDE, SIDE) < 300)
FAULTS = ("clean", "some images", "all but the clean", "masked", "gradients",
          "some gradients", "activations")  # fmt: skip


class Ailing(ToyPredictor):
    """A linear toy some of whose numbers are not finite."""

    def __init__(self, fault: str, value: float, clean: np.ndarray, *, whole: bool) -> None:
        super().__init__(**linear_parts())
        self._fault, self._value, self._whole = fault, value, whole
        self._clean = clean

    def logits(self, images: np.ndarray) -> np.ndarray:
        found = super().logits(images)
        for row, image in zip(found, images, strict=True):
            is_clean = np.array_equal(image, self._clean)
            bad = {
                "clean": is_clean,
                "all but the clean": not is_clean,
                "some images": not is_clean and lot(image),
            }
            if bad.get(self._fault, False):
                self._spoil(row)
        return found

    def answers(self, run: ModelPass, batch: Batch) -> Answers:
        found = super().answers(run, batch)
        if batch.masks is not None and self._fault == "masked":
            for row, mask in zip(found.logits, batch.masks, strict=True):
                if lot(mask):
                    self._spoil(row)
        return found if found.gradients is None else self._ailing(found, batch.images)

    def _ailing(self, found: Answers, images: np.ndarray) -> Answers:
        assert found.gradients is not None
        assert found.activations is not None
        gradients, activations = found.gradients.copy(), found.activations.copy()
        for row, image in zip(gradients, images, strict=True):
            if self._fault == "gradients" or (self._fault == "some gradients" and lot(image)):
                self._spoil(row)
        if self._fault == "activations":
            self._spoil(activations)
        return replace(found, activations=activations, gradients=gradients)

    def _spoil(self, array: np.ndarray) -> None:
        array[...] = self._value if self._whole else array
        array.reshape(-1)[0] = self._value


def linear_parts() -> dict[str, object]:
    whole = linear(WEIGHTS)
    return {"logits": whole._logits, "jacobian": jacobian, "own": facts()}  # a toy


def jacobian(image: np.ndarray) -> np.ndarray:
    full = np.zeros((3, *image.shape))
    full[0] = WEIGHTS
    return full


def lot(array: np.ndarray) -> bool:
    """A coin that falls alike for equal arrays."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()[0] % 2 == 0


def source(seed: int) -> SourceImage:
    drawn = drawing(seed)
    other = DonorImage(f"{seed + 1:064x}", lambda: drawing(seed + 1))
    return SourceImage(
        f"{seed:064x}",
        f"{seed}.png",
        drawn,
        label=0,
        object_mask=OBJECT,
        donors=(other,),
        same_label_donors=(other,),
        other_label_donors=(other, other),
        partner=other,
        leads_pair=True,
    )


def drawing(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def clean_pixels(image: SourceImage) -> np.ndarray:
    pixels: np.ndarray = (image.pixels / 255).astype(np.float32).transpose(2, 0, 1)
    return pixels


def numbers(score: ImageScore) -> Iterator[Score]:
    yield score.score
    yield from score.parts.values()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_panel_has_a_status_where_one_of_its_models_is_not_finite(fault: str) -> None:
    image = source(0)
    sound = linear(WEIGHTS, own=facts(model="models/sound"))
    ailing = Ailing(fault, math.nan, clean_pixels(image), whole=True)
    models = {MODEL: ailing, "models/sound": sound}
    (result,) = evaluate(PANEL, [image], models, lambda _: None)
    assert len(result.scores) == 2
    for score in result.scores:
        for found in numbers(score):
            assert isinstance(found, Undefined) or math.isfinite(found)
    if fault in {"clean", "all but the clean", "gradients"}:
        assert all(isinstance(score.score, Undefined) for score in result.scores)


def spoilt(fault: str, value: float, *, whole: bool) -> ImageResult:
    image = source(0)
    predictor = Ailing(fault, value, clean_pixels(image), whole=whole)
    (result,) = evaluate(SPEC, [image], {MODEL: predictor}, lambda _: None)
    return result


@pytest.mark.parametrize(
    ("value", "whole"), [(math.nan, True), (math.inf, True), (-math.inf, False)]
)
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_is_not_finite_gives_scores_or_statuses(
    fault: str, value: float, *, whole: bool
) -> None:
    result = spoilt(fault, value, whole=whole)
    assert len(result.scores) == len(result_keys(SPEC))
    for score in result.scores:
        for number in numbers(score):
            assert isinstance(number, Undefined) or math.isfinite(number)
    without = {one.score.reason for one in result.scores if isinstance(one.score, Undefined)}
    assert Reason.NOT_FINITE in without or not whole  # what a ReLU cuts off does no harm
    if fault == "clean":
        assert all(isinstance(one.score, Undefined) for one in result.scores)
        assert without == {Reason.NOT_FINITE}
        assert result.predictions[0].top == ()
    assert summarize(SPEC, tabulated(SPEC, [result]))
