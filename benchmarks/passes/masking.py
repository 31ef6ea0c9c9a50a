"""What layer masking and gradients cost over a plain pass, and what they would cost at least.

Every kind of pass has a process of its own, and one works at a time, in turns.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
import onnxruntime as ort

from benchmarks.alone import Ratio, alternating, ratios
from benchmarks.networks import ARCHITECTURES, BUNDLED_NAME, OPSETS, names, networks
from benchmarks.passes.ceilings import (
    bare_pass,
    filled_by_boxes,
    gradient_by_products,
    linear,
    linear_with_gradient,
)
from benchmarks.passes.predictors import MODEL, predictor_of
from benchmarks.sections import Section, Table
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Batch
from heatproof.evaluators.removal import Fill, Masking, Mode
from heatproof.graphs.canonical import CanonicalModel
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.gradients import OUTPUT_GRADIENT
from heatproof.graphs.lowering import Platform, lowered
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.masking.rewriting import MASK_INPUT
from heatproof.graphs.runtime import SessionSettings

PEAK = Path(__file__).with_name("peak.py")
KINDS = ("plain", "layer-masked", "strict", "with gradient")
COLUMNS = ("network", "opset", "batch", "plain ms", *KINDS[1:], "memory", "memory, planned")
BATCHES = (4, 2)
"""Of the page, among those that a worker runs; the first is that of memory and bounds."""

BOUNDS: Mapping[str, Callable[[CanonicalModel], ir.Model]] = MappingProxyType(
    {
        "filled by boxes": filled_by_boxes,
        "linear": linear,
        "linear with gradient": linear_with_gradient,
        "gradient by products": gradient_by_products,
    }
)
"""Passes that leave work out."""

NOT_FILLED = "not filled"

GOALS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "ResNet-50": (1.10, 2.3),
        "DenseNet-121": (1.3, 2.3),
        "EfficientNet-B0": (1.5, 2.8),
        "MobileNetV3-Large": (1.5, 3.0),
        BUNDLED_NAME: (1.5, 2.6),
    }
)
"""What a layer-masked pass and one with the gradient were to cost."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How passes are measured.

    Attributes:
        batch: rows of a pass.
        threads: threads of a session.
        rounds: turns that count.
        clock: seconds of the wall, or of the processor for machines that are not idle.
    """

    batch: int
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    rounds: int = 7
    clock: Callable[[], float] = time.perf_counter


@dataclass(frozen=True, slots=True)
class Cost:
    """What the kinds of passes of one network take.

    Attributes:
        seconds: of a row by kind, medians.
        ratios: of the kinds over the plain one.
    """

    seconds: Mapping[str, float]
    ratios: Mapping[str, Ratio]


def section(*, quick: bool) -> Section:
    """Measures the networks of the page, at the opset of the exporter that traces."""
    chosen = names("Lite0" if quick else "")
    batches = (2,) if quick else BATCHES
    rows, best, bounds = [], [], []
    for name in chosen:
        costs = {}
        for batch in batches:
            settings = Settings(batch, rounds=1 if quick else 3)
            first = batch == batches[0]
            kinds = (*KINDS, NOT_FILLED, *BOUNDS) if first else KINDS
            costs[batch] = cost(name, OPSETS[0], settings, kinds)
            memory = peaks(name, OPSETS[0], settings) if first else ("", "")
            rows.append(row(name, OPSETS[0], settings, costs[batch], memory))
        least = {kind: min(one.seconds[kind] for one in costs.values()) for kind in KINDS}
        best.append((name, *(f"{least[kind] / least['plain']:.2f}" for kind in KINDS[1:])))
        bounds.append(bound(name, costs[batches[0]]))
    return Section(
        "Layer masking and gradients",
        "All but the milliseconds, which are those of a whole batch, are multiples of the plain "
        "pass of the same network; half of every image is hidden. Every kind of pass has a process "
        "of its own, and one works at a time, in turns. Memory is the peak of a process that does "
        "nothing else, without and with ONNX Runtime's planning.",
        (
            Table(COLUMNS, tuple(rows)),
            f"Each kind at its own best of the batches {', '.join(map(str, batches))}:",
            Table(("network", *KINDS[1:]), tuple(best)),
            BOUNDED.format(batch=batches[0]),
            Table(BOUND_COLUMNS, tuple(bounds)),
        ),
    )


BOUNDED = (
    "Against their goals, at {batch} rows, and what they would take at least. *Boxes alone*: every "
    "round of the fill reads the neighbours and does nothing else, as an operator that ONNX "
    "Runtime lacks might. *No fill*: masks are derived and cells are hidden, and that is all. "
    "*One product each*: every derivative of an activation is a product of the gradient and one "
    "tensor of the forward pass, as an operator for it, which ONNX Runtime lacks, would compute at "
    "least. *Convolutions alone*: the plain pass, and of the way back only the convolutions, pools "
    "and sums, without the derivatives of activations and gates; 2 is what multiply-adds alone "
    "would say. None of the four is a rewrite that could be used."
)
BOUND_COLUMNS = (
    "network", "layer-masked", "goal", "boxes alone", "no fill",
    "with gradient", "goal", "one product each", "convolutions alone",
)  # fmt: skip


def bound(name: str, found: Cost) -> tuple[str, ...]:
    """A network's costs beside its goals and what they would be at least."""
    plain = found.seconds["plain"]
    back = found.seconds["linear with gradient"] - found.seconds["linear"]
    reached = (found.ratios[kind].median for kind in ("layer-masked", "with gradient"))
    least = (found.ratios[kind].median for kind in ("filled by boxes", NOT_FILLED))
    masked, gradient = (f"{ratio:.2f}" for ratio in reached)
    boxes, hidden = (f"{ratio:.2f}" for ratio in least)
    products = f"{found.ratios['gradient by products'].median:.2f}"
    alone = f"{1 + back / plain:.2f}"
    goals = [f"{goal:.2f}" for goal in GOALS[name]]
    return (name, masked, goals[0], boxes, hidden, gradient, goals[1], products, alone)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", help="part of a network's name")
    parser.add_argument(
        "--cpu", action="store_true", help="time of the processor, for machines that are not idle"
    )
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    settings = Settings(options.batch, options.threads, options.rounds, clock)
    print(f"ONNX Runtime {ort.__version__}, {options.threads} threads;")
    print(
        "all but the milliseconds as multiples of the plain pass: median and range of the rounds\n"
    )
    print("|", " | ".join(COLUMNS), "|")
    print("|" + "---|" * len(COLUMNS))
    for opset in OPSETS:
        for name in names(options.only or ""):
            if name in ARCHITECTURES or opset == OPSETS[0]:
                found = cost(name, opset, settings)
                cells = row(name, opset, settings, found, peaks(name, opset, settings))
                print("|", " | ".join(cells), "|", flush=True)


def cost(name: str, opset: int, settings: Settings, kinds: Sequence[str] = KINDS) -> Cost:
    """Measures the passes of one network."""
    makers = {
        kind: partial(one_pass, name, opset, kind, settings.batch, settings.threads)
        for kind in kinds
    }
    seconds = alternating(makers, settings.rounds, settings.clock)
    rows = {kind: median(values) / settings.batch for kind, values in seconds.items()}
    return Cost(rows, ratios(seconds, "plain"))


def row(
    name: str, opset: int, settings: Settings, found: Cost, memory: tuple[str, str]
) -> tuple[str, ...]:
    """The cells of one network."""
    plain = f"{found.seconds['plain'] * settings.batch * 1e3:.0f}"
    others = (str(found.ratios[kind]) for kind in KINDS[1:])
    return (name, str(opset), str(settings.batch), plain, *others, *memory)


def one_pass(name: str, opset: int, kind: str, batch: int, threads: int) -> Callable[[], object]:
    """A session of its own for one kind of pass, with half of every image hidden."""
    canonical = networks(opset, name)[name]
    images = np.random.default_rng(0).random(
        (batch, 3, canonical.height, canonical.width), np.float32
    )
    masks = np.zeros((batch, canonical.height, canonical.width), bool)
    masks[:, :, : canonical.width // 2] = True
    seed = np.eye(canonical.classes, dtype=np.float32)[np.arange(batch)]
    if kind in BOUNDS:
        floats = masks[:, np.newaxis].astype(np.float32)
        feeds = {canonical.input_name: images, MASK_INPUT: floats, OUTPUT_GRADIENT: seed}
        return bare_pass(BOUNDS[kind](canonical), feeds)
    predictor = predictor_of(canonical, SessionSettings(threads), batch=batch)
    run, held = {
        "plain": (ModelPass(MODEL), Batch(images)),
        "layer-masked": (_masking(Mode.REFERENCE), Batch(images, masks)),
        "strict": (_masking(Mode.STRICT), Batch(images, masks)),
        NOT_FILLED: (_masking(Mode.REFERENCE, Fill.NONE), Batch(images, masks)),
        "with gradient": (ModelPass(MODEL, wrt=IMAGE), Batch(images, output_gradients=seed)),
    }[kind]
    return lambda: predictor.submit(run, held).result()


def _masking(mode: Mode, fill: Fill = Fill.NEIGHBOUR) -> ModelPass:
    return ModelPass(MODEL, masking=Masking(mode, fill))


def peaks(name: str, opset: int, settings: Settings) -> tuple[str, str]:
    """Peak memory of a process that runs the layer-masked model over one that runs the plain."""
    canonical, batch, threads = networks(opset, name)[name], settings.batch, settings.threads
    with tempfile.TemporaryDirectory() as folder:
        plain, masked = Path(folder, "plain.onnx"), Path(folder, "masked.onnx")
        plain.write_bytes(to_bytes(canonical.model))
        masked.write_bytes(to_bytes(lowered(layer_masked(canonical.model), Platform.CPU)))
        usual, planned = (
            _peak(masked, batch, threads, *flags) / _peak(plain, batch, threads, *flags)
            for flags in ((), ("--planned",))
        )
    return f"{usual:.2f}", f"{planned:.2f}"


def _peak(model: Path, batch: int, threads: int, *flags: str) -> float:
    command = [sys.executable, str(PEAK), str(model), str(batch), str(threads), *flags]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
