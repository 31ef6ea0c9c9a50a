import numpy as np
import onnx_ir as ir
import pytest

from benchmarks.networks import small
from benchmarks.passes.ceilings import (
    bare_pass,
    filled_by_boxes,
    gradient_by_products,
    linear,
    linear_with_gradient,
)
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.graphs.canonical import CanonicalModel, canonicalize
from heatproof.graphs.gradients import INPUT_GRADIENT, OUTPUT_GRADIENT, differentiated
from heatproof.graphs.lowering.blocking import LEAST_CHANNELS
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.nodes.roles import Role, role_of
from heatproof.graphs.nodes.shapes import channels_of
from tests.graphs.sessions import opened


@pytest.fixture(scope="module")
def canonical() -> CanonicalModel:
    return canonicalize(small(), PRESETS["imagenet"])


def images(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((2, 3, 224, 224), np.float32)


def test_a_linear_network_maps_means_of_images_to_means_of_logits(
    canonical: CanonicalModel,
) -> None:
    run, logits, image = opened(linear(canonical)), canonical.logits, canonical.input_name
    one, other = images(0), images(1)
    found = [run(**{image: x})[logits] for x in (one, other, (one + other) / 2)]
    np.testing.assert_allclose((found[0] + found[1]) / 2, found[2], rtol=0, atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 1e-2  # it does look at them


def test_the_gradient_of_a_linear_network_is_one_for_all_images(canonical: CanonicalModel) -> None:
    run = opened(linear_with_gradient(canonical))
    seed = np.eye(2, canonical.classes, dtype=np.float32)
    one, other = (
        run(**{canonical.input_name: images(i), OUTPUT_GRADIENT: seed})[INPUT_GRADIENT]
        for i in (0, 1)
    )
    np.testing.assert_array_equal(one, other)
    assert one.any()


def test_a_derivative_by_products_reads_the_output_in_place_of_a_step(
    canonical: CanonicalModel,
) -> None:
    exact = differentiated(
        canonical.model, of=canonical.logits, wrt=canonical.input_name, plain=True
    )
    steps = [node for node in exact.graph if role_of(node) is Role.STEP]
    for node in steps:  # where y > 0: the gradient, else 0
        condition, gradient, _ = node.inputs
        product = ir.node("Mul", [gradient, condition.producer().inputs[0]])
        ir.convenience.replace_nodes_and_values(
            exact.graph, node, [node], [product], node.outputs, product.outputs
        )
    assert len(steps) == 2
    seed = np.eye(2, canonical.classes, dtype=np.float32)
    feeds = {canonical.input_name: images(0), OUTPUT_GRADIENT: seed}
    wanted = opened(exact)(**feeds)[INPUT_GRADIENT]
    found = opened(gradient_by_products(canonical))(**feeds)[INPUT_GRADIENT]
    np.testing.assert_array_equal(found, wanted)
    assert wanted.any()


def test_rounds_that_only_read_are_a_box_each(canonical: CanonicalModel) -> None:
    masked = layer_masked(canonical.model, trusted=True, plain=True)
    rounds = [node for node in masked.graph if role_of(node) is Role.FILLED]
    wide = sum(channels_of(node.outputs[0]) >= LEAST_CHANNELS for node in rounds)
    boxed = filled_by_boxes(canonical)
    kept = {role_of(node) for node in boxed.graph}
    assert 0 < wide < len(rounds)  # those of the image are not
    assert not kept & {Role.FILLED, Role.FILLING}
    assert convolutions(boxed) == convolutions(masked) + wide


def convolutions(model: ir.Model) -> int:
    return sum(node.op_type == "Conv" for node in model.graph)


def test_inputs_that_a_graph_lacks_are_left_out(canonical: CanonicalModel) -> None:
    feeds = {canonical.input_name: images(0), "mask": np.ones((2, 1, 224, 224), np.float32)}
    bare_pass(linear(canonical), feeds)()
