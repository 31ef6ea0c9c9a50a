"""The laws and readings catch rewrites that only look like layer masking."""

import onnx_ir as ir
import pytest

from heatproof.graphs.masking import MaskingOptions, Mode
from heatproof.graphs.masking.scope import Scope
from tests.masking.laws import BrokenLawError, Laws


@pytest.mark.parametrize("mode", list(Mode))
def test_poison_tells_a_rewrite_that_hides_at_the_image_only(
    mode: Mode, networks: dict[str, ir.Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = Scope.visible
    monkeypatch.setattr(Scope, "filled", lambda _self, value, *_: value)
    monkeypatch.setattr(
        Scope,
        "visible",
        lambda self, value, state, hidden=0.0: (
            entry(self, value, state, hidden) if value.is_graph_input() else value
        ),
    )
    laws = Laws(networks["resnet_basic"], MaskingOptions(mode=mode))
    with pytest.raises(BrokenLawError, match="law 5"):
        laws.hidden_cells_are_irrelevant()
