"""Wide maps computed in groups of channels: the same function, the same laws."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.graphs.lowering import Platform, lowered, partitioning
from heatproof.graphs.lowering.partitioning import group_size, partition
from heatproof.graphs.masking import MaskingOptions, layer_masked
from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.preparation import infer_shapes
from tests.graphs.masking.laws import Laws
from tests.graphs.sessions import opened

Array = NDArray[Any]

# Single precision, summed in another order.
TOLERANCE = 1e-6

BODIES = {
    "concatenated": """
        h = Relu (e)
        d = Conv <group = 20, kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (h, depthwise, bias)
        y = Relu (d)""",
    "mixed": """
        h = Clip (e, zero, six)
        y = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (h, dense, bias)""",
    "gated by itself": """
        s = Sigmoid (e)
        h = Mul (e, s)
        d = Conv <group = 20, kernel_shape = [3, 3]> (h, depthwise)
        t = Sigmoid (d)
        y = Mul (d, t)""",
    "gated from outside": """
        d = Conv <group = 20, kernel_shape = [3, 3]> (e, depthwise, bias)
        p = GlobalAveragePool (d)
        g = Sigmoid (p)
        y = Mul (d, g)""",
    "constants of each channel": """
        n = BatchNormalization (e, scale, bias, mean, variance)
        a = PRelu (n, slope)
        m = Mul (slope, a)
        c = Sub (m, row)
        q = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (c)
        y = Conv <kernel_shape = [1, 1]> (q, mixing)""",
    "read twice": """
        h = Relu (e)
        q = AveragePool <kernel_shape = [2, 2]> (h)
        o = Conv <kernel_shape = [2, 2]> (h, pairs)
        r = MaxPool <kernel_shape = [1, 1]> (q)
        y = Add (r, o)""",
}
SHAPES = {
    "depthwise": (20, 1, 3, 3), "dense": (20, 20, 3, 3), "mixing": (6, 20, 1, 1),
    "pairs": (20, 20, 2, 2), "bias": (20,), "scale": (20,), "mean": (20,), "variance": (20,),
    "slope": (20, 1, 1), "row": (9,), "expansion": (20, 3, 1, 1), "zero": (), "six": (),
}  # fmt: skip


def model(body: str, output: str = "y") -> ir.Model:
    """A 1 x 1 convolution to 20 channels, and what follows."""
    result = ir.from_onnx_text(
        f"""<ir_version: 9, opset_import: ["": 17]>
        g (float[n, 3, 9, 9] image) => ({output})
        {{ e = Conv <kernel_shape = [1, 1]> (image, expansion, bias)
           {body} }}"""
    )
    rng = np.random.default_rng(0)
    numbers = {name: rng.uniform(0.5, 1.5, shape) for name, shape in SHAPES.items()}
    numbers |= {name: rng.standard_normal(SHAPES[name]) for name in ("expansion", "bias", "mean")}
    numbers |= {"zero": np.array(0.0), "six": np.array(6.0)}
    for value in {value for node in result.graph for value in node.inputs if value}:
        if value.name in numbers:
            value.const_value = ir.tensor(numbers[value.name].astype(np.float32), name=value.name)
            result.graph.register_initializer(value)
    infer_shapes(result)
    for node in result.graph:
        declare_role(node.outputs[0], Role.UNITS)  # only what masking has added to is split
    return result


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Puts a number of channels into each group, however small the map."""

    def groups_of(channels: int) -> None:
        monkeypatch.setattr(partitioning, "BLOCK", channels)
        monkeypatch.setattr(partitioning, "LEAST_GROUP", 1)
        monkeypatch.setattr(partitioning, "LEAST_MAP", 0)

    return groups_of


def convolutions(graph: ir.Graph) -> int:
    return sum(node.op_type == "Conv" for node in graph)


@pytest.mark.parametrize("body", BODIES)
def test_groups_compute_the_same(body: str, narrow: Callable[[int], None]) -> None:
    narrow(8)
    whole, parted = model(BODIES[body]), model(BODIES[body])
    partition(parted)
    before = convolutions(whole.graph)
    mixes = body in ("mixed", "constants of each channel")
    # Groups of 8, 8 and 4: each section's convolutions thrice; one that is read twice stays.
    expected = before if body == "read twice" else 3 * before
    assert convolutions(parted.graph) == expected
    assert any(node.op_type == "Concat" for node in parted.graph) is (
        not mixes and body != "read twice"
    )
    image = np.random.default_rng(1).standard_normal((2, 3, 9, 9)).astype(np.float32)
    wanted, found = (opened(one)(image=image)["y"] for one in (whole, parted))
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE * np.abs(wanted).max(), rtol=0)


def test_names_of_tensors_behind_a_section_are_kept(narrow: Callable[[int], None]) -> None:
    narrow(8)
    parted = model(BODIES["gated from outside"])
    partition(parted)
    assert {"d", "p", "g", "y"} <= {value.name for node in parted.graph for value in node.outputs}


def test_what_is_not_masked_stays_whole(narrow: Callable[[int], None]) -> None:
    narrow(8)
    plain = model(BODIES["mixed"])
    for node in plain.graph:
        node.metadata_props.clear()
    partition(plain)
    assert convolutions(plain.graph) == 2  # and with it the order of its sums


def test_outputs_end_a_section(narrow: Callable[[int], None]) -> None:
    narrow(8)
    parted = model(BODIES["concatenated"], output="h, y")
    partition(parted)
    assert convolutions(parted.graph) == 2


@pytest.mark.parametrize(
    ("channels", "cells", "expected"),
    [
        (64, 112 * 112, 16),
        (144, 56 * 56, 16),
        (512, 28 * 28, 32),
        (1536, 14 * 14, 128),
        (672, 14 * 14, 672),  # fits the cache as it is
        (960, 7 * 7, 960),
        (16, 112 * 112, 16),
    ],
)
def test_groups_are_as_narrow_as_pays(channels: int, cells: int, expected: int) -> None:
    assert group_size(channels, cells) == expected


GROUPED = {"resnet_bottleneck": 4, "mobilenet_v2": 8, "mobilenet_v3": 8, "efficientnet": 8,
           "densenet": 4}  # fmt: skip


@pytest.mark.parametrize("name", GROUPED)
def test_masked_networks_in_groups_are_those_without(
    name: str,
    networks: dict[str, ir.Model],
    feeds: dict[str, Array],
    narrow: Callable[[int], None],
) -> None:
    masked = layer_masked(networks[name])
    whole = lowered(masked, Platform.CPU)
    narrow(GROUPED[name])
    grouped = lowered(masked, Platform.CPU)
    assert convolutions(grouped.graph) > convolutions(whole.graph)
    wanted, found = (opened(one)(**feeds)["logits"] for one in (whole, grouped))
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE * np.abs(wanted).max(), rtol=0)


@pytest.mark.parametrize("name", GROUPED)
def test_networks_in_groups_obey_the_laws(
    name: str, networks: dict[str, ir.Model], narrow: Callable[[int], None]
) -> None:
    narrow(GROUPED[name])
    Laws(networks[name], MaskingOptions()).check()
