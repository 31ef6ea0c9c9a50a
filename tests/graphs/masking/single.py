"""Graphs of one or few operators between an image and an output, and what the operators see."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.masking import MaskingOptions, layer_masked
from heatproof.graphs.preparation import infer_shapes
from tests.graphs.sessions import opened

Array = NDArray[Any]

CHANNELS = 8
SIZE = (7, 5)
MIX = np.random.default_rng(1).standard_normal((CHANNELS, 3)).astype(np.float32)

NUMPY_TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64}


def image_and_mask(size: tuple[int, int] = SIZE) -> dict[str, Array]:
    """Three images: of the first a box is visible, of the second few cells, of the third many."""
    rng = np.random.default_rng(0)
    mask = np.zeros((3, 1, *size), np.float32)
    mask[0, :, 3:5, 2:4] = 1
    mask[1] = rng.random(size) < 0.2
    mask[2] = rng.random(size) < 0.7
    return {"image": rng.standard_normal((3, 3, *size)).astype(np.float32), "mask": mask}


def seen(feeds: Mapping[str, Array]) -> Array:
    """The tensor `x` of a graph: the image's channels, mixed, in double precision, not masked."""
    x: Array = np.einsum("oi,nihw->nohw", MIX.astype(float), feeds["image"].astype(float))
    return x


def graph(
    nodes: str,
    weights: Mapping[str, Array] | None = None,
    *,
    opset: int = 17,
    kind: str = "float",
    size: tuple[int, int] = SIZE,
) -> ir.Model:
    """`nodes` between `x` [N, 8, H, W], which hides nothing after the entry, and `y`."""
    dtype = NUMPY_TYPES[kind]
    model = ir.from_onnx_text(
        f"""<ir_version: 9, opset_import: ["": {opset}]>
        g ({kind}[n, 3, {size[0]}, {size[1]}] image) => (y)
        {{ x = Conv (image, mix)
           {nodes} }}"""
    )
    constants = {"mix": MIX[:, :, None, None].astype(dtype), **(weights or {})}
    for name, array in constants.items():
        value = next(v for node in model.graph for v in node.inputs if v and v.name == name)
        value.const_value = ir.tensor(array, name=name)
        model.graph.register_initializer(value)
    infer_shapes(model)
    return model


def masked_run(model: ir.Model, feeds: Mapping[str, Array], **options: Any) -> dict[str, Array]:
    """The outputs of the rewritten model."""
    return opened(layer_masked(model, MaskingOptions(**options)))(**feeds)
