"""Deletion curves under layer masking, against a reading of the published algorithm in torch."""

import numpy as np
import torch

from benchmarks.peers.comparing import Contest
from benchmarks.peers.given import SIDE
from benchmarks.peers.networks import Network
from benchmarks.peers.service import Service

BATCH = 16


def layer_masked_deletion(name: str, network: Network, service: Service, grid: int) -> Contest:
    """Cells are hidden one after the other, those of the highest mean first."""
    given = service.given

    def theirs() -> np.ndarray:
        asked = zip(given.pixels, given.maps, strict=True)
        return np.array([[_area(network, pixels, made, grid)] for pixels, made in asked])

    return Contest(
        f"deletion under layer masking, {name}, {given.count} images, {grid**2} steps",
        f"torch, the published algorithm, batches of {BATCH}",
        theirs,
        lambda: service.scores({"deletion": {"grid": grid, "steps": grid**2}}, "layer"),
        network.name,
        lambda: {"layer-masked": service.predictions},
    )


def _area(network: Network, pixels: np.ndarray, made: np.ndarray, grid: int) -> float:
    masks = torch.from_numpy(_masks(made, grid))
    x = torch.from_numpy(pixels)[None]
    with torch.no_grad():
        top = int(network.masked.masked(x, masks[:1]).argmax())
        scores = torch.cat([
            torch.softmax(network.masked.masked(x.expand(len(part), -1, -1, -1), part), 1)[:, top]
            for part in masks.split(BATCH)
        ])  # fmt: skip
    return float(np.trapezoid(scores.double().numpy())) / grid**2


def _masks(made: np.ndarray, grid: int) -> np.ndarray:
    """All visible, then a cell less each time [grid ** 2 + 1, 1, side, side]."""
    cell = SIDE // grid
    means = made.astype(np.float64).reshape(grid, cell, grid, cell).mean(axis=(1, 3)).ravel()
    shown = np.ones((grid**2 + 1, grid**2), np.float32)
    for step, index in enumerate(np.argsort(-means), start=1):
        shown[step:, index] = 0
    cells = shown.reshape(-1, 1, grid, grid)
    return cells.repeat(cell, axis=2).repeat(cell, axis=3)
