"""What a predictor costs over bare ONNX Runtime on the same passes."""

import argparse
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
from numpy.typing import NDArray

from benchmarks.networks import networks
from benchmarks.timing import interleaved
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import Batch
from heatproof.evaluators.removal import Masking, Mode
from heatproof.graphs.canonical import CanonicalModel
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.lowering import Platform, lowered
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.predictor import OrtPredictor
from heatproof.graphs.runtime import Cancellation, SessionCache, SessionSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for name, canonical in networks().items():
        seconds = interleaved(passes(canonical, options.batch, options.threads), options.rounds)
        for kind in ("plain", "layer-masked", "gradient"):
            bare, predictor = seconds[f"bare {kind}"], seconds[kind]
            print(
                f"{name}, {kind}, batch {options.batch}: bare {bare * 1e3:.0f} ms, "
                f"predictor {predictor * 1e3:.0f} ms, ratio {predictor / bare:.3f}"
            )


def passes(canonical: CanonicalModel, batch: int, threads: int) -> dict[str, Callable[[], object]]:
    """The same passes, bare and through a predictor."""
    rng = np.random.default_rng(0)
    images = rng.random((batch, 3, canonical.height, canonical.width), np.float32)
    masks = np.ones((batch, canonical.height, canonical.width), bool)
    masks[:, 40:120, 60:180] = False
    seed = np.eye(canonical.classes, dtype=np.float32)[np.arange(batch)]
    predictor = OrtPredictor(
        canonical,
        SessionCache(4 << 30, SessionSettings(threads)),
        model="benchmark",
        batch_size=batch,
        cancellation=Cancellation(),
    )
    image, floats = canonical.input_name, masks[:, np.newaxis].astype(np.float32)
    masked = {mode: ModelPass("benchmark", masking=Masking(mode)) for mode in Mode}
    return {
        "bare plain": bare(canonical.model, threads, {image: images}),
        "plain": lambda: predictor.submit(ModelPass("benchmark"), Batch(images)).result(),
        "bare layer-masked": bare(
            lowered(layer_masked(canonical.model), Platform.CPU),
            threads,
            {image: images, "mask": floats},
        ),
        "layer-masked": lambda: predictor.submit(
            masked[Mode.REFERENCE], Batch(images, masks)
        ).result(),
        "bare gradient": bare(
            lowered(differentiated(canonical.model), Platform.CPU),
            threads,
            {image: images, "output_gradient": seed},
        ),
        "gradient": lambda: predictor.submit(
            ModelPass("benchmark", wrt=IMAGE), Batch(images, output_gradients=seed)
        ).result(),
    }


def bare(
    model: ir.Model, threads: int, feeds: dict[str, NDArray[np.float32]]
) -> Callable[[], object]:
    """A plain session on the bytes of a model, as anyone would open it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(to_bytes(model), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feeds)


if __name__ == "__main__":
    main()
