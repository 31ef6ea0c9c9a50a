"""Models, images and specs, and stores that hold them."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnx.parser

from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.images.preprocessing import preset
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.removal import REMOVALS
from heatproof.server.api.codec.evaluations import serialized_environment, serialized_spec
from heatproof.server.datasets.dataset_store import NewDataset
from heatproof.server.datasets.image_records import record_of
from heatproof.server.evaluations.store.records import NewEvaluation
from heatproof.server.resource_names import DatasetName, ModelName
from heatproof.server.settings import Settings
from heatproof.server.storage.blobs import PartialBlob
from heatproof.server.stores import Stores, opened_stores
from heatproof.server.workers.inputs import Blob, EncodedSource, StoredImage

SIDE = 16
PREDICTIONS_PER_IMAGE = 10


def model_bytes(seed: int = 0) -> bytes:
    """A classifier [N, 3, 16, 16] -> [N, 5]; another seed gives other weights."""
    rng = np.random.default_rng(seed)
    kernel = ", ".join(f"{value:.6f}" for value in rng.normal(size=216))
    weights = ", ".join(f"{value:.6f}" for value in rng.normal(size=40))
    model = onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        tiny (float[N, 3, {SIDE}, {SIDE}] image) => (float[N, 5] scores)
        <float[8, 3, 3, 3] w = {{{kernel}}}, float[5, 8] v = {{{weights}}}>
        {{
            c = Conv <pads = [1, 1, 1, 1]> (image, w)
            r = Relu (c)
            p = GlobalAveragePool (r)
            f = Flatten (p)
            scores = Gemm <transB = 1> (f, v)
        }}
        """)
    return model.SerializeToString()


def png(seed: int) -> bytes:
    """A random picture, a little larger than the input."""
    pixels = np.random.default_rng(seed).integers(0, 255, (SIDE + 4, SIDE + 2, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def small_spec(model: str, dataset: str = "", *, grid: int = 4, steps: int = 4) -> EvaluationSpec:
    """Deletion of a saliency map, in pixel space and in the layers."""
    return EvaluationSpec(
        models=(model,),
        dataset=dataset,
        preprocessing=preset("unit"),
        metrics=(METRICS["deletion"](grid=grid, steps=steps),),
        explainers=(EXPLAINERS["saliency"](),),
        removals=(REMOVALS["black"](), REMOVALS["layer"]()),
    )


@dataclass(frozen=True)
class World:
    """What tests start from."""

    settings: Settings
    stores: Stores
    model: str

    def dataset(self, images: int, first: int = 0) -> str:
        """Stores a data set of that many images."""
        return store_dataset(self.stores, range(first, first + images))

    def new(self, images: int, *, request_id: str | None = None, seed: int = 0) -> NewEvaluation:
        """An evaluation of a data set of that many images, ready to be stored."""
        spec = replace(small_spec(self.model, self.dataset(images)), seed=seed)
        return NewEvaluation(
            spec=serialized_spec(spec),
            models=spec.models,
            dataset=spec.dataset,
            request_id=request_id,
            images=images,
            predictions=PREDICTIONS_PER_IMAGE * images,
            environment=serialized_environment({"heatproof": "test"}),
        )


@contextmanager
def opened_world(data_dir: Path, **changes: Any) -> Iterator[World]:
    """Opens a data directory and stores the model there."""
    settings = Settings(data_dir=data_dir, address="127.0.0.1:0", **changes)
    with opened_stores(settings) as stores:
        yield World(settings, stores, store_model(stores, model_bytes()))


def store_model(stores: Stores, data: bytes) -> str:
    """Stores a model and returns its name."""
    blob = _blob(stores, data)
    name = ModelName.of_files([("model.onnx", blob.sha256)])
    return stores.models.add(name, "tiny", [("model.onnx", blob)], b"").name


def store_dataset(stores: Stores, seeds: Sequence[int]) -> str:
    """Stores the pictures of these seeds and returns the name of the data set."""
    files = [png(seed) for seed in seeds]
    digests = [hashlib.sha256(data).hexdigest() for data in files]
    images = [
        StoredImage(digest, f"{seed}.png", EncodedSource(Blob(digest)), label=seed % 5)
        for seed, digest, data in zip(seeds, digests, files, strict=True)
    ]
    new = NewDataset(
        name=DatasetName.of_images(digests),
        display_name="pictures",
        size_bytes=sum(map(len, files)),
        records=[record_of(image) for image in images],
        parts=[(digest, _blob(stores, data)) for digest, data in zip(digests, files, strict=True)],
    )
    return stores.datasets.add(new).name


def _blob(stores: Stores, data: bytes) -> PartialBlob:
    partial = stores.ownership.folder.begin()
    partial.write(data)
    return partial.finish()
