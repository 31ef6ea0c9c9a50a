"""Masks with other values than 0 and 1: loud unless a threshold was asked for."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.graphs.masking import MaskingOptions, layer_masked

Array = NDArray[Any]
SOFT = (0.5, 1e-45, np.nextafter(np.float32(1), np.float32(0)), 1.5, -1.0, 255.0, np.nan, np.inf)
OPSETS = (11, 13, 17, 18, 23)  # the axes of ReduceL1 are an attribute up to 17


def network(outputs: str = "y", more: str = "", opset: int = 17, dtype: str = "float") -> ir.Model:
    kernel = ", ".join(str((i * 37 % 19 - 9) / 10) for i in range(108))
    cast = "" if dtype == "float" else "y = Cast <to = 10> (y32)"
    return ir.from_onnx_text(f"""
        <ir_version: 9, opset_import: ["" : {opset}]>
        g (float[n, 3, 16, 16] image) => ({outputs})
        <float[4, 3, 3, 3] w = {{{kernel}}}>
        {{ c = Conv <pads = [1, 1, 1, 1]> (image, w)
           {"y" if dtype == "float" else "y32"} = GlobalAveragePool (c) {cast} {more} }}""")


def feeds(value: float = 1.0) -> dict[str, Array]:
    """Three images; the first two show a box, of the second one cell is `value`."""
    image = np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)
    mask = np.zeros((3, 1, 16, 16), np.float32)
    mask[:2, :, 2:9, 3:14] = 1
    mask[1, 0, 4, 5] = value
    return {"image": image, "mask": mask}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("value", SOFT)
def test_a_mask_that_is_not_binary_gives_nan_for_its_image_alone(
    value: float, opset: int, load: Any
) -> None:
    run = load(layer_masked(network(opset=opset)))
    clean, spoilt = run(**feeds()), run(**feeds(value))
    for name in ("y", "mask_coverage"):
        assert np.isfinite(clean[name]).all()
        assert np.isnan(spoilt[name][1]).all()
        assert spoilt[name][[0, 2]].tobytes() == clean[name][[0, 2]].tobytes()


def test_the_guard_changes_no_bit_for_masks_of_zeros_and_ones(networks: Any, load: Any) -> None:
    image = np.random.default_rng(1).standard_normal((2, 3, 96, 96)).astype(np.float32)
    mask = np.zeros((2, 1, 96, 96), np.float32)
    mask[:, :, 16:48, 32:80] = 1
    for name in ("resnet_basic", "mobilenet_v3"):
        guarded = load(layer_masked(networks[name]))(image=image, mask=mask)
        plain = load(layer_masked(networks[name], trusted=True))(image=image, mask=mask)
        assert {key: value.tobytes() for key, value in guarded.items()} == {
            key: value.tobytes() for key, value in plain.items()
        }


def test_every_floating_output_warns_and_integers_stay(load: Any) -> None:
    more = (
        "k = ArgMax <axis = 1> (y) t = Transpose <perm = [1, 0, 2, 3]> (y) "
        "s = ReduceSum <keepdims = 0> (y)"
    )
    model = layer_masked(network("y, c, k, t, s", more))
    assert [value.name for value in model.graph.outputs] == [*"yckts", "mask_coverage"]
    clean, spoilt = (load(model)(**feeds(value)) for value in (1.0, 0.25))
    assert np.isnan(spoilt["c"][1]).all()
    assert spoilt["c"][0].tobytes() == clean["c"][0].tobytes()
    assert spoilt["k"].dtype == np.int64
    # Outputs without a row for each image cannot tell them apart.
    assert np.isnan(spoilt["t"]).all()
    assert np.isnan(spoilt["s"]).all()
    assert spoilt["s"].shape == clean["s"].shape == ()
    assert np.isfinite(clean["t"]).all()


def test_half_precision_outputs_warn_too(load: Any) -> None:
    model = layer_masked(network(dtype="float16"))
    results = load(model)(**feeds(0.25))
    assert results["y"].dtype == np.float16
    np.testing.assert_array_equal(np.isnan(results["y"]).all(axis=(1, 2, 3)), [False, True, False])


@pytest.mark.parametrize(("value", "same_as"), [(0.29, 0.0), (0.31, 1.0), (-7.0, 0.0), (9.0, 1.0)])
def test_a_threshold_shows_what_is_above_it(value: float, same_as: float, load: Any) -> None:
    run = load(layer_masked(network(), MaskingOptions(threshold=0.3)))
    expected = load(layer_masked(network()))(**feeds(same_as))
    for name, array in run(**feeds(value)).items():
        assert array.tobytes() == expected[name].tobytes()


def test_even_a_threshold_finds_no_place_for_nan(load: Any) -> None:
    results = load(layer_masked(network(), MaskingOptions(threshold=0.3)))(**feeds(np.nan))
    np.testing.assert_array_equal(np.isnan(results["mask_coverage"]), [False, True, False])
    assert np.isnan(results["y"][1]).all()


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5, 2.0, np.nan])
def test_a_threshold_lies_between_0_and_1(threshold: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"threshold must lie in \(0, 1\)"):
        MaskingOptions(threshold=threshold)
