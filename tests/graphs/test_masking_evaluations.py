"""The layer-masking paper's evaluations over ONNX networks, against slow readings in NumPy."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

from heatproof.evaluators.evaluation.engine import evaluate
from heatproof.evaluators.evaluation.results import ImageScore
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import DonorImage, Frame, FramedMask, SourceImage
from heatproof.evaluators.metrics import Concordance, LimeProtocol, Linearity, Metric
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.removal import Black, Layer, RemovalOperator
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import SessionCache
from tests.graphs.masking.readings import Geometry, convolved, fill, window_rule

NET = """
<ir_version: 10, opset_import: ["" : 18]>
g (float[N, 3, 32, 32] image) => (float[N, 5] scores)
<float[6, 3, 3, 3] w, float[7, 6, 3, 3] u, float[5, 7] v>
{
    c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (image, w)
    r = Relu (c)
    d = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (r, u)
    last = Relu (d)
    p = GlobalAveragePool (last)
    f = Flatten (p)
    scores = Gemm <transB = 1> (f, v)
}
"""
SIDE = 32
WHOLE = np.ones((SIDE, SIDE), np.bool_)
OBJECT = WHOLE.copy()
OBJECT[:, 11:] = OBJECT[26:] = False
GEOMETRY = Geometry("33", "22", "11", "1111")
ROUNDS = 2

Array = NDArray[np.float64]
Parse = Callable[[str], onnx.ModelProto]


class Reading:
    """The network by hand: features and visible share of an image of which a part is hidden."""

    def __init__(self, model: onnx.ModelProto, removal: RemovalOperator) -> None:
        tensors = {held.name: numpy_helper.to_array(held) for held in model.graph.initializer}
        self._kernels, self._head = [tensors["w"], tensors["u"]], tensors["v"].astype(float)
        self._masks = isinstance(removal, Layer)

    def __call__(self, image: Array, visible: NDArray[np.bool_]) -> tuple[Array, float]:
        cells, mask = (image * visible)[None], np.ones((1, 1, SIDE, SIDE))
        if self._masks:
            mask = visible[None, None].astype(float)
        for kernel in self._kernels:
            into = fill(cells, mask, ROUNDS)
            mask = window_rule(mask, GEOMETRY)
            cells = np.maximum(convolved(into, kernel, GEOMETRY), 0) * mask
        share = float(mask.mean())
        return cells.mean(axis=(0, 2, 3)) / (share or 1), share

    def probabilities(self, image: Array, visible: NDArray[np.bool_]) -> Array:
        logits = self._head @ self(image, visible)[0]
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum())


def drawing(seed: int) -> NDArray[np.uint8]:
    """A gradient with its own direction and colour, and some noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    plane = rng.random(3)[:, None, None] * rows + rng.random(3)[:, None, None] * columns
    noisy = 0.4 * plane + 0.2 * rng.random((3, SIDE, SIDE))
    return (255 * noisy).astype(np.uint8).transpose(1, 2, 0)


def seen(seed: int) -> Array:
    return drawing(seed).transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def scored(model: onnx.ModelProto, metric: Metric, removal: RemovalOperator) -> ImageScore:
    predictor = GraphPredictor(
        canonicalize(ir.from_proto(model), PRESETS["unit"]),
        SessionCache(1 << 30, SessionSettings(threads=1, log_severity=2)),
        model="models/sha256-00",
        batch_size=4,
        cancellation=Cancellation(),
    )
    spec = EvaluationSpec(
        models=("models/sha256-00",),
        preprocessing=PRESETS["unit"],
        metrics=(metric,),
        removals=(removal,),
    )
    other = DonorImage(f"{1:064x}", lambda: drawing(1))
    image = SourceImage(
        f"{0:064x}",
        "0.png",
        drawing(0),
        label=2,
        object_mask=FramedMask(Frame.MODEL_INPUT, OBJECT),
        donors=(other,),
        partner=other,
        leads_pair=True,
    )
    (found,) = evaluate(spec, [image], {"models/sha256-00": predictor}, lambda _: None)
    return found.scores[0]


def cosine(first: Array, second: Array) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def box(rows: slice, columns: slice) -> NDArray[np.bool_]:
    visible = np.zeros((SIDE, SIDE), np.bool_)
    visible[rows, columns] = True
    return visible


@pytest.mark.parametrize("removal", [Black(), Layer()])
@pytest.mark.parametrize("patch", [16, 8])
def test_linearity_agrees_with_a_reading_of_the_network(
    text_model: Parse, removal: RemovalOperator, patch: int
) -> None:
    model = text_model(NET)
    read = Reading(model, removal)
    starts = range(0, SIDE, patch)
    alone = [
        read(seen(0), box(slice(top, top + patch), slice(left, left + patch)))
        for top in starts
        for left in starts
    ]
    whole, _ = Reading(model, Black())(seen(0), WHOLE)
    parts = np.array([found for found, _ in alone])
    shares = np.array([share for _, share in alone])
    score = scored(model, Linearity(patch), removal)
    expected = {
        "distance": np.linalg.norm(parts.sum(axis=0) - whole) / np.linalg.norm(whole),
        "weighted_cosine": cosine(shares @ parts, whole),
        "patch_magnitude": np.linalg.norm(parts, axis=1).mean(),
        "image_magnitude": np.linalg.norm(whole),
        "n_zero_coverage": 0.0,
    }
    assert score.score == pytest.approx(cosine(parts.sum(axis=0), whole), rel=1e-5)
    assert score.parts == pytest.approx(expected, rel=1e-5)


def test_a_linear_network_adds_up_in_closed_form(text_model: Parse) -> None:
    """Without bias and ReLU the features of patches on black sum up to those of the image.

    By 1 x 1 convolutions, that see no hidden neighbour, layer masking gives means over each patch:
    n of them sum up to n times the features, so that the published distance is n - 1.
    """
    linear = NET.replace("r = Relu (c)", "r = Identity (c)").replace("Relu (d)", "Identity (d)")
    found = scored(text_model(linear), Linearity(8), Black())
    assert found.score == pytest.approx(1, abs=1e-6)
    assert found.parts["distance"] == pytest.approx(0, abs=1e-5)

    alone = linear.replace("3, 3]", "1, 1]").replace("pads = [1, 1, 1, 1], ", "")
    found = scored(text_model(alone), Linearity(8), Layer())
    assert found.score == pytest.approx(1, abs=1e-6)
    assert found.parts["distance"] == pytest.approx(15, rel=1e-5)
    assert found.parts["weighted_cosine"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("removal", [Black(), Layer()])
def test_concordance_agrees_with_a_reading_of_the_network(
    text_model: Parse, removal: RemovalOperator
) -> None:
    model, sizes = text_model(NET), (112, 56)
    read = Reading(model, removal)

    def likeness(images: Sequence[Array], visible: NDArray[np.bool_]) -> float:
        first, second = (read(image, visible)[0] for image in images)
        return cosine(first, second)

    full = likeness([seen(0), seen(1)], WHOLE)
    expected = {}
    for size in sizes:
        side = SIDE * size // 224
        corners = [np.zeros((3, SIDE, SIDE)) for _ in range(2)]
        for seed, canvas in enumerate(corners):
            for plane, own in zip(canvas, seen(seed), strict=True):
                small = Image.fromarray(own).resize((side, side), Image.Resampling.BILINEAR)
                plane[:side, :side] = np.asarray(small)
        found = likeness(corners, box(slice(side), slice(side)))
        expected[f"change_at_{size}_of_224"] = abs(found - full)
    score = scored(model, Concordance(sizes), removal)
    assert score.parts == pytest.approx(expected, abs=1e-6)
    assert score.score == pytest.approx(np.mean(list(expected.values())), abs=1e-6)
    assert max(expected.values()) > 1e-3


@pytest.mark.parametrize("removal", [Black(), Layer()])
def test_the_lime_protocol_agrees_with_a_reading_of_the_network(
    text_model: Parse, removal: RemovalOperator
) -> None:
    model, samples, side, top = text_model(NET), 24, 4, 5
    read = Reading(model, removal)
    target = int(read.probabilities(seen(0), WHOLE).argmax())
    cells = np.arange(SIDE)[:, None] // 8 * side + np.arange(SIDE) // 8
    shown = generator(0, f"{0:064x}", "subsets/surrogate").random((samples, side * side)) < 0.5
    shown[0] = True
    values = [read.probabilities(seen(0), row[cells])[target] for row in shown]
    weights = np.exp(-((1 - np.sqrt(shown.mean(axis=1))) ** 2) / (2 * 0.25**2))
    root = np.sqrt(weights)[:, None]
    rows = np.vstack([root * np.hstack([np.ones((samples, 1)), shown]), np.eye(17)[1:]])
    wanted = np.concatenate([root[:, 0] * values, np.zeros(side * side)])
    coefficients = np.linalg.lstsq(rows, wanted, rcond=None)[0][1:]
    centred = OBJECT - OBJECT.mean()
    gains = np.array([centred[cells == cell].sum() for cell in range(side * side)])
    chosen = np.isin(cells, np.argsort(-coefficients)[:top])
    score = scored(model, LimeProtocol(Grid(side), samples, top=top), removal)
    assert score.score == pytest.approx(cosine(coefficients, gains), rel=1e-4)
    assert score.parts == {
        "jaccard": pytest.approx((chosen & OBJECT).sum() / (chosen | OBJECT).sum()),
        "ablation_hit": float(read.probabilities(seen(0), ~chosen).argmax() == 2),
        "n_zero_coverage": 0.0,
    }
