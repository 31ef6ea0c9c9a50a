"""Odd models, images and objects: every score is a number or has a status, whatever is asked."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedModelError
from heatproof.evaluators.evaluation.engine import evaluate, plan
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.images.inventory import Inventory, KnownImage
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import Frame, FramedBox, FramedMask, SourceImage
from heatproof.evaluators.metrics import Deletion, Sparseness
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black, Layer
from heatproof.graphs.predictor import GraphPredictor
from tests.evaluators.everything import EVERY_EXPLAINER, EVERY_METRIC, EVERY_REMOVAL
from tests.graphs.evaluations.evaluating import SIDE, known_image, opened

NAME = "models/odd"
MAP = "c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (image, w) last = Relu (c)"
MEAN = "p = GlobalAveragePool (last) f = Flatten (p)"
LOGITS = "scores = Gemm <transB = 1> (f, v)"
ACTIVATED = "z = Gemm <transB = 1> (f, v) scores = {} (z)"
COLOUR, FIVE = "float[N, 3, 32, 32] image", "float[N, 5] scores"
WEIGHTS = "float[8, 3, 3, 3] w, float[5, 8] v"
DARK = "int64[3] axes = {1, 2, 3}, int64[1] last_axis = {1}, float dark = {0.2}, float zero = {0.0}"
NOT_A_NUMBER_IN_THE_DARK = """
    z = Gemm <transB = 1> (f, v) m = ReduceMean <keepdims = 0> (image, axes)
    u = Unsqueeze (m, last_axis) s = Sub (u, dark) l = Log (s) o = Mul (l, zero)
    scores = Add (z, o)"""
MODELS = {
    "plain": (COLOUR, FIVE, WEIGHTS, MAP, MEAN, LOGITS),
    "float16": tuple(
        part.replace("float[", "float16[")
        for part in (COLOUR, FIVE, WEIGHTS, MAP, MEAN, LOGITS)
    ),
    "channels last": (
        "float[N, 32, 32, 3] image",
        FIVE,
        "float[8, 3, 3, 3] w, float[8, 5] v, int64[2] a = {1, 2}",
        f"t = Transpose <perm = [0, 3, 1, 2]> (image) {MAP.replace('(image', '(t')}",
        "h = Transpose <perm = [0, 2, 3, 1]> (last) f = ReduceMean <keepdims = 0> (h, a)",
        "scores = MatMul (f, v)",
    ),
    "batch of one": ("float[1, 3, 32, 32] image", "float[1, 5] scores", WEIGHTS, MAP, MEAN, LOGITS),
    "one channel": (
        "float[N, 1, 32, 32] image", FIVE, "float[8, 1, 3, 3] w, float[5, 8] v", MAP, MEAN, LOGITS,
    ),
    "two outputs": (COLOUR, f"float[N, 8] f, {FIVE}", WEIGHTS, MAP, MEAN, LOGITS),
    "one logit": (
        COLOUR, "float[N, 1] scores", "float[8, 3, 3, 3] w, float[1, 8] v", MAP, MEAN, LOGITS,
    ),
    "sigmoid": (COLOUR, FIVE, WEIGHTS, MAP, MEAN, ACTIVATED.format("Sigmoid")),
    "softmax": (COLOUR, FIVE, WEIGHTS, MAP, MEAN, ACTIVATED.format("Softmax")),
    "not a number in the dark": (
        COLOUR, FIVE,
        f"{WEIGHTS}, {DARK}",
        MAP, MEAN, NOT_A_NUMBER_IN_THE_DARK,
    ),
}  # fmt: skip
ALONE = tuple(metric for metric in EVERY_METRIC if Reads.PANEL not in metric.reads)
OF_THE_OPERATORS_PICTURE = {"adcc", "arcc", "coherency"}
"""Metrics that mix the image with what an operator paints, which `layer` does not."""

Parse = Callable[[str], onnx.ModelProto]


def network(parse: Parse, image: str, scores: str, weights: str, *body: str) -> GraphPredictor:
    text = f'<ir_version: 10, opset_import: ["" : 18]> g ({image}) => ({scores}) <{weights}>'
    return opened(parse(f"{text} {{ {' '.join(body)} }}"), NAME)


def inventory(images: Sequence[SourceImage]) -> Inventory:
    return Inventory.of(
        KnownImage(
            one.display_name,
            one.label,
            has_object=one.object_mask is not None,
            has_boxes=bool(one.boxes),
            maps=frozenset(one.attribution_maps),
            has_replacement=one.replacement is not None,
        )
        for one in images
    )


def statuses(
    predictor: GraphPredictor, images: Sequence[SourceImage], **asked: Any
) -> dict[Reason, set[str]]:
    """Metrics by why an image has no score of them; everything else is finite."""
    spec = EvaluationSpec(models=(NAME,), preprocessing=PRESETS["unit"], **asked)
    plan(spec, {NAME: predictor.facts}, inventory(images))
    results = list(evaluate(spec, images, {NAME: predictor}, lambda _: None))
    assert summarize(spec, tabulated(spec, results))
    keys = result_keys(spec)
    found: dict[Reason, set[str]] = {}
    for result in results:
        assert len(result.scores) == len(keys)
        for score in result.scores:
            for number in (score.score, *score.parts.values()):
                assert isinstance(number, Undefined) or np.isfinite(number)
            if isinstance(score.score, Undefined):
                name = keys[score.result].metric.name
                found.setdefault(score.score.reason, set()).add(name)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_every_explainer_operator_and_metric_takes_an_odd_model(
    text_model: Parse, name: str
) -> None:
    predictor = network(text_model, *MODELS[name])
    one, six = [known_image(1)], [known_image(seed) for seed in range(1, 7)]
    maps = statuses(predictor, six, metrics=(Sparseness(),), explainers=EVERY_EXPLAINER)
    curves = statuses(
        predictor, one, metrics=(Deletion(2, 2),), explainers=(Saliency(),), removals=EVERY_REMOVAL
    )
    painted = statuses(predictor, six, metrics=ALONE, explainers=(Saliency(),), removals=(Black(),))
    inside = tuple(metric for metric in ALONE if metric.name not in OF_THE_OPERATORS_PICTURE)
    hidden = statuses(predictor, one, metrics=inside, explainers=(Saliency(),), removals=(Layer(),))
    expected = {Reason.MISCLASSIFIED, Reason.NO_PLACE_EFFECT, Reason.FLIPPED}
    if name == "not a number in the dark":
        expected |= {Reason.NOT_FINITE}
        assert curves == {Reason.NOT_FINITE: {"deletion"}}
    else:
        assert curves == {}
    assert set(maps) | set(painted) | set(hidden) <= expected


def test_a_softmax_over_one_class_is_refused_with_the_way_out(text_model: Parse) -> None:
    weights, softmax = "float[8, 3, 3, 3] w, float[1, 8] v", ACTIVATED.format("Softmax")
    with pytest.raises(UnsupportedModelError, match="export the logit, or its sigmoid"):
        network(text_model, COLOUR, "float[N, 1] scores", weights, MAP, MEAN, softmax)


def everywhere(value: int) -> NDArray[np.uint8]:
    return np.full((SIDE, SIDE, 3), value, np.uint8)


def mask(*, marked: bool) -> FramedMask:
    return FramedMask(Frame.MODEL_INPUT, np.full((SIDE, SIDE), marked))


def boxed(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    return {
        "object_mask": None,
        "boxes": (FramedBox(Frame.MODEL_INPUT, left, top, right, bottom),),
    }


IMAGES: dict[str, tuple[dict[str, Any], set[Reason]]] = {
    "one pixel": ({"pixels": everywhere(90)[:1, :1]}, set()),
    "one row": ({"pixels": known_image(3).pixels[:1]}, {Reason.NO_PLACE_EFFECT}),
    "grey": ({"pixels": everywhere(128)}, set()),
    "white": ({"pixels": everywhere(255)}, set()),
    "black": ({"pixels": everywhere(0)}, {Reason.DEGENERATE, Reason.NO_PLACE_EFFECT}),
    "empty mask": ({"object_mask": mask(marked=False)}, {Reason.NO_OBJECT}),
    "full mask": ({"object_mask": mask(marked=True)}, {Reason.FULL_OBJECT, Reason.NO_BACKGROUND}),
    "box outside": (boxed(40.0, 40.0, 60.0, 60.0), {Reason.NO_OBJECT}),
    "box over the edge": (boxed(-10.0, -5.0, 12.0, 60.0), set()),
    "alone": (
        {"donors": (), "same_label_donors": (), "other_label_donors": (), "partner": None},
        {Reason.NO_DONOR},
    ),
}


@pytest.mark.parametrize("name", IMAGES)
def test_odd_images_and_objects_have_scores_or_the_status_that_says_why(
    text_model: Parse, name: str
) -> None:
    changes, expected = IMAGES[name]
    predictor, images = network(text_model, *MODELS["plain"]), [known_image(1, **changes)]
    found = statuses(
        predictor, images, metrics=ALONE, explainers=(Saliency(),), removals=(Black(),)
    )
    assert set(found) - {Reason.MISCLASSIFIED} == expected
    statuses(predictor, images, metrics=(Sparseness(),), explainers=EVERY_EXPLAINER)
    statuses(
        predictor,
        images,
        metrics=(Deletion(2, 2),),
        explainers=(Saliency(),),
        removals=EVERY_REMOVAL,
    )


TINY = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, {side}, {side}] image) => (float[N, 5] scores)
<float[8, 3, 1, 1] w, float[5, 8] v>
{{
    c = Conv (image, w)
    last = Relu (c)
    p = GlobalAveragePool (last)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v)
}}
"""


def refusals(predictor: GraphPredictor) -> Iterator[InvalidArgumentError]:
    """What is said of each metric under layer masking that does not fit a small input."""
    for metric in ALONE:
        try:
            statuses(
                predictor,
                [known_image(1)],
                metrics=(metric,),
                explainers=(Saliency(),) if metric.takes_explainer else (),
                removals=(Layer(),) if metric.takes_removal else (),
            )
        except InvalidArgumentError as refusal:
            yield refusal


@pytest.mark.parametrize("side", [1, 8])
def test_inputs_of_few_pixels_are_refused_by_the_parameter_that_does_not_fit(
    text_model: Parse, side: int
) -> None:
    predictor = opened(text_model(TINY.format(side=side)), NAME)
    found = list(refusals(predictor))
    assert len(found) > 20
    for refusal in found:
        assert refusal.field.startswith("metrics[0].")
        assert "at most 0" not in refusal.message, refusal.message
