"""The five laws of layer masking (docs/layer-masking.md), checked on any model.

    Laws(model, MaskingOptions()).check()

needs neither pytest nor fixtures, and raises `BrokenLawError` where one does not hold.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.heads.signature import ImageInput, Layout, find_image_input
from heatproof.graphs.lowering import Platform, lowered, platforms
from heatproof.graphs.masking import MaskingOptions, layer_masked
from heatproof.graphs.masking.rewriting import COVERAGE_OUTPUT, MASK_INPUT, Rewrite, rewritten
from heatproof.graphs.masking.simplification import simplify
from heatproof.graphs.masking.states import Mask
from heatproof.graphs.preparation import prepared
from heatproof.graphs.preparation.opsets import raised
from tests.graphs.masking.instruments import (
    GARBAGE_INPUT,
    Exit,
    cut_at,
    exits,
    instrument,
    masks_of,
)
from tests.graphs.sessions import Run, complaints, opened

Array = NDArray[Any]
Results = dict[str, Array]

GARBAGE = (7.5, -1e4)
"""Goes into the hidden cells of inner tensors: finite, above and below all activations."""

PIXEL_GARBAGE = (*GARBAGE, np.nan, np.inf)

TOLERANCE = 2e-6
"""Of the largest element of an output: single precision, summed in another order."""

BATCH = 2
BOX = 6  # the share of the image's side that a visible box takes


class BrokenLawError(AssertionError):
    """A rewritten model does not do what docs/layer-masking.md promises."""


class Laws:
    """One model with one set of options, its rewritten versions and its feeds.

    Args:
        model: the original, with one image input.
        options: of the rewrite.
        images: a batch; random by default.
        masks: [N, 1, H, W]; by default each image shows one small box.
        platform: what the rewritten model is lowered for.
        tolerance: of laws 1 and 3, relative to the largest element of an output.
    """

    def __init__(
        self,
        model: ir.Model,
        options: MaskingOptions = MaskingOptions(),  # noqa: B008 # immutable
        *,
        images: Array | None = None,
        masks: Array | None = None,
        tolerance: float = TOLERANCE,
        platform: Platform = Platform.CPU,
    ) -> None:
        self.model = model
        self.platform = platform
        self.options = options
        self.tolerance = tolerance
        self.input = find_image_input(model)
        self.images = random_images(self.input, seed=0) if images is None else images
        self.masks = keep_boxes(*_mask_shape(self.input, self.images)) if masks is None else masks

    def check(self) -> None:
        """Every check below, in order.

        Raises:
            BrokenLawError: names the law and what deviates.
        """
        for check in CHECKS.values():
            check(self)

    def contract(self) -> None:
        """Names are kept; ONNX's checker and ONNX Runtime have nothing new to complain of."""
        inputs, outputs = _names(self.model.graph)
        expected = [*inputs, MASK_INPUT], [*outputs, COVERAGE_OUTPUT]
        found = _names(self._rewrite.graph)
        _hold(found == expected, f"contract: inputs and outputs are {found}, not {expected}")
        (_, old), (_, new) = self._heard_original, self._heard_rewrite
        _hold(bool(old) or not new, f"contract: ONNX Runtime warns: {new[:3]}")

    def masks_can_tell(self) -> None:
        """The masks leave hidden and visible cells at every depth.

        Else laws 2 and 5 would say nothing there. A map of one cell cannot have both.
        """
        inside = self._look(self.masks)
        for mask in masks_of(self._instruments[0]):
            cells = inside[mask.value.name or ""]
            if mask.size != (1, 1):
                _hold(bool((cells == 0).any()), f"masks: {mask.value.name} hides no cell")
                _hold(bool((cells == 1).any()), f"masks: {mask.value.name} shows no cell")

    def all_visible_is_the_original(self) -> None:
        """Law 1."""
        shown = self._masked(self.images, np.ones_like(self.masks))
        coverage = shown.pop(COVERAGE_OUTPUT)
        _hold(bool((coverage == 1).all()), f"law 1: the coverage is {coverage}")
        self._agree(shown, self._plain, "law 1")

    @property
    def rounding(self) -> float:
        """What law 1 is off by, of the largest element of an output."""
        shown = self._masked(self.images, np.ones_like(self.masks))
        return max(self._deviation(name, shown[name], plain) for name, plain in self._plain.items())

    def content_under_the_mask_is_irrelevant(self) -> None:
        """Law 2."""
        clean = self._masked(self.images, self.masks)
        visible = self._over_pixels(self.masks) == 1
        for garbage in PIXEL_GARBAGE:
            spoilt = np.where(visible, self.images, _pixel(garbage, self.images.dtype))
            results = self._masked(spoilt, self.masks)
            _same_bits(results, clean, f"law 2, {garbage} under the mask")

    def nothing_visible_is_the_head_on_zeros(self) -> None:
        """Law 3; a head that turns zeros into NaN must be guarded, so only finite ones compare."""
        nothing = np.zeros_like(self.masks)
        results = self._masked(self.images, nothing)
        others = random_images(self.input, seed=1, batch=len(self.images))
        _same_bits(self._masked(others, nothing), results, "law 3, another image")
        for name, array in results.items():
            _hold(bool(np.isfinite(array).all()), f"law 3: {name} is not finite")
        bordered = any(place.mask.border is not None for place in self._simplified()[1])
        if not results.pop(COVERAGE_OUTPUT).any() and not bordered:
            self._agree(results, self._head_on_zeros(), "law 3")

    def coverage_is_the_visible_share(self) -> None:
        """Law 4."""
        _, places = self._simplified()
        for masks in (self.masks, np.zeros_like(self.masks), np.ones_like(self.masks)):
            inside = self._look(masks)
            shares = [_share(inside, one.mask) for one in places]
            least = np.min(np.broadcast_arrays(*shares), axis=0)
            coverage = self._masked(self.images, masks)[COVERAGE_OUTPUT]
            close = np.allclose(coverage, least, rtol=1e-5, atol=0)  # sums of float32
            _hold(close, f"law 4: the coverage is {coverage}, of the exits {least} is visible")

    def hidden_cells_are_irrelevant(self) -> None:
        """Law 5; without fusions, which depend on what lies between two nodes.

        So does whether ONNX Runtime rounds to float16 there: in half precision the poisoned graph
        is held to itself without garbage, and not to the rewrite.
        """
        whole = self._look(self.masks) if self._is_half else self._unfused()
        clean = {name: _one_zero(whole[name]) for name in _names(self._rewrite.graph)[1] if name}
        for garbage in GARBAGE:
            spoilt = self._look(self.masks, garbage)
            results = {name: _one_zero(spoilt[name]) for name in clean}
            _same_bits(results, clean, f"law 5, {garbage} in hidden cells")

    @property
    def _is_half(self) -> bool:
        values = self.model.graph.initializers.values()
        return any(value.dtype == ir.DataType.FLOAT16 for value in values)

    def _unfused(self) -> Results:
        run = opened(self._rewrite, fused=False, checked=False)
        return run(**{self.input.name: self.images, MASK_INPUT: self.masks})

    @cached_property
    def _plain(self) -> Results:
        return self._heard_original[0](**{self.input.name: self.images})

    @cached_property
    def _rewrite(self) -> ir.Model:
        return lowered(layer_masked(self.model, self.options), self.platform)

    @cached_property
    def _heard_original(self) -> tuple[Run, list[str]]:
        return _heard(self.model, checked=False)

    @cached_property
    def _heard_rewrite(self) -> tuple[Run, list[str]]:
        return _heard(self._rewrite)

    @cached_property
    def _instruments(self) -> tuple[Rewrite, Run]:
        rewrite = rewritten(self.model, self.options)
        for lowering in platforms._PASSES[self.platform]:  # masks that nobody reads stay in
            lowering(rewrite.model)
        instrument(rewrite)
        return rewrite, opened(rewrite.model, fused=False, checked=False)

    def _masked(self, images: Array, masks: Array) -> Results:
        return self._heard_rewrite[0](**{self.input.name: images, MASK_INPUT: masks})

    def _look(self, masks: Array, garbage: float = 0) -> Results:
        """Outputs and inner masks, with garbage in the hidden cells of inner tensors."""
        number = np.array(garbage, np.float32)
        feeds = {self.input.name: self.images, MASK_INPUT: masks, GARBAGE_INPUT: number}
        return self._instruments[1](**feeds)

    def _simplified(self) -> tuple[ir.Model, list[Exit]]:
        """The model that the rewrite starts from, and its exits."""
        plain = prepared(raised(self.model))
        simplify(plain)
        return plain, exits(plain.graph, self._instruments[0].states)

    def _head_on_zeros(self) -> Results:
        plain, places = self._simplified()
        cut_at(plain, places)
        return opened(plain, checked=False)(**{self.input.name: self.images})

    def _over_pixels(self, masks: Array) -> Array:
        axes = (0, 1, 2, 3) if self.input.layout is Layout.NCHW else (0, 2, 3, 1)
        return masks.transpose(axes)

    def _agree(self, results: Results, expected: Results, law: str) -> None:
        """Equality within the tolerance, where the expectation is finite."""
        for name, array in expected.items():
            error = self._deviation(name, results[name], array)
            _hold(error <= self.tolerance, f"{law}: {name} deviates by {error:.1e} of its largest")

    def _deviation(self, name: str, found: Array, expected: Array) -> float:
        """The largest error where the expectation is finite, of the original's largest element."""
        known = np.isfinite(expected)
        error = np.abs(found[known].astype(np.float64) - expected[known]).max(initial=0)
        return float(error / _largest(self._plain[name])) if error else 0.0


CHECKS: dict[str, Callable[[Laws], None]] = {
    "contract": Laws.contract,
    "masks": Laws.masks_can_tell,
    "law 1": Laws.all_visible_is_the_original,
    "law 2": Laws.content_under_the_mask_is_irrelevant,
    "law 3": Laws.nothing_visible_is_the_head_on_zeros,
    "law 4": Laws.coverage_is_the_visible_share,
    "law 5": Laws.hidden_cells_are_irrelevant,
}


def random_images(image: ImageInput, seed: int, batch: int = BATCH) -> Array:
    """A batch that suits an image input of static height and width."""
    assert image.height is not None
    assert image.width is not None
    shape = [image.batch or batch, image.channels, image.height, image.width]
    if image.layout is Layout.NHWC:
        shape = [shape[0], *shape[2:], shape[1]]
    rng = np.random.default_rng(seed)
    if image.dtype == ir.DataType.UINT8:
        return rng.integers(0, 256, shape, np.uint8)
    return rng.standard_normal(shape).astype(image.dtype.numpy())


def keep_boxes(batch: int, height: int, width: int) -> Array:
    """Masks that show one small box each, off the centre and in a corner by turns."""
    masks = np.zeros((batch, 1, height, width), np.float32)
    rows, columns = max(height // BOX, 1), max(width // BOX, 1)
    for index, mask in enumerate(masks):
        top, left = (0, 0) if index % 2 else (height // 3, width // 2)
        mask[:, top : top + rows, left : left + columns] = 1
    return masks


def _mask_shape(image: ImageInput, images: Array) -> tuple[int, int, int]:
    height, width = images.shape[2:] if image.layout is Layout.NCHW else images.shape[1:3]
    return len(images), height, width


def _heard(model: ir.Model, *, checked: bool = True) -> tuple[Run, list[str]]:
    """An open model, and what ONNX Runtime had to say of it."""
    with complaints() as lines:
        run = opened(model, checked=checked)
    return run, lines


def _share(inside: Results, mask: Mask) -> Array:
    """The visible share of the cells that hold some part of the image."""
    cells = inside[mask.value.name or ""] * mask.image
    share: Array = cells.sum(axis=(1, 2, 3)) / mask.image.sum()
    return share


def _names(graph: ir.Graph) -> tuple[list[str | None], list[str | None]]:
    """Of inputs, but for weights that old formats list among them, and of outputs."""
    given = [value.name for value in graph.inputs if not value.is_initializer()]
    return given, [value.name for value in graph.outputs]


def _pixel(number: float, dtype: np.dtype[Any]) -> Array:
    """A number as a pixel; unsigned ones have their own garbage."""
    with np.errstate(invalid="ignore"):
        return np.array(number).astype(dtype)


def _largest(array: Array) -> float:
    return float(np.abs(array[np.isfinite(array)].astype(np.float64)).max(initial=0))


def _one_zero(array: Array) -> Array:
    """-0 becomes 0, which it equals: a product of garbage with 0 has the garbage's sign."""
    return array + np.zeros((), array.dtype) if np.issubdtype(array.dtype, np.floating) else array


def _same_bits(results: Results, expected: Results, law: str) -> None:
    for name, array in expected.items():
        same = results[name].tobytes() == array.tobytes()
        _hold(same, f"{law}: {name} changes from {array.ravel()[:4]}")


def _hold(holds: bool, message: str) -> None:
    if not holds:
        raise BrokenLawError(message)
