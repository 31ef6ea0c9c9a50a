"""A server whose networks OpenVINO runs, sandbox and all."""

from pathlib import Path

import numpy as np
import pytest

from heatproof.client import Client
from heatproof.graphs.runtime.backends.providers import Provider
from tests.system.payloads import model_bytes, png
from tests.system.serving import serving, settings_for


def maps_of(provider: Provider, data_dir: Path) -> list[np.ndarray]:
    with (
        serving(settings_for(data_dir, provider=provider)) as served,
        Client.connect(served.address) as client,
    ):
        found = client.explain(
            model_bytes(),
            [png(seed=seed) for seed in range(3)],
            preprocessing="unit",
            explainers=["saliency", {"rise": {"masks": 16}}],
        )
        return [one.values for one in found]


def test_maps_are_those_of_the_processor_and_nothing_is_sent_or_left_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "home/intel/openvino_ga_cid"  # by which OpenVINO's package tells of its use
    mark.parent.mkdir(parents=True)
    mark.write_text("somebody")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = maps_of(Provider.OPENVINO, tmp_path / "openvino")
    expected = maps_of(Provider.CPU, tmp_path / "cpu")
    assert len(found) == len(expected) == 6
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
    assert list(mark.parent.iterdir()) == [mark]
    assert mark.read_text() == "somebody"
