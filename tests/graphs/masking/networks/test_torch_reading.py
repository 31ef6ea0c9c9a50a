"""Whole rewritten networks against the paper's table read layer by layer in torch."""

from typing import Any

import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from heatproof.graphs.masking import ConcatVote, Fill, GlobalPool, MaskingOptions, Mode
from tests.graphs.masking.networks.torch_reading import deviation

Array = NDArray[Any]
NETWORKS = ["resnet_basic", "resnet_bottleneck", "mobilenet_v2", "mobilenet_v3", "efficientnet"]
OPTIONS = [
    MaskingOptions(),
    MaskingOptions(mode=Mode.STRICT),
    MaskingOptions(global_pool=GlobalPool.PLAIN),
    MaskingOptions(fill=Fill.NONE),
    MaskingOptions(fill=Fill.PARTIAL),
]
VOTES = [MaskingOptions(concat=vote) for vote in ConcatVote]
STRICT_VOTES = [MaskingOptions(mode=Mode.STRICT, concat=vote) for vote in ConcatVote]

TOLERANCE = 1e-5
"""Of the largest logit: single precision against double, over some twenty layers."""


@pytest.mark.parametrize(
    ("network", "options"),
    [
        *((network, options) for network in NETWORKS for options in OPTIONS),
        *(("densenet", options) for options in (*VOTES, *STRICT_VOTES, *OPTIONS[-2:])),
    ],
)
def test_rewritten_networks_do_what_the_table_says(
    network: str, options: MaskingOptions, networks: dict[str, ir.Model], feeds: dict[str, Array]
) -> None:
    model = networks[network]
    assert deviation(model, feeds["image"], feeds["mask"], options) < TOLERANCE
