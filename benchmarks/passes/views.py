"""What it saves and costs that a network's graph draws the views of an image itself.

    python -m benchmarks.passes.views [--network NAME] [--images 2] [--rounds 5]

Deletion and insertion curves of random maps on photographs of `examples`, in this process's engine:
once with every view handed over as pixels, once with the image handed over once and a mask a view.
Bytes are those that ONNX Runtime is handed, seconds those of the processor, where there is nothing
to be saved but the drawing.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product

import onnxruntime as ort

from benchmarks.alone import alternating, ratios
from benchmarks.networks import names
from benchmarks.passes.engine import REMOVALS, Work, evaluation, photograph, photographs
from heatproof.graphs.runtime.backends.network import Feed
from heatproof.graphs.runtime.sessions import Session
from heatproof.graphs.runtime.streams import take_short_turns

COLUMNS = (
    "network", "pass", "rows", "MB as pixels", "MB as views", "fewer bytes", "seconds as views",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="Lite0", help="part of a network's name")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"ONNX Runtime {ort.__version__}, {cores} cores; median and range of the rounds\n")
    print("|", " | ".join(COLUMNS), "|\n|" + "---|" * len(COLUMNS))
    for network, kind in product(names(options.network), REMOVALS):
        work = Work(network, kind, options.images, cores)
        (rows, pixels), (_, views) = (handed(work, composed=one) for one in (False, True))
        makers = {
            name: partial(made, work, composed=name == "views") for name in ("pixels", "views")
        }
        seconds = ratios(alternating(makers, options.rounds), "pixels")["views"]
        cells = (network, kind, rows, f"{pixels / 1e6:.1f}", f"{views / 1e6:.2f}")
        print(
            "|", " | ".join(map(str, (*cells, f"{pixels / views:.0f} x", seconds))), "|", flush=True
        )


def made(work: Work, *, composed: bool) -> Callable[[], int]:
    """Evaluates decoded photographs; returns the rows that were run."""
    images = [photograph(file) for file in photographs(work)]
    evaluated = evaluation(work, images, composed=composed)
    take_short_turns()  # as a worker's do

    def run() -> int:
        done: list[int] = []
        list(evaluated(lambda progress: done.append(progress.predictions_done)))
        return done[-1]

    return run


def handed(work: Work, *, composed: bool) -> tuple[int, int]:
    """Rows of an evaluation, and the bytes that ONNX Runtime is handed for it.

    What lies on a device is counted when it comes there.
    """
    total, held, run = 0, dict[int, ort.OrtValue](), Session.run

    def noting(session: Session, feeds: Mapping[str, Feed], *others: object) -> object:
        nonlocal total
        for feed in feeds.values():
            if not isinstance(feed, ort.OrtValue):
                total += feed.nbytes
            elif id(feed) not in held:
                held[id(feed)] = feed
                total += feed.tensor_size_in_bytes()
        return run(session, feeds, *others)  # type: ignore[arg-type] # as they came

    evaluated = made(work, composed=composed)
    evaluated()  # opens the sessions, by rows of their own
    Session.run = noting  # type: ignore[method-assign] # counts what goes through it
    try:
        return evaluated(), total
    finally:
        Session.run = run  # type: ignore[method-assign] # as it was


if __name__ == "__main__":
    main()
