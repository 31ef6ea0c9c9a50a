"""The five laws that every rewritten model obeys, on the supported families of networks."""

import onnx_ir as ir
import pytest

from heatproof.graphs.lowering import Platform
from heatproof.graphs.masking import MaskingOptions, Mode
from tests.graphs.masking.laws import CHECKS, Laws

NETWORKS = [
    "resnet_basic", "resnet_bottleneck", "mobilenet_v2", "mobilenet_v3", "efficientnet", "densenet",
]  # fmt: skip
PLATFORMS = [Platform.CPU, Platform.PORTABLE]


@pytest.fixture(scope="module")
def laws(networks: dict[str, ir.Model]) -> dict[tuple[str, Mode, Platform], Laws]:
    """Every network in every mode; what they open stays open for the next law."""
    return {
        (name, mode, platform): Laws(networks[name], MaskingOptions(mode=mode), platform=platform)
        for name in NETWORKS
        for mode in Mode
        for platform in PLATFORMS
    }


@pytest.mark.parametrize("law", CHECKS)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("network", NETWORKS)
def test_rewritten_networks_obey(
    network: str,
    mode: Mode,
    platform: Platform,
    law: str,
    laws: dict[tuple[str, Mode, Platform], Laws],
) -> None:
    CHECKS[law](laws[network, mode, platform])
