"""Where a rewritten graph is to run, and what is done to it for that place."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import onnx_ir as ir
from onnx_ir.passes import common

from heatproof.graphs.lowering.broadcasts import broadcast_in_blocks
from heatproof.graphs.lowering.gradients.gates import share_gates
from heatproof.graphs.lowering.gradients.phases import split_phases
from heatproof.graphs.lowering.gradients.steps import smooth_steps
from heatproof.graphs.lowering.hiding import block
from heatproof.graphs.lowering.partitioning import partition
from heatproof.graphs.lowering.sums import settle_sums
from heatproof.graphs.lowering.weights import own_weights


class Platform(StrEnum):
    """Where a graph runs.

    CPU: ONNX Runtime on a processor. CUDA: ONNX Runtime on an NVIDIA GPU, which has fast kernels
    for all that rules write, so that nothing is done. OPENVINO: Intel's runtime on a processor.
    PORTABLE: any runtime.
    """

    CPU = "cpu"
    CUDA = "cuda"
    OPENVINO = "openvino"
    PORTABLE = "portable"


_PASSES: Final[Mapping[Platform, tuple[Callable[[ir.Model], None], ...]]] = MappingProxyType(
    {
        # Masks are spread over the channels of one group only: groups come first.
        Platform.CPU: (
            partition,
            block,
            share_gates,
            smooth_steps,
            broadcast_in_blocks,
            split_phases,
            settle_sums,
        ),
        Platform.CUDA: (),
        Platform.OPENVINO: (own_weights,),
        Platform.PORTABLE: (),
    }
)


def lowered(model: ir.Model, platform: Platform) -> ir.Model:
    """Returns a copy of a model as `lower` makes it."""
    copy = model.clone()
    lower(copy, platform)
    return copy


def lower(model: ir.Model, platform: Platform) -> None:
    """Brings a graph into the form that is fastest at its platform, in place.

    Results are the same but for the order of sums. Nodes without a role keep theirs, except sums
    that would depend on the number of threads.
    """
    before = len(model.graph)
    for lowering in _PASSES[platform]:
        lowering(model)
    if len(model.graph) != before:
        common.RemoveUnusedNodesPass()(model)
