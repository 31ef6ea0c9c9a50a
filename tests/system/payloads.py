"""What clients send: models, images and the messages that carry them."""

import hashlib
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnx.parser
from PIL import Image as PillowImage

from heatproof.v1 import (
    dataset_service_pb2,
    image_pb2,
    model_service_pb2,
    tensor_pb2,
    transfer_pb2,
)

MIB = 1 << 20


def tiny_model(seed: int = 0) -> onnx.ModelProto:
    """A classifier [N, 3, 8, 8] -> [N, 5]; another seed gives other weights."""
    rng = np.random.default_rng(seed)
    kernel = ", ".join(f"{value:.6f}" for value in rng.normal(size=108))
    weights = ", ".join(f"{value:.6f}" for value in rng.normal(size=20))
    return onnx.parser.parse_model(f"""
        <ir_version: 10, opset_import: ["" : 18]>
        tiny (float[N, 3, 8, 8] image) => (float[N, 5] scores)
        <float[4, 3, 3, 3] w = {{{kernel}}}, float[5, 4] v = {{{weights}}}>
        {{
            c = Conv <pads = [1, 1, 1, 1]> (image, w)
            r = Relu (c)
            p = GlobalAveragePool (r)
            f = Flatten (p)
            scores = Gemm <transB = 1> (f, v)
        }}
        """)


def model_bytes(seed: int = 0) -> bytes:
    return tiny_model(seed).SerializeToString()


def with_external_data(location: str, seed: int = 0) -> tuple[bytes, bytes]:
    """The model with its first weights in a file of this location, and that file's bytes."""
    model = tiny_model(seed)
    weights = model.graph.initializer[0]
    data = onnx.numpy_helper.to_array(weights).tobytes()
    for name in ("float_data", "raw_data"):
        weights.ClearField(name)
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return model.SerializeToString(), data


def file_info(data: bytes, location: str = "model.onnx", **changes: Any) -> transfer_pb2.FileInfo:
    facts = {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return transfer_pb2.FileInfo(**{"location": location, **facts, **changes})


def header(*files: transfer_pb2.FileInfo, name: str = "") -> model_service_pb2.UploadModelRequest:
    return model_service_pb2.UploadModelRequest(header={"display_name": name, "files": files})


def chunk(data: bytes, offset: int = 0, file: int = 0) -> model_service_pb2.UploadModelRequest:
    piece = transfer_pb2.Chunk(file=file, offset=offset, data=data)
    return model_service_pb2.UploadModelRequest(chunk=piece)


def chunks(data: bytes, file: int = 0, size: int = MIB) -> list[Any]:
    return [chunk(data[at : at + size], at, file) for at in range(0, len(data), size)]


def upload(data: bytes, external: dict[str, bytes] | None = None, name: str = "") -> list[Any]:
    """The messages that upload a model and its external files."""
    contents = {"model.onnx": data, **(external or {})}
    infos = [file_info(content, location) for location, content in contents.items()]
    numbered = enumerate(contents.values())
    return [header(*infos, name=name), *(c for i, data in numbered for c in chunks(data, i))]


def png(height: int = 8, width: int = 8, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def tensor(values: Any, dtype: str = "float32") -> tensor_pb2.Tensor:
    array = np.asarray(values, dtype)
    kinds = {"uint8": tensor_pb2.DATA_TYPE_UINT8, "float32": tensor_pb2.DATA_TYPE_FLOAT32}
    return tensor_pb2.Tensor(data_type=kinds[dtype], shape=array.shape, data=array.tobytes())


def dataset(*images: image_pb2.Image, name: str = "") -> Iterable[Any]:
    """The messages that upload a data set."""
    yield dataset_service_pb2.UploadDatasetRequest(header={"display_name": name})
    for image in images:
        yield dataset_service_pb2.UploadDatasetRequest(image=image)
