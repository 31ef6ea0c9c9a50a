"""Where randomness comes from."""

import hashlib

import numpy as np


def seed_of(seed: int, digest: str, purpose: str) -> int:
    """The seed of one purpose on one image.

    Depends on nothing else, so that all models, explainers and removal operators meet the same
    draws, and neither order nor number of workers matters.

    Args:
        seed: the spec's seed.
        digest: SHA-256 of the image's bytes.
        purpose: what is drawn, such as `order/3`.
    """
    text = f"heatproof/{seed}/{digest}/{purpose}".encode()
    return int.from_bytes(hashlib.sha256(text).digest(), "big")


def generator(seed: int, digest: str, purpose: str) -> np.random.Generator:
    """Randomness for one purpose on one image; see `seed_of`."""
    return np.random.default_rng(seed_of(seed, digest, purpose))
