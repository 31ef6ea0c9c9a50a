"""From a torch module to an ONNX file that Heatproof takes; needs the extra `torch`."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from heatproof.client.errors import UsageError
from heatproof.client.extras import required

if TYPE_CHECKING:
    import torch

OPSET: Final = 18
"""Version of the operators that is written."""


@runtime_checkable
class TorchModule(Protocol):
    """A `torch.nn.Module`, told by its methods: the client needs torch for a module alone."""

    training: bool

    def modules(self) -> Iterator[Any]:
        """The module and all modules inside it."""
        ...

    def parameters(self) -> Iterator[Any]:
        """Its weights."""
        ...

    def train(self, mode: bool = True) -> Any:  # noqa: ANN401, FBT001, FBT002  # torch's signature
        """Sets the mode of all."""
        ...


class Shaped(Protocol):
    """A tensor or an array of which only the shape counts."""

    @property
    def shape(self) -> Sequence[int]:
        """Lengths of its axes."""
        ...


def export_classifier(
    module: TorchModule,
    path: str | os.PathLike[str],
    input_size: int | tuple[int, int],
    *,
    channels: int = 3,
    opset: int = OPSET,
    one_file: bool = False,
) -> Path:
    """Writes a classifier as ONNX: input `image` [N, channels, H, W], output `logits`, N free.

    The module is exported in evaluation mode, and it and all modules inside it are left in the
    mode they had. No preprocessing is added: say it to `evaluate` and `gate`. Large weights lie
    beside the file and belong to it.

    Args:
        module: a `torch.nn.Module` that takes a batch of images and gives a tensor [N, classes].
        path: file to write.
        input_size: height and width in pixels; one number for both.
        channels: channels of the input.
        opset: version of the operators.
        one_file: whether weights are in the file itself, which then has less than 2 GB.

    Raises:
        MissingExtraError: torch or onnxscript is not installed.
        UsageError: the module does not take such a batch, gives something else than a tensor
            [N, classes], or torch cannot export it.
    """
    torch = required("torch", extra="torch")
    required("onnxscript", extra="torch")
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    # A batch of two: an exported size of one is read as a constant.
    example = _zeros_as(module, (2, channels, height, width))
    with evaluating(module):
        _require_logits(_answer(module, example))
        try:
            torch.onnx.export(
                module,
                (example,),
                str(path),
                input_names=["image"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("N")},),
                opset_version=opset,
                dynamo=True,
                external_data=not one_file,
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            raise UsageError(
                f"torch cannot export {type(module).__name__}: {_reason(error)}; write the file "
                "yourself, as with torch.onnx.export(..., dynamo=False), and give its path"
            ) from error
    return Path(path)


def exported(module: TorchModule, example: Shaped, *, opset: int = OPSET) -> bytes:
    """The ONNX file of a classifier, as `evaluate(module, ..., example=example)` uploads it.

    As `export_classifier`, with everything in one file of less than 2 GB.

    Args:
        module: a `torch.nn.Module` that takes a batch of images and gives a tensor [N, classes].
        example: a tensor [N, channels, height, width], of which only the shape counts.
        opset: version of the operators.

    Raises:
        MissingExtraError: torch or onnxscript is not installed.
        UsageError: the example is no batch of images, or as `export_classifier`.
    """
    channels, height, width = image_shape(example)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        size = (height, width)
        export_classifier(module, path, size, channels=channels, opset=opset, one_file=True)
        return path.read_bytes()


def image_shape(example: Shaped) -> tuple[int, int, int]:
    """Channels, height and width of the images of a batch.

    Raises:
        UsageError: it is no batch of images.
    """
    shape: tuple[int, ...] = tuple(getattr(example, "shape", ()))
    if len(shape) != 4:  # images, channels, height and width
        raise UsageError(
            f"an example is a batch of images [N, channels, height, width], not {list(shape)}"
        )
    _, channels, height, width = shape
    return channels, height, width


@contextmanager
def evaluating(module: TorchModule) -> Iterator[None]:
    """Puts a module in evaluation mode, and each module inside it back into its own afterwards."""
    modes = [(inner, inner.training) for inner in module.modules()]
    module.train(mode=False)
    try:
        yield
    finally:
        for inner, mode in modes:
            inner.training = mode


def _zeros_as(module: TorchModule, shape: tuple[int, ...]) -> "torch.Tensor":
    """A batch of zeros where the weights of a module are, and of their type."""
    library = required("torch", extra="torch")
    weights = (one for one in module.parameters() if one.is_floating_point())
    like = next(weights, library.zeros(()))
    zeros: torch.Tensor = library.zeros(shape, dtype=like.dtype, device=like.device)
    return zeros


def _answer(module: Any, example: "torch.Tensor") -> object:  # noqa: ANN401  # any callable
    torch = required("torch", extra="torch")
    try:
        with torch.no_grad():
            return module(example)
    except (RuntimeError, ValueError, TypeError) as error:
        raise UsageError(
            f"{type(module).__name__} does not take a batch {list(example.shape)}: "
            f"{_reason(error)}; give an example of the shape that it takes"
        ) from error


def _reason(error: BaseException) -> str:
    """The first line of what an error says; its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _require_logits(output: object) -> None:
    shape = tuple(getattr(output, "shape", ()))
    if len(shape) != 2:  # images and classes
        raise UsageError(
            f"a classifier gives a tensor [N, classes], not {type(output).__name__} "
            f"{list(shape)}: wrap the module so that it returns its logits alone"
        )
