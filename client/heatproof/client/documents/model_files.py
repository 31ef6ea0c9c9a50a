"""The files of a model: what is uploaded, and the name that their bytes have."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from heatproof.client.documents.reading.external_data import external_locations
from heatproof.client.errors import UsageError
from heatproof.client.export import Shaped, TorchModule, exported, image_shape
from heatproof.v1.model_pb2 import Model
from heatproof.v1.transfer_pb2 import Chunk, FileInfo

ModelSource: TypeAlias = str | os.PathLike[str] | bytes | TorchModule
"""A model: the path of an .onnx file, its bytes, the name `models/...` of an uploaded one, or a
`torch.nn.Module`, which is exported for a batch like `example`."""

CHUNK_BYTES: Final = 1024 * 1024
"""Bytes of a chunk: the most that the contract allows."""

MODEL_LOCATION: Final = "model.onnx"
"""Location of the model file itself."""

PREFIX: Final = "models/sha256-"
"""What names of uploaded models begin with; `models/x.onnx` is the path of a file."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file to upload.

    Attributes:
        info: what the upload announces.
        content: the bytes, or the path that holds them.
    """

    info: FileInfo
    content: bytes | Path

    def chunks(self, index: int) -> Iterator[Chunk]:
        """Cuts the file, which is number `index` of its upload."""
        offset = 0
        for data in _pieces(self.content):
            yield Chunk(file=index, offset=offset, data=data)
            offset += len(data)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model, the model file first.

    Attributes:
        display_name: name to show.
        files: the model file, then its external data by location.
    """

    display_name: str
    files: tuple[ModelFile, ...]

    @classmethod
    def read(cls, source: ModelSource, example: Shaped | None = None) -> "ModelFiles":
        """Finds the files of a model and hashes them; a module is exported and goes by its class.

        Args:
            source: the model.
            example: a batch [N, channels, height, width] as a module takes it; only its shape
                counts.

        Raises:
            UsageError: a file is missing, the model refers to files outside its folder, or a module
                has no example or cannot be exported.
        """
        if isinstance(source, TorchModule):
            if example is None:
                raise _without_example(source)
            content = exported(source, example)
            return cls(type(source).__name__, (_file(MODEL_LOCATION, content),))
        if isinstance(source, bytes):
            return cls("model.onnx", (_file(MODEL_LOCATION, source),))
        if not isinstance(source, str | os.PathLike):
            raise UsageError(
                "a model is an .onnx file, its bytes or a torch.nn.Module, and no "
                f"{type(source).__name__}"
            )
        path = Path(source)
        try:
            model = path.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read model {path}: {error.strerror}") from error
        external = (
            _file(location, _beside(path, location)) for location in external_locations(model)
        )
        # The path and not the bytes: they are not held while they are sent.
        return cls(path.name, (_file(MODEL_LOCATION, path), *external))

    @property
    def paths(self) -> frozenset[Path]:
        """Where the files lie, links resolved; none for a model that is given as bytes."""
        contents = (file.content for file in self.files)
        return frozenset(path.resolve() for path in contents if isinstance(path, Path))

    @property
    def name(self) -> str:
        """Resource name: `models/sha256-` and the digest of the bytes."""
        infos = sorted((file.info.location, file.info.sha256) for file in self.files)
        if len(infos) == 1:
            return f"{PREFIX}{infos[0][1]}"
        lines = "".join(f"{location} {sha256}\n" for location, sha256 in infos)
        return f"{PREFIX}{hashlib.sha256(lines.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class ModelSources:
    """Models, and what those among them take that are modules.

    Attributes:
        models: the models.
        example: a batch [N, channels, height, width] as modules take it; only its shape counts.
        judge: the model that judges the maps of the others; None if there is none.

    Raises:
        UsageError: the example is missing, no batch of images, or given where there is no module.
    """

    models: tuple[ModelSource, ...]
    example: Shaped | None = None
    judge: ModelSource | None = None

    def __post_init__(self) -> None:
        module = next((one for one in self.every if isinstance(one, TorchModule)), None)
        if self.example is None:
            if module is not None:
                raise _without_example(module)
        elif module is None:
            raise UsageError("example is for a torch.nn.Module: a file says itself what it takes")
        else:
            image_shape(self.example)

    @property
    def every(self) -> tuple[ModelSource, ...]:
        """The models, and the judge last."""
        return self.models if self.judge is None else (*self.models, self.judge)

    def read(self) -> Iterator["ModelFiles | str"]:
        """The files of each of all models, or its name if that is what was given.

        Raises:
            UsageError: as `ModelFiles.read`.
        """
        for model in self.every:
            is_name = isinstance(model, str) and model.startswith(PREFIX)
            yield str(model) if is_name else ModelFiles.read(model, self.example)


def _without_example(module: TorchModule) -> UsageError:
    return UsageError(
        f"{type(module).__name__} is a torch.nn.Module: give a batch as it takes them too, such as "
        "example=torch.zeros(1, 3, 224, 224), of which only the shape counts"
    )


def _beside(model: Path, location: str) -> Path:
    """The file of external data; never one outside the model's folder, whatever the model says."""
    folder = model.parent.resolve()
    plain = PurePosixPath(location)
    path = (folder / plain).resolve()
    if not location or plain.is_absolute() or ".." in plain.parts or folder not in path.parents:
        raise UsageError(
            f"model {model} refers to external data {location!r}, which lies outside its folder; "
            "save the model together with its data in one folder"
        )
    if not path.is_file():
        raise UsageError(
            f"model {model} keeps weights in {location!r}, but {path} does not exist; put the file "
            "beside the model"
        )
    return path


def _file(location: str, content: bytes | Path) -> ModelFile:
    digest, size = hashlib.sha256(), 0
    for piece in _pieces(content):
        digest.update(piece)
        size += len(piece)
    info = FileInfo(location=location, size_bytes=size, sha256=digest.hexdigest())
    return ModelFile(info, content)


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        for offset in range(0, len(content), CHUNK_BYTES):
            yield content[offset : offset + CHUNK_BYTES]
        return
    with content.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            yield data


def names_in(models: Iterable[Model]) -> tuple[str, ...]:
    """The names of the classes that the files of all models have; () unless they are the same."""
    names = {tuple(model.facts.class_names) for model in models}
    return names.pop() if len(names) == 1 else ()
