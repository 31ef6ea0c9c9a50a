"""Networks whose file is given to Heatproof and whose nodes are replayed in torch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from benchmarks.networks import ARCHITECTURES, BUNDLED, BUNDLED_NAME, OPSETS
from benchmarks.peers.layer_masked import LayerMasked
from benchmarks.peers.replayed import Replayed
from heatproof.graphs.files.saving import to_bytes

_SPREAD = 2.0
"""Deviation of the logits of networks with random weights: neither certain nor blind."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network on both sides.

    Attributes:
        name: one of `benchmarks.networks`.
        file: the bytes of the ONNX file.
        preprocessing: how Heatproof makes its input of pixels.
        torch: the same in torch, from pixels in [0, 1].
        masked: that with layer masking.
    """

    name: str
    file: bytes
    preprocessing: dict[str, Any]
    torch: Replayed
    masked: LayerMasked


def bundled() -> Network:
    """EfficientNet-Lite0, trained."""
    model = ir.load(BUNDLED)
    scaled = {"resize": "none", "scale": 255, "mean": [127], "std": [128]}
    levels = 127 / 255, 128 / 255
    masked = LayerMasked(model, *levels)
    return Network(BUNDLED_NAME, BUNDLED.read_bytes(), scaled, Replayed(model, *levels), masked)


def drawn(name: str, pixels: np.ndarray) -> Network:
    """An architecture with random weights, its last layer scaled to the logits of these images."""
    model = ARCHITECTURES[name](OPSETS[0])
    with torch.no_grad():
        spread = float(Replayed(model)(torch.from_numpy(pixels)).std())
    weight = model.graph[-1].inputs[1]
    weight.const_value = ir.tensor(weight.const_value.numpy() * np.float32(_SPREAD / spread))
    unit = {"preset": "unit", "resize": "none"}
    return Network(name, to_bytes(model), unit, Replayed(model), LayerMasked(model))
