"""Trains a small CNN on biased images, with weights by explanation consistency and without.

    python -m examples.consistency_training.train --seeds 10

Every few epochs the network goes to a Heatproof server, which returns a weight for each training
image (Wu et al. 2024, arXiv 2408.04600): the more, the less its explanation holds when the
background is attacked. Two controls tell what a change comes from: `shuffled` gives the same
weights to other images, `uniform` weighs all alike. What is compared is the accuracy on images
whose background tells nothing.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch
from scipy import stats
from torch import nn

from examples.shapes import CLASSES, SIDE, Shapes, shapes
from heatproof.client import Client
from heatproof.client.export import export_classifier

EPOCHS: Final = 15
ASK_AFTER: Final = (5, 10)
"""Epochs after which the weights are asked for."""
BATCH: Final = 32
TRAINING: Final = 400
BIAS: Final = 0.8
PREPROCESSING: Final = {"preset": "unit"}

Weigh: TypeAlias = Callable[[np.ndarray, np.random.Generator], np.ndarray]
ARMS: Final[Mapping[str, Weigh]] = {
    "uniform": lambda found, _: np.ones_like(found),
    "shuffled": lambda found, rng: rng.permutation(found),
    "consistency": lambda found, _: found,
}


def network() -> nn.Module:
    """Three convolutions, a global mean and a linear head."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, CLASSES),
    )


def tensor(images: np.ndarray) -> torch.Tensor:
    """As the preset `unit` reads images."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def asked(client: Client, model: nn.Module, dataset: str) -> np.ndarray:
    """The weight of each training image, in the order of the data set."""
    with tempfile.TemporaryDirectory() as folder:
        path = export_classifier(model, Path(folder) / "model.onnx", SIDE)
        found = client.consistency_weights(
            path,
            dataset,
            preprocessing=PREPROCESSING,
            explainer="grad_cam",
            parameters={"background": "object", "controls": 1},
        )
    return found.to_numpy()


def trained(client: Client, data: Shapes, dataset: str, weigh: Weigh, seed: int) -> nn.Module:
    """Trains with weights that have a mean of 1, so that the size of a step stays what it was."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, images = network(), tensor(data.images)
    labels, weights = torch.from_numpy(data.labels), torch.ones(len(data.labels))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(1, EPOCHS + 1):
        for batch in torch.randperm(len(labels)).split(BATCH):
            losses = nn.functional.cross_entropy(
                model(images[batch]), labels[batch], reduction="none"
            )
            optimizer.zero_grad()
            (losses * weights[batch]).mean().backward()
            optimizer.step()
        if epoch in ASK_AFTER:
            found = weigh(asked(client, model, dataset), rng)
            weights = torch.from_numpy(found / found.mean()).float()
    return model


def accuracy(model: nn.Module, data: Shapes) -> float:
    """Share of the images whose class is found."""
    model.eval()
    with torch.no_grad():
        found = model(tensor(data.images)).argmax(1).numpy()
    return float((found == data.labels).mean())


def main(seeds: int) -> None:
    """Trains all arms on all seeds and prints the table."""
    table: dict[str, list[float]] = {arm: [] for arm in ARMS}
    with Client.embedded() as client:
        for seed in range(seeds):
            data = shapes(TRAINING, BIAS, seed)
            stored = client.upload_dataset(list(data.images), masks=list(data.masks))
            unbiased = shapes(2000, 0.0, 10_000 + seed)
            for arm, weigh in ARMS.items():
                model = trained(client, data, stored.name, weigh, seed)
                table[arm].append(accuracy(model, unbiased))
            print(seed, {arm: f"{values[-1]:.3f}" for arm, values in table.items()}, flush=True)
    for arm, values in table.items():
        print(f"{arm:12} accuracy on unbiased images {interval(values)}")
    for arm in ("uniform", "shuffled"):
        gains = np.subtract(table["consistency"], table[arm])
        print(f"consistency less {arm:9} {interval(gains)}")


def interval(values: Sequence[float] | np.ndarray) -> str:
    """Mean over the seeds with its 95 % interval by Student's t."""
    mean, error = np.mean(values), stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, mean, error)
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="trainings of each arm")
    main(parser.parse_args().seeds)
