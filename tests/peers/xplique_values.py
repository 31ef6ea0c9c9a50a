"""Writes what Xplique says of the shared network: `python -m tests.peers.xplique_values`.

Xplique is TensorFlow's and holds other packages to versions of its own, so it runs in an
environment of its own (`make xplique`), and `make peers` compares with the values stored here.
"""

import json
import sys
from collections.abc import Callable
from importlib.metadata import version

import keras
import numpy as np
import tensorflow as tf
from xplique.attributions import Rise
from xplique.metrics import (
    AverageDropMetric,
    AverageGainMetric,
    AverageIncreaseMetric,
    AverageStability,
    Complexity,
    Deletion,
    Insertion,
    MuFidelity,
    Sparseness,
)

from tests.peers.inputs import (
    CLASSES,
    IMAGES,
    MEAN,
    SIDE,
    STD,
    attribution,
    image,
    noise,
    weights,
)
from tests.peers.journal import XPLIQUE

STEPS = 16
GRID = 8
DRAWS = 200
MASKS = 100
RADIUS = 0.1


def network() -> keras.Model:
    """The shared network, from pixels to logits, channels last."""
    values, layers = weights(0, 6.0), keras.layers
    given = keras.Input((SIDE, SIDE, 3))
    seen = layers.Normalization(mean=MEAN, variance=np.square(STD))(given)
    first = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")
    second = layers.Conv2D(12, 3, padding="same", activation="relu", name="second")
    head = layers.Dense(CLASSES, name="head")
    seen = second(layers.MaxPooling2D(2)(first(seen)))
    model = keras.Model(given, head(layers.GlobalAveragePooling2D()(seen)))
    for layer in (first, second, head):
        weight = values[f"{layer.name}.weight"]
        axes = (2, 3, 1, 0) if weight.ndim > 2 else (1, 0)
        layer.set_weights([weight.transpose(axes), values[f"{layer.name}.bias"]])
    return model


def saliency(model: keras.Model) -> Callable[[object, object], tf.Tensor]:
    """Largest absolute gradient of the logit of each pixel."""

    def explain(inputs: object, targets: object) -> tf.Tensor:
        x = tf.convert_to_tensor(inputs, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = tf.reduce_sum(model(x) * tf.cast(targets, tf.float32))
        return tf.reduce_max(tf.abs(tape.gradient(score, x)), axis=-1)

    return explain


def main() -> int:
    """Writes the values of each image, and of draws those of the first image."""
    model = network()
    images = np.stack([image(seed) for seed in range(IMAGES)]).transpose(0, 2, 3, 1)
    signed = np.stack([attribution(seed) for seed in range(IMAGES)]).astype(np.float32)
    positive = np.stack([attribution(seed, signed=False) for seed in range(IMAGES)])
    logits = model.predict(images, verbose=0)
    targets = np.eye(CLASSES, dtype=np.float32)[logits.argmax(axis=1)]

    def each(metric: type, maps: np.ndarray, **options: object) -> list[float]:
        made = [
            metric(model, images[i : i + 1], targets[i : i + 1], activation="softmax", **options)
            for i in range(IMAGES)
        ]
        return [float(one.evaluate(maps[i : i + 1])) for i, one in enumerate(made)]

    stability = AverageStability(model, images, targets, radius=RADIUS, nb_samples=4)
    stability.noisy_masks = tf.constant(noise(RADIUS, 4).transpose(0, 2, 3, 1))
    found: dict[str, object] = {
        "version": version("xplique"),
        "logits": logits.tolist(),
        "deletion": each(Deletion, signed, steps=STEPS),
        "insertion": each(Insertion, signed, steps=STEPS),
        **_confidences(model, images, targets, positive.astype(np.float32)),
        "complexity": [float(Complexity()(signed[i : i + 1])) for i in range(IMAGES)],
        "sparseness": [float(Sparseness()(signed[i : i + 1])) for i in range(IMAGES)],
        "average_stability": float(stability.evaluate(saliency(model))),
        "mu_fidelity": _fidelities(model, images, targets, signed),
        "rise": _rises(model, images, targets),
    }
    XPLIQUE.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return 0


def _confidences(
    model: keras.Model, images: np.ndarray, targets: np.ndarray, maps: np.ndarray
) -> dict[str, list[float]]:
    """Of the top class of each image, then of that of each masked image, which gains."""
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    masked = images * ((maps - low) / (high - low))[..., None]
    gaining = np.eye(CLASSES, dtype=np.float32)[model.predict(masked, verbose=0).argmax(axis=1)]
    kinds = {
        "average_drop": AverageDropMetric,
        "increase_in_confidence": AverageIncreaseMetric,
        "average_gain": AverageGainMetric,
    }
    return {
        name: [
            float(kind(model, x[None], y[None], activation="softmax").evaluate(made[None]))
            for classes in (targets, gaining)
            for x, y, made in zip(images, classes, maps, strict=True)
        ]
        for name, kind in kinds.items()
    }


def _fidelities(
    model: keras.Model, images: np.ndarray, targets: np.ndarray, maps: np.ndarray
) -> list[float]:
    tf.random.set_seed(0)
    one = MuFidelity(
        model,
        images[:1],
        targets[:1],
        grid_size=GRID,
        nb_samples=MASKS,
        batch_size=MASKS,
        activation="softmax",
    )
    return [float(one.evaluate(maps[:1])) for _ in range(DRAWS)]


def _rises(model: keras.Model, images: np.ndarray, targets: np.ndarray) -> list[list[float]]:
    """Means over 4 x 4 cells of maps of the probability."""
    tf.random.set_seed(0)
    inner = keras.Sequential([model, keras.layers.Softmax()])
    explain = Rise(inner, nb_samples=MASKS, grid_size=7, preservation_probability=0.5)
    side, found = SIDE // 4, []
    for _ in range(DRAWS):
        made = np.asarray(explain(images[:1], targets[:1])).reshape(SIDE, SIDE)
        found.append(made.reshape(4, side, 4, side).mean(axis=(1, 3)).reshape(-1).tolist())
    return found


if __name__ == "__main__":
    sys.exit(main())
