"""The five laws that every rewritten model obeys, on the supported families of networks."""

import onnx_ir as ir
import pytest

from heatproof.graphs.lowering import Platform
from heatproof.graphs.masking import Fill, MaskingOptions, Mode
from tests.graphs.masking.laws import CHECKS, Laws

NETWORKS = [
    "resnet_basic", "resnet_bottleneck", "mobilenet_v2", "mobilenet_v3", "efficientnet", "densenet",
]  # fmt: skip
VARIANTS = {
    **{str(mode): MaskingOptions(mode=mode) for mode in Mode},
    **{str(fill): MaskingOptions(fill=fill) for fill in Fill if fill is not Fill.NEIGHBOUR},
}
PLATFORMS = [Platform.CPU, Platform.PORTABLE]


@pytest.fixture(scope="module")
def laws(networks: dict[str, ir.Model]) -> dict[tuple[str, str, Platform], Laws]:
    """Every network in every variant; what they open stays open for the next law."""
    return {
        (name, variant, platform): Laws(networks[name], options, platform=platform)
        for name in NETWORKS
        for variant, options in VARIANTS.items()
        for platform in PLATFORMS
    }


@pytest.mark.parametrize("law", CHECKS)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("network", NETWORKS)
def test_rewritten_networks_obey(
    network: str,
    variant: str,
    platform: Platform,
    law: str,
    laws: dict[tuple[str, str, Platform], Laws],
) -> None:
    CHECKS[law](laws[network, variant, platform])
