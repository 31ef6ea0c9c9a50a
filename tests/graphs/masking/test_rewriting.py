"""The contract of the rewritten model, and what is refused."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from heatproof.evaluators.errors import (
    InvalidArgumentError,
    UnsupportedModelError,
    UnsupportedOperatorError,
)
from heatproof.graphs.masking import (
    GlobalPool,
    MaskingOptions,
    Mode,
    layer_masked,
    masking_blockers,
)
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.blockers import Blocker

IMAGE = "float[n, 3, 16, 16] image"
WEIGHTS = (
    "float[4, 3, 3, 3] w = {" + ", ".join(str((i * 37 % 19 - 9) / 10) for i in range(108)) + "}"
)


def parsed(nodes: str, inputs: str = IMAGE, outputs: str = "y", opset: int = 17) -> ir.Model:
    return ir.from_onnx_text(
        f'<ir_version: 9, opset_import: ["": {opset}]> g ({inputs}) => ({outputs}) '
        f"<{WEIGHTS}> {{ {nodes} }}"
    )


TINY = "c = Conv <pads = [1, 1, 1, 1]> (image, w) r = Relu (c) y = GlobalAveragePool (r)"


def test_inputs_and_outputs_keep_their_names_and_gain_mask_and_coverage() -> None:
    model = layer_masked(parsed(TINY))
    assert [value.name for value in model.graph.inputs] == ["image", "mask"]
    assert [value.name for value in model.graph.outputs] == ["y", "mask_coverage"]
    mask, coverage = model.graph.inputs[1], model.graph.outputs[1]
    assert str(mask.shape) == "[n,1,16,16]"
    assert str(coverage.shape) == "[n]"
    assert mask.dtype == coverage.dtype == ir.DataType.FLOAT


def test_open_sizes_of_outputs_keep_their_names() -> None:
    """Inference gives the batch another name behind a Reshape to [-1, 4]."""
    shape = "s = Constant <value_ints = [-1, 4]> ()"
    nodes = f"{shape} {TINY.replace('y =', 'p =')} y = Reshape (p, s)"
    model = layer_masked(parsed(nodes, outputs="float[n, 4] y"))
    assert [str(value.shape) for value in model.graph.outputs] == ["[n,4]", "[n]"]


def test_the_argument_is_left_alone() -> None:
    model = parsed(TINY)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    layer_masked(model)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_equal_models_are_rewritten_to_equal_bytes() -> None:
    first, second = (ir.to_proto(layer_masked(parsed(TINY))) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize(("dynamo", "batch"), [(False, 2), (True, None)])
def test_either_exporter_and_batch_gives_the_same_answers(
    *, dynamo: bool, batch: int | None, export: Any, networks: Any, load: Any, feeds: Any
) -> None:
    expected = load(layer_masked(networks["efficientnet"]))(**feeds)
    got = load(layer_masked(export("efficientnet", dynamo=dynamo, batch=batch)))(**feeds)
    scale = np.abs(expected["logits"]).max()
    np.testing.assert_allclose(got["logits"], expected["logits"], atol=1e-5 * scale)
    np.testing.assert_array_equal(got["mask_coverage"], expected["mask_coverage"])


def test_the_batch_stays_dynamic(networks: Any, load: Any, feeds: Any) -> None:
    run = load(layer_masked(networks["densenet"]))
    both = run(**feeds)["logits"]
    one = run(**{name: array[:1] for name, array in feeds.items()})["logits"]
    np.testing.assert_allclose(one, both[:1], atol=1e-5 * np.abs(both).max())


def test_onnx_runtime_has_nothing_to_warn_of(
    networks: Any, load: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    for model in networks.values():
        load(layer_masked(model))
    assert capfd.readouterr().err == ""


def test_channels_last_images_give_the_answers_of_channels_first(load: Any) -> None:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, 3, 16, 16)).astype(np.float32)
    mask = np.zeros((2, 1, 16, 16), np.float32)
    mask[:, :, 2:5, 7:9] = 1
    swapped = "t = Transpose <perm = [0, 3, 1, 2]> (image) " + TINY.replace("(image", "(t")
    last = layer_masked(parsed(swapped, inputs="float[n, 16, 16, 3] image"))
    results = load(last)(image=image.transpose(0, 2, 3, 1).copy(), mask=mask)
    expected = load(layer_masked(parsed(TINY)))(image=image, mask=mask)
    np.testing.assert_array_equal(results["y"], expected["y"])


def test_half_precision_and_bytes_are_masked_too(load: Any) -> None:
    cast = f"f = Cast <to = 1> (image) {TINY.replace('(image', '(f')}"
    model = layer_masked(parsed(cast, inputs="uint8[n, 3, 16, 16] image"))
    image = np.arange(768, dtype=np.uint8).reshape(1, 3, 16, 16)
    mask = np.zeros((1, 1, 16, 16), np.float32)
    mask[..., :8, :8] = 1
    spoilt = np.where(mask == 1, image, 99).astype(np.uint8)
    run = load(model)
    assert run(image=image, mask=mask)["y"].tobytes() == run(image=spoilt, mask=mask)["y"].tobytes()


def test_a_spatial_output_shows_zeros_where_it_is_hidden(load: Any) -> None:
    model = layer_masked(parsed("c = Conv (image, w) y = Exp (c)"))
    mask = np.zeros((1, 1, 16, 16), np.float32)
    mask[..., 0, 0] = 1
    results = load(model)(image=np.ones((1, 3, 16, 16), np.float32), mask=mask)
    assert (results["y"] != 0).sum() == 4
    np.testing.assert_allclose(results["mask_coverage"], [1 / 14**2], rtol=1e-6)


def test_coverage_ignores_gates_and_takes_the_least_of_several_exits(load: Any) -> None:
    nodes = (
        "g = GlobalAveragePool (image) s = Sigmoid (g) x = Mul (image, s) "
        "d = MaxPool <kernel_shape = [5, 5], pads = [2, 2, 2, 2]> (x) y = GlobalAveragePool (d) "
        "e = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x) z = GlobalAveragePool (e)"
    )
    mask = np.zeros((1, 1, 16, 16), np.float32)
    mask[..., 8, 8] = 1
    run = load(layer_masked(parsed(nodes, outputs="y, z")))
    results = run(image=np.ones((1, 3, 16, 16), np.float32), mask=mask)
    np.testing.assert_allclose(results["mask_coverage"], [9 / 256], rtol=1e-6)


def test_strict_mode_excludes_the_plain_global_pool() -> None:
    with pytest.raises(InvalidArgumentError, match="strict"):
        MaskingOptions(mode=Mode.STRICT, global_pool=GlobalPool.PLAIN)


def test_an_operator_without_a_rule_is_named() -> None:
    model = parsed("c = Conv (image, w) y = Det (c)")
    model.graph.node(1).name = "decomposition"
    with pytest.raises(UnsupportedOperatorError, match=r"decomposition.*Det-11"):
        layer_masked(model)


def test_every_blocking_node_is_listed_and_no_other() -> None:
    model = parsed(
        "a = Det (image) c = Conv (image, w) q = Trilu (c) "
        "y = GlobalAveragePool (q) f = Flatten (y) z = Softmax (f)",
        outputs="a, z",
    )
    for node, name in zip(model.graph, "abcdefg", strict=False):
        node.name = name
    assert masking_blockers(model) == (
        Blocker("a", "Det-11", "every number of its result depends on all cells"),
        Blocker("c", "Trilu-14", "it blanks cells by their places"),
    )


def test_reading_the_size_of_what_has_no_rule_blocks_nothing_more() -> None:
    nodes = "q = Trilu (image) s = Shape (q) z = Cast <to = 1> (s) r = Relu (q)"
    model = parsed(f"{nodes} y = GlobalAveragePool (r)", outputs="y, z")
    assert [blocker.operator for blocker in masking_blockers(model)] == ["Trilu-14"]


def test_a_supported_model_has_no_blockers(networks: Any) -> None:
    assert masking_blockers(networks["resnet_basic"]) == ()


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ("y = ReduceMean <axes = [0]> (image)", "batch"),
        ("y = Transpose <perm = [1, 0, 2, 3]> (image)", "batch"),
    ],
)
def test_what_mixes_images_or_places_is_refused(nodes: str, reason: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=reason):
        layer_masked(parsed(nodes))


def test_sizes_must_be_static() -> None:
    with pytest.raises(UnsupportedModelError, match="static height and width"):
        layer_masked(parsed(TINY, inputs="float[n, 3, h, w2] image"))


def test_an_output_must_depend_on_the_image() -> None:
    with pytest.raises(UnsupportedModelError, match="depends on the image"):
        layer_masked(parsed("y = Shape (image)"))


def test_names_of_the_new_input_and_output_must_be_free() -> None:
    with pytest.raises(UnsupportedModelError, match="mask_coverage"):
        layer_masked(parsed(TINY.replace("y =", "mask_coverage ="), outputs="mask_coverage"))


def test_inner_tensors_may_hold_the_names(load: Any) -> None:
    renamed = (
        TINY.replace("c =", "mask =").replace("(c)", "(mask)").replace("r =", "mask_coverage =")
    )
    model = layer_masked(parsed(renamed.replace("(r)", "(mask_coverage)")))
    feeds = {
        "image": np.ones((1, 3, 16, 16), np.float32),
        "mask": np.ones((1, 1, 16, 16), np.float32),
    }
    np.testing.assert_array_equal(load(model)(**feeds)["mask_coverage"], [1])


def test_every_rule_names_a_schema_that_exists() -> None:
    for operator in RULES:
        schema = onnx.defs.get_schema(
            operator.op_type, max_inclusive_version=operator.since_version, domain=operator.domain
        )
        assert schema.since_version == operator.since_version, operator
