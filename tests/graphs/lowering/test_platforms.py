"""Graphs lowered for a processor: the same function, in forms of other operators."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx_ir.passes import common

from heatproof.graphs.gradients import differentiated
from heatproof.graphs.lowering import Platform, lower, lowered
from heatproof.graphs.lowering.gradients.steps import smooth_steps
from heatproof.graphs.masking import MaskingOptions, Mode, layer_masked
from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.preparation import infer_shapes, prepared
from tests.graphs.sessions import opened

Array = NDArray[Any]
NETWORKS = [
    "resnet_basic", "resnet_bottleneck", "mobilenet_v2", "mobilenet_v3", "efficientnet", "densenet",
]  # fmt: skip
STRICT = MaskingOptions(mode=Mode.STRICT)

# Single precision: boxes and masks are summed in another order.
TOLERANCE = 2e-5


def bytes_of(model: ir.Model) -> bytes:
    return ir.to_proto(model).SerializeToString(deterministic=True)


def operators(model: ir.Model) -> set[str]:
    return {node.op_type for node in model.graph}


def agree(found: Array, wanted: Array) -> None:
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE * np.abs(wanted).max(), rtol=0)


@pytest.mark.parametrize("options", [MaskingOptions(), STRICT], ids=lambda options: options.mode)
@pytest.mark.parametrize("name", NETWORKS)
def test_masked_networks_answer_the_same(
    name: str, options: MaskingOptions, networks: dict[str, ir.Model], feeds: dict[str, Array]
) -> None:
    masked = layer_masked(networks[name], options)
    fast = lowered(masked, Platform.CPU)
    assert bytes_of(fast) != bytes_of(masked)
    found, wanted = (opened(model)(**feeds) for model in (fast, masked))
    assert found.keys() == wanted.keys()
    for output, expected in wanted.items():
        agree(found[output], expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_the_same(
    name: str, networks: dict[str, ir.Model], feeds: dict[str, Array]
) -> None:
    inputs = feeds | {"output_gradient": np.eye(2, 7, dtype=np.float32)}
    for model in (networks[name], layer_masked(networks[name])):
        gradient = differentiated(model)
        given = {value.name or "": inputs[value.name or ""] for value in gradient.graph.inputs}
        plain, fast = (opened(one)(**given) for one in (gradient, lowered(gradient, Platform.CPU)))
        agree(fast["input_gradient"], plain["input_gradient"])


def test_steps_keep_every_bit(networks: dict[str, ir.Model], feeds: dict[str, Array]) -> None:
    """At a bound, below and above: what flows back is the gradient or zero."""
    gradient = differentiated(networks["mobilenet_v2"])
    fast = gradient.clone()
    smooth_steps(fast)
    common.RemoveUnusedNodesPass()(fast)
    assert {"Greater", "Less", "Where"} <= operators(gradient)
    assert not {"Greater", "Less", "Where"} & operators(fast)
    given = {"image": feeds["image"], "output_gradient": np.eye(2, 7, dtype=np.float32)}
    plain, quick = (opened(one, fused=False)(**given) for one in (gradient, fast))
    np.testing.assert_array_equal(quick["input_gradient"], plain["input_gradient"])


@pytest.mark.parametrize("platform", [Platform.PORTABLE, Platform.CUDA])
def test_other_platforms_get_what_the_rules_write(
    platform: Platform, networks: dict[str, ir.Model]
) -> None:
    masked = layer_masked(networks["mobilenet_v2"])
    before = bytes_of(masked)
    assert bytes_of(lowered(masked, platform)) == before
    # Nothing of a processor's is left in the rules: masks are spread by broadcasting alone.
    ones = [
        value for value in masked.graph.initializers.values() if "heatproof" in (value.name or "")
    ]
    assert all(value.shape is not None and value.shape.rank() < 4 for value in ones)


@pytest.mark.parametrize("name", NETWORKS)
def test_plain_networks_keep_their_nodes(name: str, networks: dict[str, ir.Model]) -> None:
    plain = prepared(networks[name])
    before = bytes_of(plain)
    lower(plain, Platform.CPU)
    assert bytes_of(plain) == before


def test_lowering_twice_changes_nothing_more(networks: dict[str, ir.Model]) -> None:
    once = lowered(layer_masked(networks["efficientnet"]), Platform.CPU)
    assert bytes_of(lowered(once, Platform.CPU)) == bytes_of(once)


def test_rounds_of_the_fill_change_no_visible_cell() -> None:
    """Beside neighbours 2^10 times as large; what no visible cell is near stays zero."""
    model = ir.from_onnx_text("""<ir_version: 10, opset_import: ["" : 18]>
        g (float[N, 8, 6, 6] x, float[N, 1, 6, 6] scale) => (float[N, 8, 6, 6] y) {
            means = AveragePool
                <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (x)
            fresh = Mul (means, scale)
            y = Add (x, fresh)
        }""")  # fmt: skip
    infer_shapes(model)
    for node, role in zip(model.graph, (Role.BOX, Role.FILLING, Role.FILLED), strict=True):
        declare_role(node.outputs[0], role)
    fast = lowered(model, Platform.CPU)
    assert "Add" not in operators(fast)
    x = np.zeros((1, 8, 6, 6), np.float32)
    x[..., 0], x[..., 1] = np.linspace(1000, 1100, 48).reshape(8, 6), np.linspace(1, 2, 6)
    scale = np.zeros((1, 1, 6, 6), np.float32)
    scale[..., 2:4] = 3.0
    filled = opened(fast)(x=x, scale=scale)["y"]
    np.testing.assert_array_equal(filled[..., :2], x[..., :2])
    np.testing.assert_array_equal(filled[..., 3:], 0)
    above = np.pad(x[..., 1], [(0, 0), (0, 0), (1, 1)])
    column = (above[..., :-2] + above[..., 1:-1] + above[..., 2:]) / 3
    np.testing.assert_allclose(filled[..., 2], column, rtol=1e-6)


def test_saved_graphs_are_lowered_like_fresh_ones(networks: dict[str, ir.Model]) -> None:
    masked = layer_masked(networks["mobilenet_v3"])
    read = ir.from_proto(onnx.load_from_string(bytes_of(masked)))
    assert bytes_of(lowered(read, Platform.CPU)) == bytes_of(lowered(masked, Platform.CPU))


def test_bounds_that_a_slope_cannot_tell_stay_comparisons(
    text_model: Callable[[str], onnx.ModelProto],
) -> None:
    text = """<ir_version: 10, opset_import: ["" : 18]>
    g (float[N, 6] x) => (float[N, 6] y) <float low = {0}, float high = {200}>
    { y = Clip (x, low, high) }"""
    gradient = differentiated(ir.from_proto(text_model(text)), of="y", wrt="x")
    fast = lowered(gradient, Platform.CPU)
    assert {"HardSigmoid", "Less"} <= operators(fast)
    x = np.array([[-1, 0, 1e-30, 199.99, 200, 201]], np.float32)
    found = opened(fast)(x=x, output_gradient=np.ones_like(x))["input_gradient"]
    np.testing.assert_array_equal(found, [[0, 0, 1, 1, 0, 0]])
