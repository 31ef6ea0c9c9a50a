"""A network that reads the background is found by consistency, unless each map tells its own.

An object reader sees a red patch, a little of what is bright behind it and a trace of everything;
a background reader sees what is green behind the patch, some of it faintly. With the map's own
background the first is attacked where it reads a little, and the second only where it reads
faintly, so that it wins.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx.parser
import pytest

from heatproof.client import Client, Report

EPSILON = 8 / 255
THRESHOLD = 0.2
IMAGES = 12
BACKGROUNDS = ("map", "shared", "object")

TEXT = """
<ir_version: 10, opset_import: ["" : 18]>
reader (float[N, 3, 32, 32] image) => (float[N, 2] logits)
<float[3, 3, 1, 1] colours = {RED, 0, 0, 0, BRIGHT, 0, 0, GREEN, 0}, float[3] floors = {FLOORS},
 float[2, 3] slope = {400, 400, 400, -400, -400, -400}, float[2] offset = {OFFSETS}>
{
    c = Conv (image, colours, floors)
    features = Relu (c)
    g = GlobalAveragePool (features)
    f = Flatten (g)
    logits = Gemm <transB = 1> (f, slope, offset)
}
"""


class Reader:
    """Reads red, bright green and green: `features = relu(gain (colour - floor))`.

    Class 0 if the means of the features add up to `least`.
    """

    def __init__(self, gains: Sequence[float], floors: Sequence[float], least: float) -> None:
        self.gains, self.floors, self.least = np.array(gains), np.array(floors), least

    @property
    def model(self) -> bytes:
        """ONNX."""
        held = {
            "{FLOORS}": f"{{{', '.join(map(str, -self.gains * self.floors))}}}",
            "{OFFSETS}": f"{{{-400 * self.least}, {400 * self.least}}}",
            **dict(zip(("RED", "BRIGHT", "GREEN"), map(str, self.gains), strict=True)),
        }
        text = TEXT
        for name, value in held.items():
            text = text.replace(name, value)
        return onnx.parser.parse_model(text).SerializeToString()

    def features(self, image: np.ndarray) -> np.ndarray:
        """[3, H, W] of an image [3, H, W]."""
        raised = image[[0, 1, 1]] - self.floors[:, None, None]
        return np.maximum(self.gains[:, None, None] * raised, 0)

    def heat(self, image: np.ndarray) -> np.ndarray:
        """Grad-CAM of class 0, whose slopes are equal, scaled to [0, 1]."""
        summed = self.features(image).sum(0)
        return (summed - summed.min()) / np.ptp(summed)

    def is_flipped(self, image: np.ndarray) -> bool:
        return bool(self.features(image).mean((1, 2)).sum() < self.least)

    def consistency(self, image: np.ndarray, background: np.ndarray) -> float:
        """What the definition says, of an attack that takes from what is read."""
        red, bright, green = self.features(image) > 0
        read = np.stack([red, bright | green, np.zeros_like(red)])
        attacked = np.clip(image - EPSILON * (read & background), 0, 1)
        if self.is_flipped(attacked):
            return 0.0
        return float(1 - np.abs(self.heat(image) - self.heat(attacked)).mean())


READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "object": Reader((1, 1.4, 0.02), (0.4, 0.65, 0), 0.05),
        "background": Reader((0, 0, 1), (0.4, 0.65, 0.45), 0.082),
    }
)


def picture(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [32, 32, 3] of a patch, on stripes that are bright, faint and dark, and its mask."""
    rng = np.random.default_rng(seed)
    image, mask = np.full((32, 32, 3), 0.1), np.zeros((32, 32), bool)
    image[..., 1] = np.repeat([0.70, 0.49, 0.30], [11, 4, 17])
    top = rng.integers(20)
    mask[top : top + 12, 18:30] = True
    image[mask] = (0.9, 0.1, 0.5)
    image += rng.uniform(-0.01, 0.01, image.shape)
    shift = tuple(rng.integers(32, size=2).tolist())
    pixels = np.roll((255 * image).round().astype(np.uint8), shift, (0, 1))
    return pixels, np.roll(mask, shift, (0, 1))


@pytest.fixture(scope="module")
def report(client: Client) -> Report:
    pictures = [picture(seed) for seed in range(IMAGES)]
    return client.evaluate(
        [reader.model for reader in READERS.values()],
        [pixels for pixels, _ in pictures],
        preprocessing="unit",
        metrics=[{"explanation_consistency": {"background": name}} for name in BACKGROUNDS],
        explainers=["grad_cam"],
        masks=[mask for _, mask in pictures],
    )


def scores(report: Report, reader: str, background: str) -> np.ndarray:
    """Of every image."""
    result = len(BACKGROUNDS) * list(READERS).index(reader) + BACKGROUNDS.index(background)
    held = [one.scores[result].score for one in report.images]
    assert all(one.WhichOneof("outcome") == "value" for one in held)
    return np.array([one.value for one in held])


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("reader", READERS)
def test_scores_are_those_of_an_independent_reading(
    report: Report, reader: str, background: str
) -> None:
    expected = []
    for seed in range(IMAGES):
        pixels, mask = picture(seed)
        image = pixels.transpose(2, 0, 1) / 255
        own = {name: one.heat(image) < THRESHOLD for name, one in READERS.items()}
        places = {"map": own[reader], "shared": np.logical_and(*own.values()), "object": ~mask}
        expected.append(READERS[reader].consistency(image, places[background]))
    # Maps in float32 against float64; no pixel lies on a threshold.
    found = scores(report, reader, background)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("background", ["object", "shared"])
def test_a_common_background_finds_the_background_reader(report: Report, background: str) -> None:
    one, other = (scores(report, reader, background) for reader in ("object", "background"))
    assert (one > other).all()


def test_the_background_of_each_map_prefers_the_background_reader(report: Report) -> None:
    one, other = (scores(report, reader, "map") for reader in ("object", "background"))
    assert (one < other).all()
