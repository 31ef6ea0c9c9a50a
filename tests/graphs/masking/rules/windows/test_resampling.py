"""Resizing and transposed convolution, against interpolation matrices and sums written out."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from heatproof.graphs.masking.rewriting import rewritten
from heatproof.graphs.masking.states import Spatial
from tests.graphs.masking.laws import Laws
from tests.graphs.masking.readings import fill
from tests.graphs.masking.single import (
    CHANNELS,
    SIZE,
    Array,
    graph,
    image_and_mask,
    masked_run,
    seen,
)

MODES = list(Mode)
TOLERANCE = 2e-5  # single precision against double, values of order 10
CUBIC = -0.75  # ONNX's default coefficient


def centre(place: int, scale: Fraction, lengths: tuple[int, int], mode: str) -> Fraction:
    """Where a cell of the result lies in the original, by ONNX's definition."""
    old, new = lengths
    return {
        "half_pixel": (place + Fraction(1, 2)) / scale - Fraction(1, 2),
        "asymmetric": place / scale,
        "align_corners": Fraction(place * (old - 1), max(new - 1, 1)),
    }[mode]


def hat(distance: float) -> float:
    return max(0.0, 1 - abs(distance))


def cubic(distance: float) -> float:
    d = abs(distance)
    if d <= 1:
        return (CUBIC + 2) * d**3 - (CUBIC + 3) * d**2 + 1
    return CUBIC * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def interpolating(
    lengths: tuple[int, int], scale: Fraction, coordinates: str, *, kind: str, antialias: bool
) -> Array:
    """The matrix [new, old] of one axis; cells beyond the ends are copies of the last."""
    old, new = lengths
    kernel, radius = {"linear": (hat, 1), "cubic": (cubic, 2)}[kind]
    stretch = max(1 / scale, Fraction(1)) if antialias else Fraction(1)
    matrix = np.zeros((new, old))
    for place in range(new):
        middle = centre(place, scale, lengths, coordinates)
        reach = int(radius * stretch) + 1
        for cell in range(int(middle) - reach - 1, int(middle) + reach + 2):
            weight = kernel(float((cell - middle) / stretch))
            matrix[place, min(max(cell, 0), old - 1)] += weight
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True))


def resized(image: Array, rows: Array, columns: Array) -> Array:
    return np.asarray(np.einsum("ai,ncij,bj->ncab", rows, image, columns))


CASES = list(
    itertools.product(
        ("linear", "cubic"),
        ("half_pixel", "asymmetric", "align_corners"),
        ((Fraction(2), Fraction(3, 2)), (Fraction(1, 2), Fraction(2)), (Fraction(3), Fraction(1))),
    )
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "coordinates", "scales"), CASES)
def test_interpolation_reads_cells_filled_over_its_support(
    kind: str, coordinates: str, scales: tuple[Fraction, Fraction], mode: Mode
) -> None:
    size = (8, 6)
    sizes = [int(length * scale) for length, scale in zip(size, scales, strict=True)]
    model = graph(
        f'y = Resize <mode = "{kind}", coordinate_transformation_mode = "{coordinates}"> '
        "(x, , scales)",
        {"scales": np.array([1, 1, *scales], np.float32)},
        size=size,
    )
    feeds = image_and_mask(size)
    x, mask = seen(feeds), feeds["mask"]
    matrices = [
        interpolating((old, new), scale, coordinates, kind=kind, antialias=False)
        for old, new, scale in zip(size, sizes, scales, strict=True)
    ]
    rounds = 1 if kind == "linear" else 3
    weighted = [np.abs(matrix) > 1e-7 for matrix in matrices]
    shown = resized(mask, *weighted) > 0
    expected = np.where(shown, resized(fill(x, mask, rounds), *matrices), 0)
    got = masked_run(model, feeds, mode=mode)["y"]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_antialiasing_widens_the_support(kind: str) -> None:
    size, sizes, scale = (24, 12), (6, 4), (Fraction(1, 4), Fraction(1, 3))
    model = graph(
        f'y = Resize <mode = "{kind}", antialias = 1, axes = [2, 3]> (x, , , sizes)',
        {"sizes": np.array(sizes, np.int64)},
        size=size,
        opset=18,
    )
    feeds = image_and_mask(size)
    x, mask = seen(feeds), feeds["mask"]
    matrices = [
        interpolating((old, new), one, "half_pixel", kind=kind, antialias=True)
        for old, new, one in zip(size, sizes, scale, strict=True)
    ]
    spans = [np.flatnonzero(np.abs(row) > 1e-7) for matrix in matrices for row in matrix]
    rounds = max(span[-1] - span[0] for span in spans)
    shown = resized(mask, *(np.abs(matrix) > 1e-7 for matrix in matrices)) > 0
    expected = np.where(shown, resized(fill(x, mask, rounds), *matrices), 0)
    assert 0 < shown.mean() < 1
    got = masked_run(model, feeds)["y"]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE * np.abs(expected).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [2.0, 3.0, 0.5])
def test_the_nearest_cell_is_copied_with_its_visibility(scale: float, mode: Mode) -> None:
    size = (8, 6)
    form = (
        'y = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", '
        'nearest_mode = "floor"> (x, , scales)'
    )
    model = graph(form, {"scales": np.array([1, 1, scale, scale], np.float32)}, size=size)
    feeds = image_and_mask(size)
    rows, columns = ((np.arange(int(length * scale)) / scale).astype(int) for length in size)
    x, mask = seen(feeds), feeds["mask"]
    expected = (x * mask)[:, :, rows][..., columns]
    np.testing.assert_allclose(masked_run(model, feeds, mode=mode)["y"], expected, atol=1e-5)


FORMS = {
    9: 'Upsample <mode = "nearest"> (x, scales)',
    10: 'Resize <mode = "nearest"> (x, scales)',
    11: 'Resize <mode = "nearest"> (x, roi, scales)',
    13: 'Resize <mode = "nearest"> (x, , scales)',
    18: 'Resize <mode = "nearest", axes = [3, 2]> (x, , pair)',
    19: 'Resize <mode = "nearest", axes = [2, 3]> (x, , , sizes)',
}


@pytest.mark.parametrize(("opset", "form"), FORMS.items())
def test_every_version_of_resize_means_the_same(opset: int, form: str) -> None:
    operands: dict[str, Array] = {
        "scales": np.array([1, 1, 2, 2], np.float32),
        "pair": np.array([2, 2], np.float32),
        "roi": np.zeros(0, np.float32),
        "sizes": np.array([14, 10], np.int64),
    }
    given = form.partition("(x")[2]
    named = {name: array for name, array in operands.items() if name in given}
    model = graph(f"y = {form}", named, opset=opset)
    feeds = image_and_mask()
    expected = (seen(feeds) * feeds["mask"]).repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(masked_run(model, feeds)["y"], expected, atol=1e-5)


def test_a_kept_aspect_ratio_is_the_scale_of_the_limiting_axis() -> None:
    policy = 'keep_aspect_ratio_policy = "not_larger"'
    kept = graph(
        f'y = Resize <mode = "linear", axes = [2, 3], {policy}> (x, , , sizes)',
        {"sizes": np.array([14, 15], np.int64)},
        opset=18,
    )
    scaled = graph(
        'y = Resize <mode = "linear"> (x, , scales)', {"scales": np.array([1, 1, 2, 2], np.float32)}
    )
    feeds = image_and_mask()
    expected = masked_run(scaled, feeds)
    for name, array in masked_run(kept, feeds).items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)


def test_masks_of_whole_magnifications_are_known_when_the_graph_is_written() -> None:
    nodes = 'r = Resize <mode = "nearest"> (x, , scales) y = Sigmoid (r)'
    model = graph(nodes, {"scales": np.array([1, 1, 2, 3], np.float32)})
    state = rewritten(model, MaskingOptions()).states["r"]
    assert isinstance(state, Spatial)
    assert state.mask.field is not None
    np.testing.assert_array_equal(state.mask.field.rows, np.eye(SIZE[0]).repeat(2, axis=0))
    np.testing.assert_array_equal(state.mask.field.columns, np.eye(SIZE[1]).repeat(3, axis=0))


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ('<coordinate_transformation_mode = "tf_crop_and_resize"> (x, roi, scales)', "crops"),
        ("(x, , wide)", "no spatial one"),
    ],
)
def test_resizings_without_a_sound_rule_are_refused(form: str, reason: str) -> None:
    operands: dict[str, Array] = {
        "scales": np.array([1, 1, 2, 2], np.float32),
        "wide": np.array([1, 2, 2, 2], np.float32),
        "roi": np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32),
    }
    named = {name: array for name, array in operands.items() if f", {name}" in form}
    with pytest.raises(UnsupportedOperatorError, match=reason):
        layer_masked(graph(f"y = Resize {form}", named, opset=18))


TRANSPOSED = [
    ("strides = [2, 2]", (3, 3)),
    ("strides = [2, 3], pads = [1, 0, 1, 2], output_padding = [1, 1]", (4, 3)),
    ("dilations = [2, 1], pads = [1, 1, 0, 0]", (3, 2)),
    ("strides = [3, 2], dilations = [1, 2]", (2, 3)),
    ('auto_pad = "SAME_UPPER", strides = [2, 2]', (3, 4)),
    ('auto_pad = "SAME_LOWER", strides = [2, 2]', (3, 4)),
    ("output_shape = [15, 12], strides = [2, 2]", (3, 4)),
]


def spread(image: Array, weights: Array, attributes: dict[str, list[int]]) -> Array:
    """The transposed convolution before it is cropped, cell by cell."""
    (sy, sx), (dy, dx) = attributes["strides"], attributes["dilations"]
    (height, width), (ky, kx) = image.shape[2:], weights.shape[2:]
    shape = ((height - 1) * sy + (ky - 1) * dy + 1, (width - 1) * sx + (kx - 1) * dx + 1)
    total = np.zeros((len(image), weights.shape[1], *shape))
    for i, j in itertools.product(range(height), range(width)):
        part = np.einsum("nc,cokl->nokl", image[:, :, i, j], weights.astype(float))
        top, left = i * sy, j * sx
        total[:, :, top : top + dy * ky : dy, left : left + dx * kx : dx][..., :ky, :kx] += part
    return total


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("text", "kernel"), TRANSPOSED)
def test_transposed_convolution_reads_its_filled_input(
    text: str, kernel: tuple[int, int], mode: Mode
) -> None:
    rng = np.random.default_rng(3)
    weights = rng.standard_normal((CHANNELS, 4, *kernel)).astype(np.float32)
    model = graph(f"y = ConvTranspose <{text}> (x, w)", {"w": weights})
    node = next(node for node in model.graph if node.op_type == "ConvTranspose")
    attributes = {
        name: list(node.attributes.get_ints(name, (1, 1))) for name in ("strides", "dilations")
    }
    feeds = image_and_mask()
    x, mask = seen(feeds), feeds["mask"]
    pairs = zip(attributes["dilations"], kernel, attributes["strides"], strict=True)
    rounds = max(d * (k - 1) // s for d, k, s in pairs)
    filled = x * mask if rounds == 0 else fill(x, mask, rounds)
    plain = spread(filled, weights, attributes)
    ones = np.ones((1, 1, *kernel))
    held = spread(np.ones_like(mask), ones, attributes) > 0
    shown = (spread(mask, ones, attributes) > 0) | ~held
    got = masked_run(model, feeds, mode=mode)["y"]
    expected, height, width = np.where(shown, plain, 0), *got.shape[2:]
    # Behind the last cell that a kernel reaches there is nothing but the (absent) bias.
    expected = np.pad(expected, [(0, 0), (0, 0), (0, height), (0, width)])
    top, left = _cropped(text, plain.shape[2:], (height, width))
    expected = expected[:, :, top : top + height, left : left + width]
    np.testing.assert_allclose(got, expected, atol=TOLERANCE * np.abs(expected).max())


def _cropped(text: str, before: tuple[int, ...], after: tuple[int, int]) -> tuple[int, int]:
    """Cells that are cropped in front, by ONNX's definition."""
    if "pads = [1, 0" in text:
        return 1, 0
    if "pads = [1, 1" in text:
        return 1, 1
    totals = [max(b - a, 0) for b, a in zip(before, after, strict=True)]
    top, left = (total // 2 if "SAME_UPPER" in text else total - total // 2 for total in totals)
    return top, left


def test_cells_between_the_strides_of_a_transposed_convolution_show_no_window() -> None:
    weights = {
        "p": np.ones((CHANNELS, 4, 1, 1), np.float32),
        "b": np.ones(4, np.float32),
        "w": np.ones((2, 4, 2, 2), np.float32),
    }
    nodes = "t = ConvTranspose <strides = [2, 2]> (x, p, b) y = Conv (t, w)"
    feeds = image_and_mask() | {"mask": np.zeros((3, 1, *SIZE), np.float32)}
    assert not masked_run(graph(nodes, weights), feeds)["y"].any()


LAWFUL = {
    "nearest": 'r = Resize <mode = "nearest"> (x, , scales)',
    "linear": 'r = Resize <mode = "linear"> (x, , scales)',
    "cubic": 'r = Resize <mode = "cubic"> (x, , scales)',
    "pytorch": (
        'r = Resize <mode = "linear", coordinate_transformation_mode = "pytorch_half_pixel"> '
        "(x, , scales)"
    ),
    "symmetric": (
        'r = Resize <mode = "nearest", coordinate_transformation_mode = "half_pixel_symmetric", '
        'nearest_mode = "ceil"> (x, , scales)'
    ),
    "antialias": 'r = Resize <mode = "cubic", antialias = 1> (x, , less)',
    "transposed": "r = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1]> (x, t)",
    "infinite": 'a = Abs (x) l = Log (a) r = Resize <mode = "linear"> (l, , scales)',
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("nodes", LAWFUL.values(), ids=LAWFUL)
def test_resampling_networks_obey_the_laws(nodes: str, mode: Mode) -> None:
    rng = np.random.default_rng(4)
    operands = {
        "scales": np.array([1, 1, 1.7, 2], np.float32),
        "less": np.array([1, 1, 0.4, 0.5], np.float32),
        "t": rng.standard_normal((CHANNELS, CHANNELS, 4, 4)).astype(np.float32),
        "w": rng.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32),
    }
    text = f"{nodes} c = Conv (r, w) y = GlobalAveragePool (c)"
    named = {name: array for name, array in operands.items() if f", {name})" in text}
    model = graph(text, named, size=(18, 14), opset=19)
    Laws(model, MaskingOptions(mode=mode)).check()
