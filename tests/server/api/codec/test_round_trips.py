"""Whatever is encoded is decoded to the same value."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC
from enum import StrEnum
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.errors import InvalidArgumentError, UnknownNameError, placed
from heatproof.evaluators.evaluation.results import (
    CleanPrediction,
    Disparity,
    GroupScore,
    ImageResult,
    ImageScore,
    InputPicture,
    Interval,
    MetricResult,
    Overlay,
    Summary,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import EXPLAINERS, Explainer
from heatproof.evaluators.images.labels import LabelSet
from heatproof.evaluators.images.preprocessing import PRESETS, Preprocessing, Resize
from heatproof.evaluators.metrics import (
    METRICS,
    ClassMatrix,
    Deletion,
    FaithfulnessEstimate,
    Metric,
)
from heatproof.evaluators.outcomes import Curve, Direction, Reason, Undefined
from heatproof.evaluators.queries.targets import LABEL, PREDICTED, Contrast, FixedClass, Group
from heatproof.evaluators.regions import REGIONS, Grid, Segmentation, Slic
from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.registry.registry import Registry
from heatproof.evaluators.removal import REMOVALS, Blur, Fill, Layer, Mode, RemovalOperator
from heatproof.server.api.codec import decode, decode_choice, encode
from heatproof.server.api.codec.fields.hints import hints_of
from heatproof.server.api.codec.fields.tensors import array, check_finite, check_tensor, fill_tensor
from heatproof.v1 import (
    evaluation_pb2,
    explainers_pb2,
    metrics_pb2,
    preprocessing_pb2,
    results_pb2,
    tensor_pb2,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(codec="utf-8"), max_size=8)


def within(bounds: Range, kind: type) -> st.SearchStrategy[Any]:
    """Numbers of a range."""
    if kind is int:
        return st.integers(math.ceil(bounds.lower), math.floor(bounds.upper)).filter(
            bounds.__contains__
        )
    return st.floats(bounds.lower, bounds.upper).filter(bounds.__contains__)


MATRICES = st.integers(0, 3).flatmap(
    lambda classes: npst.arrays(
        np.float32, (classes, classes), elements=st.floats(-1, 1, width=32)
    ).map(ClassMatrix.of)
)
NESTED: Mapping[Any, Callable[[], st.SearchStrategy[Any]]] = {
    RemovalOperator: lambda: REMOVALS_,
    Segmentation: lambda: REGIONS_,
    Explainer: lambda: EXPLAINERS_,
    ClassMatrix: lambda: MATRICES,
    Metric: lambda: registered(FaithfulnessEstimate) | registered(Deletion),
}
"""What parameters hold of the registries, drawn once these are known."""


def parameters(parameter: Any, kind: Any) -> st.SearchStrategy[Any]:
    bounds = parameter.metadata.get("within")
    if kind in NESTED:
        # Not deferred, whose representation would spell out all that it may draw, again and again.
        return st.just(kind).flatmap(lambda one: NESTED[one]())
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(kind)
    if kind is bool:
        return st.booleans()
    if isinstance(parameter.default, tuple):
        return st.lists(within(bounds, kind), min_size=1, max_size=4).map(tuple)
    return within(bounds, kind) if bounds else WORDS


LAYERS = st.builds(Layer, st.sampled_from(Mode)) | st.builds(Layer, fill=st.sampled_from(Fill))
"""Without the pairs that exclude each other."""


def registered(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Things of one registered class."""
    hints = {hint.name: hint.element for hint in hints_of(kind)}
    given = {f.name: parameters(f, hints[f.name]) for f in fields(kind)}
    return st.builds(kind, **given) if kind is not Layer else LAYERS


def things(registry: Registry[Any]) -> st.SearchStrategy[Any]:
    """Things of any registered class; a strategy for each would fill pages when it is shown."""
    return st.sampled_from(list(registry)).flatmap(lambda name: registered(registry[name]))


REGIONS_, REMOVALS_ = things(REGIONS), things(REMOVALS)
EXPLAINERS_, METRICS_ = things(EXPLAINERS), things(METRICS)
PREPROCESSINGS = st.builds(
    Preprocessing,
    resize=st.sampled_from(Resize),
    height=st.integers(0, 4096),
    width=st.integers(0, 4096),
    crop_fraction=st.floats(0, 1, exclude_min=True),
    scale=st.floats(1e-6, 1e6),
    mean=st.lists(NUMBERS, min_size=3, max_size=3).map(tuple),
    std=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=1).map(tuple),
)
INDICES = st.integers(0, 2**31 - 1)
TARGETS = (
    st.sampled_from([PREDICTED, LABEL])
    | st.builds(FixedClass, INDICES)
    | st.builds(Contrast, INDICES, INDICES)
    | st.builds(Group, st.lists(INDICES, min_size=1, max_size=4).map(tuple))
)
SPECS = st.builds(
    EvaluationSpec,
    models=st.lists(WORDS, min_size=1, max_size=3).map(tuple),
    dataset=WORDS,
    preprocessing=PREPROCESSINGS,
    metrics=st.lists(METRICS_, min_size=1, max_size=3).map(tuple),
    explainers=st.lists(EXPLAINERS_, max_size=3).map(tuple),
    removals=st.lists(REMOVALS_, max_size=3).map(tuple),
    target=TARGETS,
    seed=st.integers(-(2**63), 2**63 - 1),
    keep_overlays=st.booleans(),
)
SCORES = NUMBERS | st.builds(Undefined, st.sampled_from(Reason), WORDS)
CURVES = st.builds(Curve, *(2 * [st.lists(NUMBERS, min_size=1, max_size=4).map(tuple)]))
SUMMARIES = st.builds(
    Summary,
    value=st.none() | NUMBERS,
    standard_error=st.none() | NUMBERS,
    interval=st.none() | st.builds(Interval, NUMBERS, NUMBERS, NUMBERS, WORDS),
    scored=st.integers(0, 2**31 - 1),
    undefined=st.dictionaries(WORDS, st.integers(0, 2**31 - 1), max_size=2),
)
GROUP_SCORES = st.none() | st.builds(GroupScore, WORDS, SUMMARIES)
METRIC_RESULTS = st.builds(
    MetricResult,
    disparity=st.none()
    | st.builds(
        Disparity,
        value=st.none() | NUMBERS,
        worst=GROUP_SCORES,
        best=GROUP_SCORES,
        groups=st.integers(0, 99),
    ),
    models=st.lists(WORDS, min_size=1, max_size=3).map(tuple),
    metric=METRICS_,
    removal=st.none() | REMOVALS_,
    explainer=st.none() | EXPLAINERS_,
    direction=st.sampled_from(Direction),
    summary=SUMMARIES,
    parts=st.dictionaries(WORDS, SUMMARIES, max_size=2),
    curves=st.dictionaries(WORDS, CURVES, max_size=2),
)
IMAGE_SCORES = st.builds(
    ImageScore,
    result=st.integers(0, 2**31 - 1),
    score=SCORES,
    parts=st.dictionaries(WORDS, SCORES, max_size=2),
    curves=st.dictionaries(WORDS, CURVES, max_size=2),
)
IMAGE_RESULTS = st.builds(
    ImageResult,
    image=WORDS,
    display_name=WORDS,
    label=st.none() | st.integers(0, 2**31 - 1),
    predictions=st.just(()),
    scores=st.lists(IMAGE_SCORES, max_size=2).map(tuple),
    overlays=st.lists(
        st.builds(Overlay, WORDS, EXPLAINERS_, st.binary(), NUMBERS, NUMBERS), max_size=2
    ).map(tuple),
    input_pictures=st.lists(st.builds(InputPicture, WORDS, st.binary()), max_size=2).map(tuple),
)


def sent(message: Any) -> Any:
    """The message as it arrives on the other side of a wire, in both of its forms."""
    text = json_format.MessageToJson(message)
    assert json_format.Parse(text, type(message)()) == message
    return type(message).FromString(message.SerializeToString())


@given(SPECS)
def test_specs(spec: EvaluationSpec) -> None:
    message = sent(encode(spec, evaluation_pb2.EvaluationSpec))
    assert decode(message, EvaluationSpec) == spec


@given(METRIC_RESULTS)
def test_metric_results(result: MetricResult) -> None:
    message = sent(encode(result, results_pb2.MetricResult))
    assert decode(message, MetricResult) == result


@given(
    st.lists(st.integers(0, 2**31 - 1), unique=True, max_size=3),
    st.lists(st.floats(-1e6, 1e6, width=32), max_size=3),
)
def test_sets_of_classes(classes: list[int], logits: list[float]) -> None:
    answer = CleanPrediction("m", -1, (), tuple(logits))
    held = LabelSet(tuple(classes))
    result = ImageResult("0", "", None, (answer,), (), labels=held)
    message = sent(encode(result, results_pb2.ImageResult))
    assert message.HasField("labels")
    assert not message.HasField("label")
    assert decode(message, ImageResult) == result


@given(IMAGE_RESULTS)
def test_image_results(result: ImageResult) -> None:
    message = sent(encode(result, results_pb2.ImageResult))
    assert decode(message, ImageResult) == result


@given(
    npst.arrays(
        st.sampled_from([np.uint8, np.float32]),
        npst.array_shapes(min_dims=1, max_dims=4, max_side=4),
        elements={"allow_nan": False, "allow_infinity": False},
    )
)
def test_tensors(values: Any) -> None:
    message = tensor_pb2.Tensor()
    fill_tensor(message, values)
    source = check_finite(check_tensor(sent(message), values.dtype.name, values.ndim))
    np.testing.assert_array_equal(array(source), values, strict=True)


@given(st.datetimes(timezones=st.just(UTC)))
def test_times(time: Any) -> None:
    from google.protobuf import timestamp_pb2  # noqa: PLC0415  # beside its only use

    assert decode(encode(time, timestamp_pb2.Timestamp), object) == time


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_expands_to_all_its_values(name: str) -> None:
    message = preprocessing_pb2.Preprocessing(preset=name)
    assert decode(message, Preprocessing) == PRESETS[name]


def test_explicit_fields_override_the_preset() -> None:
    message = preprocessing_pb2.Preprocessing(
        preset="imagenet", height=64, std=[1.0], layout=preprocessing_pb2.Preprocessing.LAYOUT_NHWC
    )
    decoded = decode(message, Preprocessing)
    assert (decoded.height, decoded.std, decoded.layout) == (64, (1.0,), "nhwc")
    assert (decoded.mean, decoded.resize) == (PRESETS["imagenet"].mean, Resize.SHORTEST_SIDE)


def test_preprocessing_without_preset_and_resize_says_how_to_name_one() -> None:
    with placed("spec.preprocessing"), pytest.raises(InvalidArgumentError) as caught:
        decode(preprocessing_pb2.Preprocessing(height=224), Preprocessing)
    assert caught.value.field == "resize"
    assert "imagenet, tf or unit" in caught.value.message


METRIC: Mapping[str, Any] = {"deletion": {"steps": 5000}}


@pytest.mark.parametrize(
    ("message", "field", "words"),
    [
        (
            evaluation_pb2.EvaluationSpec(
                preprocessing={"preset": "unit"}, metrics=[{"deletion": {}}, METRIC]
            ),
            "spec.metrics[1].deletion.steps",
            "[1, 1000], not 5000",
        ),
        (
            evaluation_pb2.EvaluationSpec(preprocessing={"preset": "unit"}, metrics=[{}]),
            "spec.metrics[0]",
            "no metric is chosen",
        ),
        (
            evaluation_pb2.EvaluationSpec(
                preprocessing={"preset": "unit"},
                explainers=[{"occlusion": {"removal": {"blur": {"sigma": math.inf}}}}],
            ),
            "spec.explainers[0].occlusion.removal.blur.sigma",
            "finite",
        ),
        (
            evaluation_pb2.EvaluationSpec(
                preprocessing={"preset": "unit"},
                explainers=[{"lime": {"regions": {"slic": {"segments": 5000}}}}],
            ),
            "spec.explainers[0].lime.regions.slic.segments",
            "[2, 4096], not 5000",
        ),
        (
            evaluation_pb2.EvaluationSpec(
                preprocessing={"preset": "unit"}, explainers=[{"lime": {"regions": {}}}]
            ),
            "spec.explainers[0].lime.regions",
            f"no kind of regions is chosen; choose from {', '.join(REGIONS)}",
        ),
        (
            evaluation_pb2.EvaluationSpec(preprocessing={"preset": "imagnet"}),
            "spec.preprocessing.preset",
            "did you mean 'imagenet'?",
        ),
        (
            evaluation_pb2.EvaluationSpec(preprocessing={"preset": "unit", "height": 5000}),
            "spec.preprocessing.height",
            "[1, 4096], not 5000",
        ),
        (
            evaluation_pb2.EvaluationSpec(preprocessing={"preset": "unit", "mean": [math.nan]}),
            "spec.preprocessing.mean[0]",
            "finite",
        ),
        (evaluation_pb2.EvaluationSpec(), "spec.preprocessing", "required"),
        (
            evaluation_pb2.EvaluationSpec(
                preprocessing={"preset": "unit"}, target={"contrast": {"of": {"index": 1}}}
            ),
            "spec.target.contrast.against",
            "index or name",
        ),
    ],
)
def test_a_bad_field_is_named_by_its_whole_path(message: Any, field: str, words: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught, placed("spec"):
        decode(message, EvaluationSpec)
    assert caught.value.field == field
    assert words in caught.value.message


def test_an_unknown_plug_in_offers_the_nearest_name() -> None:
    message = metrics_pb2.Metric(custom={"name": "insertion_"})
    with pytest.raises(UnknownNameError, match="did you mean 'insertion'") as caught:
        decode_choice(message)
    assert caught.value.field == "custom.name"


def test_a_built_in_thing_is_no_plug_in() -> None:
    message = explainers_pb2.Explainer(custom={"name": "rise"})
    with pytest.raises(InvalidArgumentError, match="set the field `rise` instead"):
        decode_choice(message)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_score_is_finite_and_set(value: float | None) -> None:
    with pytest.raises(InvalidArgumentError):
        decode(results_pb2.Score(value=value), float)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"data_type": 0}, "data_type"),
        ({"data_type": tensor_pb2.DATA_TYPE_UINT8}, "data_type"),
        ({"shape": [2, 3, 1]}, "shape"),
        ({"shape": [0, 3]}, "shape"),
        ({"shape": [-2, -3]}, "shape"),
        ({"shape": [2, 4]}, "data"),
        ({"shape": [1 << 62, 1 << 62]}, "data"),
        ({"data": bytes(23)}, "data"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(changes: Any, field: str) -> None:
    sound = {
        "data_type": tensor_pb2.DATA_TYPE_FLOAT32,
        "shape": [2, 3],
        "data": bytes(24),
    }
    with pytest.raises(InvalidArgumentError) as caught:
        check_tensor(tensor_pb2.Tensor(**{**sound, **changes}), "float32", 2)
    assert caught.value.field == field


def test_the_first_value_that_is_not_finite_is_named() -> None:
    message = tensor_pb2.Tensor()
    fill_tensor(message, np.array([[0, 1], [np.nan, np.inf]], np.float32))
    with pytest.raises(InvalidArgumentError, match=r"\[1, 0\] is nan"):
        check_finite(check_tensor(message, "float32", 2))


def test_an_explicit_zero_survives_where_zero_differs_from_unset() -> None:
    message = metrics_pb2.Metric(explanation_consistency={"epsilon": 0.0})
    assert decode_choice(message).epsilon == 0.0


def test_regions_nest_in_explainers_and_unset_ones_take_the_default() -> None:
    message = explainers_pb2.Explainer(lime={"regions": {"grid": {"side": 7}}})
    assert decode_choice(message).regions == Grid(7)
    assert encode(decode_choice(message), explainers_pb2.Explainer).lime.regions.grid.side == 7
    assert decode_choice(explainers_pb2.Explainer(lime={})).regions == Slic()


def test_removals_nest_in_explainers() -> None:
    message = explainers_pb2.Explainer(occlusion={"removal": {"blur": {"sigma": 3.0}}})
    assert decode_choice(message).removal == Blur(3.0)
    assert encode(decode_choice(message), explainers_pb2.Explainer).occlusion.patch == 32
