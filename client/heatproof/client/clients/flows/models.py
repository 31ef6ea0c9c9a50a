"""Models: uploaded only where the server lacks them, inspected, rewritten."""

import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final, TypeAlias, TypedDict

from heatproof.client.clients.effects import Flow, Rpc, Stream, Unary, Upload, limit, work
from heatproof.client.clients.flows.listing import every
from heatproof.client.clients.progress import OnProgress, Progress, Stage, ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.documents import messages
from heatproof.client.documents.model_files import (
    ModelFiles,
    ModelSource,
    ModelSources,
    names_in,
)
from heatproof.client.errors import HeatproofError, NotFoundError, UsageError
from heatproof.client.export import Shaped
from heatproof.v1.evaluation_pb2 import EvaluationSpec
from heatproof.v1.explanation_service_pb2 import ExplainRequest
from heatproof.v1.gate_pb2 import Policy
from heatproof.v1.model_pb2 import Model
from heatproof.v1.model_service_pb2 import (
    DeleteModelRequest,
    DownloadModelRequest,
    DownloadModelResponse,
    GetModelRequest,
    Gradient,
    LayerMasking,
    ListModelsRequest,
    UploadModelHeader,
    UploadModelRequest,
)
from heatproof.v1.model_service_pb2_grpc import ModelServiceStub

_UPLOAD: Final = Rpc(ModelServiceStub, "UploadModel")
_GET: Final = Rpc(ModelServiceStub, "GetModel")
_LIST: Final = Rpc(ModelServiceStub, "ListModels")
_DELETE: Final = Rpc(ModelServiceStub, "DeleteModel")
DOWNLOAD: Final = Rpc(ModelServiceStub, "DownloadModel")

Rewrite: TypeAlias = LayerMasking | Gradient
"""What a rewrite adds: masks, or the gradient of the logits by the image."""


class CallOptions(TypedDict, total=False):
    """Options of whatever reads a model.

    Attributes:
        example: a batch [N, channels, height, width] as a `torch.nn.Module` takes it; needed where
            a model is a module, and only its shape counts.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """

    example: Shaped | None
    timeout: float | None


def inspect(
    model: ModelSource,
    *,
    example: Shaped | None = None,
    on_progress: OnProgress = ignore,
    output: str = "",
    activation: str | None = None,
    timeout: float | None = None,
) -> Flow[Model]:
    """Says what a model holds and what can be done with it; uploads it if the server lacks it.

    Args:
        model: path of an .onnx file, whose external data lie beside it, its bytes, a name, or a
            `torch.nn.Module`.
        example: a batch [N, channels, height, width] as a module takes it; needed with a module,
            and only its shape counts.
        on_progress: is told of the upload.
        output: name of the output that holds the class scores; found in the graph by default.
        activation: what its values are, `softmax`, `sigmoid` or `logits`; likewise.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    sources = ModelSources((model,), example)
    yield from limit(timeout)
    stated = {"activation": activation} if activation else {}
    request = messages.read(GetModelRequest, {"output": output, **stated})
    (found,) = yield from stored_models(sources, on_progress)
    if output or activation:
        request.name, shown = found.name, found.display_name
        found = yield from patiently(Unary(_GET, request))
        found.display_name = shown
    return found


def name_classes(asked: EvaluationSpec | ExplainRequest | Policy, models: Iterable[Model]) -> None:
    """Lets a target name classes as the models' files do, unless the caller has named them."""
    named = asked.model if isinstance(asked, Policy) else asked
    if asked.HasField("target") and not named.class_names:
        named.class_names.extend(names_in(models))


def stored_models(sources: ModelSources, on_progress: OnProgress) -> Flow[tuple[Model, ...]]:
    """Finds models by their names or files, and uploads the files that the server lacks."""
    found: list[Model] = []
    reading = sources.read()
    for _ in sources.every:  # one after the other, so that one export is held at a time
        source = yield from work(partial(next, reading))
        found.append((yield from _stored(source, on_progress)))
    return tuple(found)


def get_model(name: str) -> Flow[Model]:
    """The model of a name, `models/sha256-...`."""
    found: Model = yield from patiently(Unary(_GET, GetModelRequest(name=name)))
    return found


def _stored(model: ModelFiles | str, on_progress: OnProgress) -> Flow[Model]:
    """Finds a model by its name or files, and uploads the files that the server lacks.

    Files go by the caller's name for them, whatever their first uploader called them.
    """
    if isinstance(model, str):
        return (yield from get_model(model))
    try:
        found = yield from get_model(model.name)
    except NotFoundError:
        found = yield from patiently(Upload(_UPLOAD, partial(_requests, model, on_progress)))
    found.display_name = model.display_name
    return found


def _requests(files: ModelFiles, on_progress: OnProgress) -> Iterator[UploadModelRequest]:
    infos = [file.info for file in files.files]
    header = UploadModelHeader(display_name=files.display_name, files=infos)
    total = sum(info.size_bytes for info in infos)
    yield UploadModelRequest(header=header)
    sent = 0
    for index, file in enumerate(files.files):
        for chunk in file.chunks(index):
            yield UploadModelRequest(chunk=chunk)
            sent += len(chunk.data)
            on_progress(Progress(Stage.UPLOAD_MODEL, sent, total))


def models(*, timeout: float | None = None) -> Flow[tuple[Model, ...]]:
    """Lists the models that the server stores, newest first.

    Args:
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    found = yield from every(_LIST, lambda token: ListModelsRequest(page_token=token), "models")
    return tuple(found)


def delete_model(name: str, *, timeout: float | None = None) -> Flow[None]:
    """Deletes a model.

    Args:
        name: `models/sha256-...`.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    yield from patiently(Unary(_DELETE, DeleteModelRequest(name=name)))


def rewrite(
    model: ModelSource,
    output: str | Path,
    rewrite: Rewrite,
    *,
    platform: str = "portable",
    example: Shaped | None = None,
    timeout: float | None = None,
) -> Flow[Path]:
    """Rewrites a model and writes it to a file, with external data beside it if it has any.

    Args:
        model: path of an .onnx file, its bytes, a name, or a `torch.nn.Module`.
        output: path of the file to write.
        rewrite: `LayerMasking(...)` adds input `mask` (float32 [N, 1, H, W], 1 = visible) and
            output `mask_coverage` (float32 [N]); `Gradient()` adds input `output_gradient` and
            output `input_gradient`.
        platform: where the file is to run: `portable` (any runtime), `cpu` or `cuda` (ONNX
            Runtime on that). The answers are the same but for the order of sums.
        example: as of `inspect`.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.

    Raises:
        FailedPreconditionError: the model holds an operator that the rewrite does not cover; the
            message names it.
        UsageError: the output would replace a file of the model, or cannot be written.
    """
    sources = ModelSources((model,), example)
    yield from limit(timeout)
    target, (source,) = Path(output), (yield from work(lambda: tuple(sources.read())))
    if target.is_dir():
        raise UsageError(f"cannot write {target}: it is a folder; name the file to write")
    kept = source.paths if isinstance(source, ModelFiles) else frozenset()
    require_apart([target], kept)
    stored = yield from _stored(source, ignore)
    request = messages.read(DownloadModelRequest, {"platform": platform})
    request.name, request.file_name = stored.name, target.name
    if isinstance(rewrite, LayerMasking):
        request.layer_masking.CopyFrom(rewrite)
    else:
        request.gradient.CopyFrom(rewrite)
    # Beside the target, so that large files need no second copy to get to their places.
    with _folder_beside(target) as folder:
        download = Download(Path(folder), kept)
        yield from patiently(Stream(DOWNLOAD, request, lambda: download.take))
        yield from work(partial(download.move, target))
    return target


@contextmanager
def _folder_beside(target: Path) -> Iterator[str]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".heatproof-", dir=target.parent)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from error
    with folder as name:
        yield name


class Download:
    """Files on their way in; nothing appears at the target before all of them are complete."""

    def __init__(self, folder: Path, kept: frozenset[Path]) -> None:
        self._folder = folder
        self._kept = kept
        self._locations: list[str] = []
        self._sizes: list[int] = []

    def take(self, reply: DownloadModelResponse) -> None:
        """Takes the header, which starts afresh, or a chunk.

        Raises:
            HeatproofError: the server sent a location that leaves the folder.
            UsageError: there is no room for the files.
        """
        try:
            self._take(reply)
        except OSError as error:
            raise UsageError(f"cannot write to {self._folder.parent}: {error.strerror}") from error

    def _take(self, reply: DownloadModelResponse) -> None:
        if reply.WhichOneof("payload") == "header":
            self._locations = [_plain(info.location) for info in reply.header.files]
            self._sizes = [info.size_bytes for info in reply.header.files]
            for index in range(len(self._locations)):
                self._part(index, "wb").close()
            return
        with self._part(reply.chunk.file, "r+b") as file:
            file.seek(reply.chunk.offset)
            file.write(reply.chunk.data)

    def move(self, target: Path) -> None:
        """Moves the files to their places: the first is the model, the others lie beside it.

        Raises:
            HeatproofError: a file is incomplete.
            UsageError: the target cannot be written, or is one of the files to keep.
        """
        sizes = [self._path(index).stat().st_size for index in range(len(self._sizes))]
        if not sizes or sizes != self._sizes:
            raise HeatproofError("the download ended early: try again")
        places = [target, *(target.parent / location for location in self._locations[1:])]
        require_apart(places, self._kept)
        try:
            for index, place in reversed(list(enumerate(places))):
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(self._path(index), place)
        except OSError as error:
            raise UsageError(f"cannot write {target}: {error.strerror}") from error

    def _path(self, index: int) -> Path:
        return self._folder / str(index)

    def _part(self, index: int, mode: str) -> IO[bytes]:
        if not 0 <= index < len(self._locations):
            raise HeatproofError(f"the server sent a chunk of file {index}, which it did not list")
        return self._path(index).open(mode)


def require_apart(places: Iterable[Path], kept: Collection[Path]) -> None:
    """Makes sure that no output replaces a file that is read.

    Raises:
        UsageError: one does.
    """
    for place in places:
        if place.resolve() in kept:
            raise UsageError(f"{place} is a file of the model itself; choose another output")


def _plain(location: str) -> str:
    path = PurePosixPath(location)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise HeatproofError(f"the server sent a file at {location!r}, outside the target's folder")
    return location
