"""The layer-masking authors' own results; see tests/graphs/goldens/README.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from heatproof.graphs.masking import GlobalPool, MaskingOptions, layer_masked
from heatproof.graphs.masking.scope import Scope

GOLDENS = Path(__file__).parents[2] / "goldens"
OPTIONS = {
    "resnet_bottleneck": MaskingOptions(),
    "mobilenet_v3_small": MaskingOptions(),
    "densenet_small": MaskingOptions(global_pool=GlobalPool.PLAIN),
}
MASKS = ("patch", "pixel", "box", "keepbox")

# Both sides compute in single precision; the README expects agreement below 1e-4.
TOLERANCE = 1e-5


def deviations(network: str, load: Callable[[ir.Model], Any]) -> dict[str, float]:
    """Largest difference from the golden logits by kind of mask, over the largest logit."""
    run = load(layer_masked(ir.load(GOLDENS / f"{network}.onnx"), OPTIONS[network]))
    golden = np.load(GOLDENS / f"{network}.npz")

    def deviation(kind: str) -> float:
        mask = golden[f"mask_{kind}"].astype(np.float32)
        expected = golden[f"logits_{kind}"]
        logits = run(image=golden["image"], mask=mask)["logits"]
        return float(np.abs(logits - expected).max() / np.abs(expected).max())

    return {kind: deviation(kind) for kind in MASKS}


@pytest.mark.parametrize("network", OPTIONS)
def test_masked_logits_are_those_of_the_authors_code(network: str, load: Any) -> None:
    assert max(deviations(network, load).values()) < TOLERANCE


@pytest.mark.parametrize("network", OPTIONS)
def test_goldens_tell_a_rewrite_without_filling(
    network: str, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scope, "filled", lambda self, value, state, _: self.visible(value, state))
    assert min(deviations(network, load).values()) > 10 * TOLERANCE
