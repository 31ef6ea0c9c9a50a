"""Matrices of a thousand classes reach every worker, and replies name them by their digests."""

import hashlib

import numpy as np
import onnx.parser
import pytest

from heatproof.client import Client, Report
from heatproof.client.errors import ServiceError
from heatproof.v1 import metrics_pb2

CLASSES = 1000
MATRIX = np.random.default_rng(0).random((CLASSES, CLASSES), np.float32)
IMAGES = [np.full((32, 32, 3), value, np.uint8) for value in (40, 120, 200)]
LABELS = [3, 500, 999]

TEXT = f"""
<ir_version: 10, opset_import: ["" : 18]>
bright (float[N, 3, 32, 32] image) => (float[N, {CLASSES}] logits)
<int64[2] flat = {{-1, 1}}, int64[2] wide = {{1, {CLASSES}}}, float start = {{0}},
 float end = {{{CLASSES}}}, float step = {{1}}, float middle = {{MIDDLE}}>
{{
    g = ReduceMean <keepdims = 0> (image, axes)
    bright = Reshape (g, flat)
    places = Range (start, end, step)
    row = Reshape (places, wide)
    far = Sub (row, middle)
    near = Mul (far, far)
    slope = Mul (bright, row)
    logits = Sub (slope, near)
}}
"""


def network(middle: float) -> bytes:
    """Class `middle + mean / 2`, rounded: brighter images have higher classes."""
    text = TEXT.replace("MIDDLE", str(middle)).replace(
        "int64[2] flat", "int64[3] axes = {1, 2, 3}, int64[2] flat"
    )
    return onnx.parser.parse_model(text).SerializeToString()


def predicted(middle: float) -> list[int]:
    return [round(middle + image.mean() / 255 / 2) for image in IMAGES]


def metric(matrix: np.ndarray) -> dict[str, object]:
    similarity = {"classes": len(matrix), "values": matrix.astype("<f4").tobytes()}
    return {
        "segment_removal": {
            "regions": {"grid": {"side": 2}}, "fractions": 2, "similarity": similarity,
        }
    }  # fmt: skip


@pytest.fixture(scope="module")
def report(client: Client) -> Report:
    return client.evaluate(
        [network(20.3), network(700.3)],
        IMAGES,
        preprocessing="unit",
        metrics=[metric(MATRIX)],
        removals=["mean"],
        labels=LABELS,
        compare=True,
    )


@pytest.mark.parametrize(("place", "middle"), [(0, 20.3), (1, 700.3)])
def test_similarities_are_those_of_the_predicted_and_the_true_classes(
    report: Report, place: int, middle: float
) -> None:
    expected = MATRIX[predicted(middle), LABELS]
    # The mean colour of a constant image is the image: nothing changes its class.
    found = [one.scores[place].parts["class_similarity"].value for one in report.images]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_replies_name_the_matrix_by_its_digest(client: Client, report: Report) -> None:
    digest = hashlib.sha256(MATRIX.astype("<f4").tobytes()).hexdigest()
    named = [
        report.evaluation.spec.metrics[0],
        report.results[0].metric,
        *(one.metric for one in client.compare_models(report).comparisons),
    ]
    for one in named:
        held: metrics_pb2.Metric = one
        assert held.segment_removal.similarity.sha256 == digest
        assert held.segment_removal.similarity.values == b""


def test_more_matrices_than_a_task_can_carry_are_refused(client: Client) -> None:
    matrices = [metric(np.roll(MATRIX, shift)) for shift in range(4)]
    with pytest.raises(ServiceError, match="bytes of matrices") as caught:
        client.evaluate(
            network(20.3), IMAGES, preprocessing="unit", metrics=matrices, removals=["mean"],
            labels=LABELS,
        )  # fmt: skip
    assert caught.value.violations[0].field == "spec.metrics"
