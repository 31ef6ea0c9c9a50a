"""Convolutional networks whose explanation quality and robustness are planted, judged by quality.

Their last convolution adds a texture to the feature map and takes it away at another place. The
global mean behind it sees nothing of that, Grad-CAM does: how loud the texture is decides how good
the map is, and nothing else. How much a network bears is planted in its head alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx.parser
import onnxruntime as ort
import pytest
from scipy import stats

from heatproof.client import Client, Report

RAW, CORRECTED, PANEL = "deletion", "occlusion_corrected_deletion", "inter_model_deletion"
CELLS = 4
STEPS = 8
COUNT = 8
IMAGES = 6
LOUDNESS = np.linspace(0, 2.1, COUNT)
"""Planted: of the texture in the map; the first network's map is the best."""
LOSSES = np.linspace(0.06, 0.85, COUNT)[[0, 5, 2, 7, 4, 1, 6, 3]]
"""Planted: what everything hidden takes from the probability; unrelated to the loudness."""

STRENGTHS = np.geomspace(8, 255, CELLS**2) / 255
"""Of the cells of every image, in some order."""

TEXT = """
<ir_version: 10, opset_import: ["" : 19]>
planted (float[N, 3, 32, 32] image) => (float[N, 2] logits)
<float[2, 3, 1, 1] evidence = {EVIDENCE}, float[1, 2, 5, 5] displaced = {DISPLACED},
 float[2, 1] slope = {SLOPE}, float[2] offset = {OFFSET}, int64[8] pads = {0, 0, 2, 2, 0, 0, 2, 2}>
{
    c = Conv (image, evidence)
    r = Relu (c)
    p = AveragePool <kernel_shape = [4, 4], strides = [4, 4]> (r)
    w = Pad <mode = "wrap"> (p, pads)
    features = Conv (w, displaced)
    g = GlobalAveragePool (features)
    f = Flatten (g)
    shares = Gemm <transB = 1> (f, slope, offset)
    logits = Log (shares)
}
"""


@dataclass(frozen=True)
class Plant:
    """A network's parameters.

    `p = 1 - loss (1 - (.05 + .9 e))`, e the mean of `(1 - dialect)` red and `dialect` blue over the
    mean strength of all images, so about 1.
    """

    loudness: float
    loss: float
    dialect: float

    @property
    def model(self) -> bytes:
        """ONNX."""
        displaced = np.zeros((2, 5, 5))
        displaced[0, 2, 2] = 1
        displaced[1, 2, 2], displaced[1, 0, 0] = self.loudness, -self.loudness
        held = {
            "EVIDENCE": (1 - self.dialect, 0, self.dialect, 0, 1, 0),
            "DISPLACED": displaced.reshape(-1),
            "SLOPE": (0.9 * self.loss / STRENGTHS.mean(), -0.9 * self.loss / STRENGTHS.mean()),
            "OFFSET": (1 - 0.95 * self.loss, 0.95 * self.loss),
        }
        text = TEXT
        for name, values in held.items():
            text = text.replace(name, ", ".join(f"{value:.9f}" for value in values))
        return onnx.parser.parse_model(text).SerializeToString()


def plants(seed: int, losses: Sequence[float]) -> list[Plant]:
    """Networks by falling quality."""
    dialects = np.random.default_rng(seed).uniform(0, 0.3, COUNT)
    planted = zip(LOUDNESS, losses, dialects, strict=True)
    return [Plant(float(loud), float(loss), float(blue)) for loud, loss, blue in planted]


def picture(seed: int) -> np.ndarray:
    """Cells of any strength in red, of which blue is a distant shade, and others in green."""
    rng = np.random.default_rng(seed)
    red, green = (255 * rng.permutation(STRENGTHS).reshape(CELLS, CELLS) for _ in range(2))
    blue = np.clip(red + rng.uniform(-60, 60, red.shape), 0, 255)
    pixels = np.stack([np.kron(one, np.ones((8, 8))) for one in (red, green, blue)], axis=-1)
    return pixels.round().astype(np.uint8)


def pictures(seed: int) -> list[np.ndarray]:
    return [picture(100 * seed + place) for place in range(IMAGES)]


def report_of(client: Client, planted: Sequence[Plant], images: Sequence[np.ndarray]) -> Report:
    curves = {"grid": CELLS, "steps": STEPS}
    return client.evaluate(
        [one.model for one in planted],
        images,
        preprocessing="unit",
        metrics=[{name: curves} for name in (RAW, CORRECTED, PANEL)],
        explainers=["grad_cam"],
        removals=["black"],
    )


def values(report: Report, metric: str) -> np.ndarray:
    """The score of every model."""
    found = [one for one in report.results if one.metric.WhichOneof("metric") == metric]
    assert all(one.summary.scored == IMAGES for one in found)
    return np.array([one.summary.value for one in found])


def qualities(report: Report) -> np.ndarray:
    (found,) = (one for one in report.results if one.metric.WhichOneof("metric") == PANEL)
    assert found.summary.scored == IMAGES
    return np.array([found.parts[f"quality[{place}]"].value for place in range(COUNT)])


def spearman(planted: np.ndarray, found: np.ndarray) -> float:
    return float(stats.spearmanr(planted, found).statistic)


def test_the_texture_is_in_the_map_and_not_in_the_answers(client: Client) -> None:
    still, loud = (Plant(loudness, 0.5, 0.1).model for loudness in (0, LOUDNESS[-1]))
    images = pictures(0)
    seen = np.stack(images).transpose(0, 3, 1, 2).astype(np.float32) / 255
    answers = [ort.InferenceSession(one).run(None, {"image": seen})[0] for one in (still, loud)]
    # Sums of 64 cells in float32, of which the texture's cancel.
    np.testing.assert_allclose(*answers, atol=1e-5)
    maps = [
        np.stack(
            [
                one.values
                for one in client.explain(
                    model, images, preprocessing="unit", explainers=["grad_cam"]
                )
            ]
        )
        for model in (still, loud)
    ]
    assert (np.abs(maps[0] - maps[1]).mean(axis=(1, 2)) > maps[0].mean(axis=(1, 2)) / 2).all()


@pytest.mark.parametrize("seed", range(4))
def test_planted_quality_ranks_the_networks_and_robustness_does_not(
    client: Client, seed: int
) -> None:
    report = report_of(client, plants(seed, LOSSES), pictures(seed))
    assert spearman(-LOUDNESS, values(report, CORRECTED)) >= 0.95
    assert spearman(-LOUDNESS, qualities(report)) >= 0.95
    raw = -values(report, RAW)
    assert spearman(-LOUDNESS, raw) < 0.5
    assert spearman(LOSSES, raw) >= 0.95


def test_what_networks_bear_moves_no_quality(client: Client) -> None:
    """Probabilities that are affine in one another have equal gains, up to rounding."""
    one, other = (
        report_of(client, plants(0, losses), pictures(0)) for losses in (LOSSES, LOSSES[::-1])
    )
    np.testing.assert_allclose(qualities(one), qualities(other), atol=1e-4)
    np.testing.assert_allclose(values(one, CORRECTED), values(other, CORRECTED), atol=1e-4)
    assert np.abs(values(one, RAW) - values(other, RAW)).min() > 0.03
