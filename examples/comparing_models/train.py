"""Trains the networks of this example and writes them as ONNX beside this file.

    python -m examples.comparing_models.train

Run in the root of the repository, with the extras `server` and `torch`. A panel is 16 networks:
four ways to mix images, each with four displacements of the last feature map; every network has
its own seed. Further networks learn from images whose background tells the class.
"""

import argparse
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from torch import nn

from examples.comparing_models.networks import INPUT, MIXES, Mix, network, plain, tensor
from examples.comparing_models.planted import CELL, DISPLACEMENTS, SCALE
from examples.shapes import CLASSES, Shapes, shapes
from heatproof.client.export import export_classifier

WRITTEN: Final = Path(__file__).parent / "networks"
EPOCHS: Final = 12
BATCH: Final = 32
TRAINING: Final = 800
TESTED: Final = 500


def trained(data: Shapes, mix: Mix, displacement: int, seed: int) -> nn.Module:
    """Trains a network."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, images = network(displacement), tensor(data.images)
    classes = nn.functional.one_hot(torch.from_numpy(data.labels), CLASSES).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    steps = EPOCHS * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images)).split(BATCH):
            mixed, wanted = mix(images[chosen], classes[chosen], rng)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(mixed), wanted).backward()
            optimizer.step()
            schedule.step()
    return model


def accuracy(model: nn.Module, data: Shapes) -> float:
    """Share of the images whose class is found."""
    model.eval()
    with torch.no_grad():
        found = model(tensor(data.images)).argmax(1).numpy()
    return float((found == data.labels).mean())


def write_panel(seed: int) -> None:
    """Trains and writes the 16 networks of a panel."""
    data, tested = (shapes(count, 0, 1000 * seed + part, scale=SCALE) for part, count in COUNTS)
    for place, (name, mix) in enumerate(MIXES.items()):
        for displacement in DISPLACEMENTS:
            model = trained(data, mix, displacement, 1000 * seed + 10 * place + displacement)
            write(model, f"{name}-{CELL * displacement}px-{seed}", accuracy(model, tested))


def write_background_reader(seed: int) -> None:
    """Trains and writes a network on images whose background always tells the class."""
    data, tested = (
        shapes(count, bias, 1000 * seed + part, scale=SCALE)
        for (part, count), bias in zip(COUNTS, (1, 0), strict=True)
    )
    model = trained(data, plain, 0, 1000 * seed + 500)
    write(model, f"background-{seed}", accuracy(model, tested))


COUNTS: Final = ((0, TRAINING), (1, TESTED))
"""Part of a panel's data, which its seed depends on, and images in it."""


def write(model: nn.Module, name: str, share: float) -> None:
    """Writes a network, and says how many images without a biased background it gets right."""
    path = export_classifier(model, WRITTEN / f"{name}.onnx", INPUT)
    compact(path)
    print(f"{path.name:22} {path.stat().st_size:6} bytes, accuracy {share:.3f}", flush=True)


def compact(path: Path) -> None:
    """Puts the weights into the file, and drops what the exporter tells of its own work."""
    model = onnx.load(path)
    for told in (model, model.graph, *model.graph.node, *model.graph.value_info):
        del told.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    onnx.save(model, path)
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)


def main() -> None:
    """Writes all networks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="panels")
    torch.set_num_threads(1)
    WRITTEN.mkdir(exist_ok=True)
    for seed in range(parser.parse_args().seeds):
        write_panel(seed)
        write_background_reader(seed)


if __name__ == "__main__":
    main()
