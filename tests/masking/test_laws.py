"""The five laws that every rewritten model obeys (docs/layer-masking.md)."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from heatproof.graphs.masking.rewriting import Rewrite, rewritten
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial

Array = NDArray[Any]
NETWORKS = [
    "resnet_basic", "resnet_bottleneck", "mobilenet_v2", "mobilenet_v3", "efficientnet", "densenet",
]  # fmt: skip
GARBAGE = (7.5, -1e4)

pytestmark = pytest.mark.parametrize("mode", list(Mode))


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest, networks: dict[str, ir.Model]) -> ir.Model:
    return networks[request.param]


def masked(model: ir.Model, mode: Mode) -> Rewrite:
    rewrite = rewritten(model, MaskingOptions(mode=mode))
    assert not rewrite.blockers
    return rewrite


def test_all_visible_is_the_original_model(
    network: ir.Model, mode: Mode, load: Any, feeds: dict[str, Array]
) -> None:
    plain = load(network)(image=feeds["image"])["logits"]
    results = load(layer_masked(network, MaskingOptions(mode=mode)))(
        image=feeds["image"], mask=np.ones_like(feeds["mask"])
    )
    # Single precision, summed in another order.
    np.testing.assert_allclose(results["logits"], plain, atol=2e-6 * np.abs(plain).max())
    np.testing.assert_array_equal(results["mask_coverage"], [1, 1])


def test_content_under_the_mask_is_irrelevant(
    network: ir.Model, mode: Mode, load: Any, feeds: dict[str, Array]
) -> None:
    run = load(masked(network, mode).model)
    clean = run(**feeds)
    for garbage in (*GARBAGE, np.nan, np.inf):
        spoilt = np.where(feeds["mask"] == 1, feeds["image"], np.float32(garbage))
        assert_equal_bits(run(image=spoilt, mask=feeds["mask"]), clean)


def test_nothing_visible_is_finite_and_the_same_for_every_image(
    network: ir.Model, mode: Mode, load: Any, feeds: dict[str, Array]
) -> None:
    run = load(masked(network, mode).model)
    results = run(image=feeds["image"], mask=np.zeros_like(feeds["mask"]))
    assert np.isfinite(results["logits"]).all()
    np.testing.assert_array_equal(results["logits"][0], results["logits"][1])
    np.testing.assert_array_equal(results["mask_coverage"], [0, 0])


def test_nothing_visible_is_the_answer_of_the_head_to_zeros(
    network: ir.Model, mode: Mode, load: Any, feeds: dict[str, Array]
) -> None:
    results = load(masked(network, mode).model)(
        image=feeds["image"], mask=np.zeros_like(feeds["mask"])
    )
    gemm = next(node for node in network.graph if node.op_type == "Gemm")
    bias = constant(gemm.inputs[2])
    np.testing.assert_array_equal(results["logits"], [bias, bias])


def test_coverage_is_the_visible_share_of_the_last_map(
    network: ir.Model, mode: Mode, load: Any, feeds: dict[str, Array]
) -> None:
    rewrite = masked(network, mode)
    last = next(
        state.mask
        for node in reversed(rewrite.model.graph)
        for value in node.outputs
        if isinstance(state := rewrite.states.get(value.name or ""), Spatial)
    )
    rewrite.model.graph.outputs.append(last.value)
    results = load(rewrite.model)(**feeds)
    shares = results[last.value.name].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(results["mask_coverage"], shares, rtol=1e-6)
    assert (shares > 0).all()


def test_hidden_cells_of_every_tensor_are_irrelevant(
    network: ir.Model, mode: Mode, load: Any, feeds: dict[str, Array]
) -> None:
    # Without fusions, which depend on what lies between two nodes, the arithmetic is the same.
    clean = load(masked(network, mode).model, fused=False)(**feeds)
    for garbage in GARBAGE:
        poison = load(poisoned(masked(network, mode), garbage), fused=False)
        assert_equal_bits(poison(**feeds), clean)


def test_masks_of_the_tests_leave_hidden_cells_at_every_depth(
    network: ir.Model, mode: Mode, load: Any, feeds: dict[str, Array]
) -> None:
    rewrite = masked(network, mode)
    known = {state.mask for state in rewrite.states.values() if isinstance(state, Spatial)}
    rewrite.model.graph.outputs.extend(mask.value for mask in known)
    results = load(rewrite.model)(**feeds)
    for mask in known:
        cells = results[mask.value.name or ""].reshape(2, -1)
        assert (cells.min(axis=1) == 0).all(), mask
        assert (cells.max(axis=1) == 1).all(), mask


def test_poison_tells_a_rewrite_that_hides_at_the_image_only(
    network: ir.Model,
    mode: Mode,
    load: Any,
    feeds: dict[str, Array],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Scope, "filled", lambda _self, value, *_: value)
    entry = Scope.visible
    monkeypatch.setattr(
        Scope,
        "visible",
        lambda self, value, state, hidden=0.0: (
            entry(self, value, state, hidden) if value.is_graph_input() else value
        ),
    )
    clean = load(masked(network, mode).model, fused=False)(**feeds)
    spoilt = poisoned(masked(network, mode), GARBAGE[0])
    poison = load(spoilt, fused=False)(**feeds)
    assert clean["logits"].tobytes() != poison["logits"].tobytes()


def assert_equal_bits(results: dict[str, Array], expected: dict[str, Array]) -> None:
    for name, array in expected.items():
        assert results[name].tobytes() == array.tobytes(), name


def constant(value: ir.Value | None) -> Array:
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy()


def poisoned(rewrite: Rewrite, garbage: float) -> ir.Model:
    """Puts garbage into the hidden cells of every masked tensor, in the graph."""
    graph = rewrite.model.graph
    values = {value.name: value for node in graph for value in node.outputs}
    replaced = 0
    for name, state in rewrite.states.items():
        if isinstance(state, Spatial) and name != "image_visible":  # law 2 poisons the image
            spoil(graph, values[name], state, garbage)
            replaced += 1
    assert replaced >= 20  # every layer of a small network
    graph.sort()
    return rewrite.model


def spoil(graph: ir.Graph, value: ir.Value, state: Spatial, garbage: float) -> None:
    uses = list(value.uses())
    spoilt = ir.Value(name=f"{value.name}_spoilt", type=value.type, shape=value.shape)
    number = ir.Value(
        name=f"{value.name}_garbage", const_value=ir.tensor(np.array(garbage, np.float32))
    )
    graph.register_initializer(number)
    shape = view_shape(state)
    dims = ir.Value(name=f"{value.name}_dims", const_value=ir.tensor(np.array(shape, np.int64)))
    graph.register_initializer(dims)
    flat = ir.node("Reshape", [state.mask.value, dims])
    visible = ir.node("Cast", flat.outputs, {"to": ir.DataType.BOOL.value})
    where = ir.node("Where", [visible.outputs[0], value, number], outputs=[spoilt])
    graph.extend([flat, visible, where])
    for node, index in uses:
        node.replace_input_with(index, spoilt)


def view_shape(state: Spatial) -> list[int]:
    """The mask's shape as it broadcasts against the tensor; for height before width."""
    axes, mask = state.axes, state.mask
    assert axes.height is not None
    assert axes.width is not None
    assert axes.height < axes.width
    shape = [1] * axes.rank
    shape[0], shape[axes.height], shape[axes.width] = 0, mask.height, mask.width
    return shape
