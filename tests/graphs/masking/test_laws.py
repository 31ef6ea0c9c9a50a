"""The five laws that every rewritten model obeys, on the supported families of networks."""

import onnx_ir as ir
import pytest

from heatproof.graphs.lowering import Target
from heatproof.graphs.masking import MaskingOptions, Mode
from tests.graphs.masking.laws import CHECKS, Laws

NETWORKS = [
    "resnet_basic", "resnet_bottleneck", "mobilenet_v2", "mobilenet_v3", "efficientnet", "densenet",
]  # fmt: skip
TARGETS = [Target.CPU, Target.PORTABLE]


@pytest.fixture(scope="module")
def laws(networks: dict[str, ir.Model]) -> dict[tuple[str, Mode, Target], Laws]:
    """Every network in every mode; what they open stays open for the next law."""
    return {
        (name, mode, target): Laws(networks[name], MaskingOptions(mode=mode), target=target)
        for name in NETWORKS
        for mode in Mode
        for target in TARGETS
    }


@pytest.mark.parametrize("law", CHECKS)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("network", NETWORKS)
def test_rewritten_networks_obey(
    network: str,
    mode: Mode,
    target: Target,
    law: str,
    laws: dict[tuple[str, Mode, Target], Laws],
) -> None:
    CHECKS[law](laws[network, mode, target])
