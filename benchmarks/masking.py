"""What layer masking and gradients cost over a plain pass."""

import argparse

import numpy as np
from networks import networks
from timing import interleaved

from heatproof.graphs.canonical import CanonicalModel
from heatproof.graphs.runtime import Cancellation, OrtPredictor, SessionCache, SessionSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    for name, canonical in networks().items():
        seconds = measure(canonical, options.batch, options.threads, options.rounds)
        plain = seconds.pop("plain")
        print(f"{name}, batch {options.batch}: plain {plain * 1e3:.0f} ms")
        for kind, time in seconds.items():
            print(f"    {kind}: {time * 1e3:.0f} ms, {time / plain:.2f} x plain")


def measure(canonical: CanonicalModel, batch: int, threads: int, rounds: int) -> dict[str, float]:
    """Median seconds of each kind of pass, with half of every image hidden."""
    images = np.random.default_rng(0).random(
        (batch, 3, canonical.height, canonical.width), np.float32
    )
    masks = np.zeros((batch, canonical.height, canonical.width), bool)
    masks[:, :, : canonical.width // 2] = True
    seed = np.eye(canonical.classes, dtype=np.float32)[np.arange(batch)]
    predictor = OrtPredictor(
        canonical,
        SessionCache(4 << 30, SessionSettings(threads)),
        model="benchmark",
        batch_size=batch,
        cancellation=Cancellation(),
    )
    return interleaved(
        {
            "plain": lambda: predictor.logits(images),
            "layer-masked, reference": lambda: predictor.masked_logits(images, masks, "reference"),
            "layer-masked, strict": lambda: predictor.masked_logits(images, masks, "strict"),
            "gradient by the input": lambda: predictor.gradients(images, seed, ""),
            "gradient by the CAM tensor": lambda: predictor.gradients(
                images, seed, canonical.cam_tensor
            ),
        },
        rounds,
    )


if __name__ == "__main__":
    main()
