"""Where randomness comes from."""

import hashlib

import numpy as np


def generator(seed: int, digest: str, purpose: str) -> np.random.Generator:
    """Randomness for one purpose on one image.

    Depends on nothing else, so that all models, explainers and removal operators meet the same
    draws, and neither order nor number of workers matters.

    Args:
        seed: the spec's seed.
        digest: SHA-256 of the image's bytes.
        purpose: what is drawn, such as `order/3`.
    """
    text = f"heatproof/{seed}/{digest}/{purpose}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest(), "big"))
