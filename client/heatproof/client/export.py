"""From a torch module to an ONNX file that Heatproof takes; needs the extra `torch`."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heatproof.client.errors import UsageError
from heatproof.client.extras import required

if TYPE_CHECKING:
    import torch

OPSET: Final = 18
"""Version of the operators that is written."""


def export_classifier(
    module: "torch.nn.Module",
    path: str | os.PathLike[str],
    input_size: int | tuple[int, int],
    *,
    channels: int = 3,
    opset: int = OPSET,
    one_file: bool = False,
) -> Path:
    """Writes a classifier as ONNX: input `image` [N, channels, H, W], output `logits`, N free.

    The module is exported in evaluation mode and left in the mode it had. No preprocessing is
    added: say it to `evaluate` and `gate`. Large weights lie beside the file and belong to it.

    Args:
        module: takes a batch of images, gives a tensor [N, classes].
        path: file to write.
        input_size: height and width in pixels; one number for both.
        channels: channels of the input.
        opset: version of the operators.
        one_file: whether weights are in the file itself, which then has less than 2 GB.

    Raises:
        MissingExtraError: torch or onnxscript is not installed.
        UsageError: the module gives something else than a tensor [N, classes].
    """
    torch = required("torch", extra="torch")
    required("onnxscript", extra="torch")
    height, width = (input_size, input_size) if isinstance(input_size, int) else input_size
    # A batch of two: an exported size of one is read as a constant.
    example = torch.zeros(2, channels, height, width)
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            _require_logits(module(example))
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
    finally:
        module.train(was_training)
    return Path(path)


def exported(module: "torch.nn.Module", example: "torch.Tensor", *, opset: int = OPSET) -> bytes:
    """The ONNX file of a classifier, for `evaluate(exported(module, example), ...)`.

    As `export_classifier`, with everything in one file of less than 2 GB.

    Args:
        module: takes a batch of images, gives a tensor [N, classes].
        example: a tensor [N, channels, height, width], of which only the shape counts.
        opset: version of the operators.

    Raises:
        MissingExtraError: torch or onnxscript is not installed.
        UsageError: the example is no batch of images, or the module gives something else than a
            tensor [N, classes].
    """
    shape: tuple[int, ...] = tuple(getattr(example, "shape", ()))
    if len(shape) != 4:  # images, channels, height and width
        raise UsageError(
            f"an example is a batch of images [N, channels, height, width], not {list(shape)}"
        )
    _, channels, height, width = shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        size = (height, width)
        export_classifier(module, path, size, channels=channels, opset=opset, one_file=True)
        return path.read_bytes()


def _require_logits(output: object) -> None:
    shape = tuple(getattr(output, "shape", ()))
    if len(shape) != 2:  # images and classes
        raise UsageError(
            f"a classifier gives a tensor [N, classes], not {type(output).__name__} "
            f"{list(shape)}: wrap the module so that it returns its logits alone"
        )
