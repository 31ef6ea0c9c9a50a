"""Rewrites that only look like layer masking, and the law or the reading that catches each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import onnx_ir as ir
import pytest

from heatproof.graphs.masking import MaskingOptions, Mode, rewriting
from heatproof.graphs.masking.masks.pyramid import Pyramid
from heatproof.graphs.masking.rules.statistics import reductions
from heatproof.graphs.masking.rules.windows import pooling
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Flat, Mask, Spatial
from heatproof.graphs.masking.table import Outcome
from heatproof.graphs.operators.windows import PlaneWindow
from tests.graphs.masking.laws import CHECKS, BrokenLawError, Laws
from tests.graphs.masking.networks.torch_reading import deviation

Plant = Callable[[pytest.MonkeyPatch], None]

BORDER = "border"
"""A convolution whose first windows lie in its padding."""

FRINGED = """<ir_version: 9, opset_import: ["": 17]>
    g (float[2, 3, 16, 16] image) => (float[2, 3, 1, 1] logits)
    <float[3, 3, 1, 1] w = {1, 2, 3, 4, 5, 6, 7, 8, 9}, float[3] b = {1, 2, 3}>
    { x = Conv <pads = [1, 1, 1, 1]> (image, w, b) logits = GlobalAveragePool (x) }"""


def no_fill(patch: pytest.MonkeyPatch) -> None:
    """Convolutions read zeros in hidden cells."""
    patch.setattr(Scope, "filled", lambda self, value, state, _: self.visible(value, state))


def one_round(patch: pytest.MonkeyPatch) -> None:
    """Convolutions fill one cell deep, however wide they are."""
    fill = Scope.filled
    patch.setattr(Scope, "filled", lambda self, value, state, _: fill(self, value, state, 1))


def image_only(patch: pytest.MonkeyPatch) -> None:
    """f(x . m): hides at the image, nowhere else."""
    entry = Scope.visible
    patch.setattr(Scope, "filled", lambda _self, value, *_: value)

    def visible(self: Scope, value: ir.Value, state: Spatial, hidden: float = 0.0) -> ir.Value:
        return entry(self, value, state, hidden) if value.is_graph_input() else value

    patch.setattr(Scope, "visible", visible)


def bare_max_pool(patch: pytest.MonkeyPatch) -> None:
    """Max pools read hidden cells."""
    rule = pooling.max_pool

    def bare(node: ir.Node, scope: Scope) -> Outcome:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Scope, "visible", lambda _self, value, *_: value)
            return rule(node, scope)

    operators = [one for one in rewriting.RULES if one.op_type == "MaxPool"]
    for operator in operators:
        patch.setitem(rewriting.RULES._rules, operator, bare)


def hidden_borders(patch: pytest.MonkeyPatch) -> None:
    """Windows without any cell of the image count as hidden."""
    read = Pyramid._read

    def hidden(self: Pyramid, *arguments: Any) -> Mask:
        mask = read(self, *arguments)
        return replace(mask, value=self.of_image(mask), border=None)

    patch.setattr(Pyramid, "_read", hidden)


def frozen_masks(patch: pytest.MonkeyPatch) -> None:
    """Masks are sampled at the first cell of each window: M' = M where nothing strides."""

    def sampled(self: Pyramid, mask: Mask, window: PlaneWindow) -> Mask:
        step = PlaneWindow((1, 1), window.strides, (1, 1), (0, 0), window.source, window.target)
        return slide(self, mask, step)

    slide = Pyramid.slid
    patch.setattr(Pyramid, "slid", sampled)


def plain_mean(patch: pytest.MonkeyPatch) -> None:
    """Global means divide by all cells, whatever the options say."""
    patch.setattr(reductions, "is_renormalized", lambda *_: False)


def everyone_elected(patch: pytest.MonkeyPatch) -> None:
    """A concatenation is visible where any of its inputs is."""
    patch.setattr(Pyramid, "majority", Pyramid.union)


def united_sums(patch: pytest.MonkeyPatch) -> None:
    """A sum is visible where any of its terms is."""
    patch.setattr(Pyramid, "intersection", Pyramid.union)


def counted_gates(patch: pytest.MonkeyPatch) -> None:
    """The coverage is the least of all exits, those of gates included."""
    least = rewriting._coverage

    def coverage(exits: set[Mask], scope: Scope) -> ir.Value:
        flat = [state for state in scope.states.values() if isinstance(state, Flat)]
        return least(exits.union(*(state.exits for state in flat)), scope)

    patch.setattr(rewriting, "_coverage", coverage)


def coverage_of_the_image(patch: pytest.MonkeyPatch) -> None:
    """The coverage is the visible share of the image."""
    least = rewriting._coverage

    def coverage(_: set[Mask], scope: Scope) -> ir.Value:
        first = next(state for state in scope.states.values() if isinstance(state, Spatial))
        return least({first.mask}, scope)

    patch.setattr(rewriting, "_coverage", coverage)


def product_at_the_image(patch: pytest.MonkeyPatch) -> None:
    """The image enters through a product with its mask: NaN . 0 = NaN."""
    entry = Scope.visible

    def visible(self: Scope, value: ir.Value, state: Spatial, hidden: float = 0.0) -> ir.Value:
        if value.is_graph_input():
            state = Spatial(state.mask, state.axes, finite=True)
        return entry(self, value, state, hidden)

    patch.setattr(Scope, "visible", visible)


READING = "reading"


@dataclass(frozen=True)
class Sham:
    """A broken rewrite, a network that shows the break, and what catches it."""

    plant: Plant
    network: str
    catcher: str
    mode: Mode = Mode.REFERENCE


SHAMS = [
    Sham(no_fill, "resnet_basic", READING),
    Sham(no_fill, "resnet_basic", READING, Mode.STRICT),
    Sham(one_round, "mobilenet_v3", READING),
    Sham(image_only, "resnet_basic", "law 5"),
    Sham(image_only, "resnet_basic", "law 5", Mode.STRICT),
    Sham(bare_max_pool, "resnet_basic", "law 5"),
    Sham(bare_max_pool, "densenet", "law 5", Mode.STRICT),
    Sham(hidden_borders, BORDER, "law 1"),
    Sham(frozen_masks, "resnet_basic", READING),
    Sham(plain_mean, "resnet_basic", READING),
    Sham(plain_mean, "efficientnet", READING, Mode.STRICT),
    Sham(everyone_elected, "densenet", READING),
    Sham(united_sums, "resnet_basic", "law 5"),
    Sham(united_sums, "resnet_basic", READING),
    Sham(counted_gates, "efficientnet", "law 4"),
    Sham(coverage_of_the_image, "mobilenet_v2", "law 4"),
    Sham(product_at_the_image, "mobilenet_v2", "law 2"),
]


def checked(laws: Laws, catcher: str) -> None:
    if catcher != READING:
        CHECKS[catcher](laws)
    elif (error := deviation(laws.model, laws.images, laws.masks, laws.options)) > 1e-4:
        raise BrokenLawError(f"reading: deviates by {error}")


@pytest.mark.parametrize(
    "sham", SHAMS, ids=lambda sham: f"{sham.plant.__name__}-{sham.network}-{sham.mode}"
)
def test_sham_is_caught(
    sham: Sham, networks: dict[str, ir.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ir.from_onnx_text(FRINGED) if sham.network == BORDER else networks[sham.network]

    def laws() -> Laws:
        return Laws(model, MaskingOptions(mode=sham.mode))

    checked(laws(), sham.catcher)
    sham.plant(monkeypatch)
    with pytest.raises(BrokenLawError, match=sham.catcher):
        checked(laws(), sham.catcher)
