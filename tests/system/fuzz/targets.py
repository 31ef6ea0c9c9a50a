"""What is fuzzed: every parser of bytes that a stranger may send.

A target ends normally, or with an error of Heatproof's own tree; anything else is a fault.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import onnx.parser
from onnx import ModelProto

from heatproof.evaluators.errors import HeatproofError
from heatproof.evaluators.images.decoding import ImageLimits, decode_image
from heatproof.graphs.files.limits import Limits
from heatproof.graphs.files.loading import load_model
from heatproof.graphs.inspection.inspecting import inspect
from tests.system.fuzz import requests
from tests.system.fuzz.mutation import mutated
from tests.system.fuzz.pictures import pictures

SEEDS = Path(__file__).with_name("seeds")
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Target:
    """Something to fuzz.

    Attributes:
        run: takes any bytes; what it raises is a fault.
        seeds: bytes to start from.
        mutate: changes bytes in a way that leaves them meaningful; None leaves it to libFuzzer.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]
    mutate: Callable[[bytes, int, int], bytes] | None = None


def run_model(data: bytes) -> None:
    """Loads and inspects a model file, as the upload of one does."""
    with tempfile.TemporaryDirectory() as folder, suppress(HeatproofError):
        path = Path(folder) / "model.onnx"
        path.write_bytes(data)
        limits = Limits(max_bytes=MEBIBYTE, max_nodes=1000, max_tensor_bytes=MEBIBYTE)
        inspect(load_model(path, limits=limits))


def run_image(data: bytes) -> None:
    """Decodes an image file."""
    with suppress(HeatproofError):
        decode_image(data, ImageLimits(max_pixels=MEBIBYTE))


def model_seeds() -> Iterator[bytes]:
    """Small models, written as ONNX text, and the files that once crashed this target."""
    for path in sorted((SEEDS / "models").iterdir()):
        if path.suffix == ".onnxtxt":
            yield onnx.parser.parse_model(path.read_text("utf-8")).SerializeToString()
        else:
            yield path.read_bytes()


def image_seeds() -> Iterator[bytes]:
    """A small file of every format and mode, and the files that once crashed this target."""
    yield from pictures()
    folder = SEEDS / "images"
    yield from (path.read_bytes() for path in sorted(folder.glob("*")))


TARGETS: Mapping[str, Target] = {
    "models": Target(run_model, model_seeds, partial(mutated, ModelProto)),
    "images": Target(run_image, image_seeds),
    "requests": Target(requests.run, requests.seeds, requests.changed),
}
