"""What would be left of Heatproof's time if nothing but the passes took any."""

import os
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from statistics import median
from types import MappingProxyType
from typing import Final, TypeAlias

import onnx_ir as ir

from benchmarks.networks import networks
from benchmarks.passes.bare import Rows, seconds
from heatproof.graphs.canonical import CanonicalModel
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.lowering import Platform, lowered
from heatproof.graphs.masking import layer_masked

Passes: TypeAlias = Mapping[str, int]
"""Rows by the kind of their pass."""

_BATCHES: Final = (2, 4)
_TIMED_ROWS: Final = 96
_ROUNDS: Final = 3


def bare_seconds(network: str, passes: Passes) -> float:
    """Seconds of bare ONNX Runtime on as many rows, at its best batch, threads and streams."""
    with get_context("spawn").Pool(1) as alone:
        return sum(
            alone.apply(_seconds, (network, kind, rows)) for kind, rows in passes.items() if rows
        )


def _seconds(network: str, kind: str, rows: int) -> float:
    graph = Rows.drawn(_GRAPHS[kind](networks(part=network)[network]))
    way = graph.best_way(len(os.sched_getaffinity(0)), _BATCHES)
    timed = min(rows, _TIMED_ROWS)
    call = graph.passes(way, timed)
    call()
    return median(seconds(call) for _ in range(_ROUNDS)) * rows / timed


def _gradient(canonical: CanonicalModel) -> ir.Model:
    graph = differentiated(canonical.model, of=canonical.logits, wrt=canonical.input_name)
    return lowered(graph, Platform.CPU)


_GRAPHS: Final[Mapping[str, Callable[[CanonicalModel], ir.Model]]] = MappingProxyType(
    {
        "plain": lambda canonical: canonical.model,
        "layer-masked": lambda canonical: lowered(layer_masked(canonical.model), Platform.CPU),
        "gradient": _gradient,
    }
)
