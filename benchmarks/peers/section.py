"""Other libraries beside Heatproof, on the same networks, images, maps and steps."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.peers import curves, maps, masking
from benchmarks.peers.comparing import COLUMNS, Contest
from benchmarks.peers.given import Given
from benchmarks.peers.networks import Network, bundled, drawn
from benchmarks.peers.service import Service
from benchmarks.sections import Section, Table
from heatproof.client import Client

LIBRARIES = ("torch", "quantus", "captum", "torchcam", "grad-cam")


def section(*, quick: bool) -> Section:
    """Holds one contest after the other."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    warnings.simplefilter("ignore")  # the libraries' own, about their parameters
    rows = []
    for contest in _contests(quick=quick):
        rows.append(contest.row(rounds=1 if quick else 3))
        print(*rows[-1], sep=" | ", flush=True)
    return Section(
        "Beside other libraries",
        "EfficientNet-Lite0 where no network is named; the architectures named have random "
        "weights. In torch they have batch norms, which an exporter folds into convolutions. Both "
        "sides have the same weights, the same pixels of grey photographs, the same "
        "random maps where a metric judges maps, and the same steps. Heatproof is asked over gRPC "
        "by its Python client, images and maps sent every time, on a server that runs and keeps no "
        "answers; the others run in this process on all cores, A B A B. What each draws for itself "
        "cannot be equal, and is said to be drawn. Its time over the "
        "passes' is over that of bare ONNX Runtime on the passes that Heatproof needs, at the best "
        "batch, threads and streams: no engine on this runtime exceeds that with these passes.",
        (Table(COLUMNS, tuple(rows)),),
        tuple(f"{name} {version(name)}" for name in LIBRARIES),
    )


def _contests(*, quick: bool) -> Iterator[Contest]:
    count = 1 if quick else 8
    with tempfile.TemporaryDirectory() as folder:
        network = bundled()
        with _served(network, Given(Path(folder), count)) as service:
            yield curves.pixel_flipping(network, service, steps=7 if quick else 56)
            yield curves.deletion_and_insertion(network, service, steps=4 if quick else 30)
            yield maps.quantus_sensitivity(network, service, draws=2 if quick else 10)
            yield maps.captum_sensitivity(network, service, draws=2 if quick else 10)
            yield curves.road_morf(network, service, [50] if quick else list(range(10, 100, 10)))
        with _served(network, Given(Path(folder), 1 if quick else 2)) as service:
            yield maps.rise(network, service, masks=32 if quick else 300)
            for name in ("EfficientNet-B0",) if quick else ("ResNet-50", "EfficientNet-B0"):
                network = drawn(name, service.given.pixels)
                with _served(network, service.given) as other:
                    yield masking.layer_masked_deletion(name, network, other, 2 if quick else 4)


@contextmanager
def _served(network: Network, given: Given) -> Iterator[Service]:
    with Client.embedded() as client:
        yield Service(client, network.file, network.preprocessing, given)
