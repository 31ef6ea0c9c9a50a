"""The ways in which torch writes a network as ONNX."""

import logging
import warnings
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

INPUT = "image"
OUTPUT = "logits"


class Exporter(StrEnum):
    """Which of torch's two exporters writes the file."""

    TORCHSCRIPT = "torchscript"
    DYNAMO = "dynamo"


OPSETS = {Exporter.TORCHSCRIPT: (11, 13, 17, 18, 20), Exporter.DYNAMO: (11, 13, 17, 18, 23)}
"""Oldest to newest; the last of each is the newest that the exporter writes."""


@dataclass(frozen=True, slots=True)
class Export:
    """One way to export a network.

    Attributes:
        exporter: which of torch's exporters.
        opset: version asked for; dynamo may write a newer one.
        static: whether the batch is fixed at one image rather than open.
        folded: whether BatchNorm is merged into convolutions and constants are folded.
        half: whether weights and activations are float16.
    """

    exporter: Exporter
    opset: int
    static: bool = False
    folded: bool = True
    half: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """Of the image, the weights and the logits."""
        return torch.float16 if self.half else torch.float32

    @property
    def batch(self) -> int:
        """Images in one run."""
        return 1 if self.static else 2

    def __str__(self) -> str:
        traits = ["static" if self.static else "dynamic", "folded" if self.folded else "unfolded"]
        return " ".join([self.exporter, str(self.opset), *traits, *(["fp16"] if self.half else [])])


def usual(turn: int) -> tuple[Export, ...]:
    """Two exports, one by each exporter; over the turns every trait meets every other."""
    return tuple(
        Export(
            exporter,
            OPSETS[exporter][(turn + shift) % 5],
            static=(turn + shift) % 2 == 1,
            folded=(turn // 2 + shift) % 2 == 0,
            half=(turn + 2 * shift) % 7 == 3,
        )
        for shift, exporter in enumerate(Exporter)
    )


def whole() -> tuple[Export, ...]:
    """Each exporter at each opset, with traits that alternate."""
    pairs = [(exporter, opset) for exporter in Exporter for opset in OPSETS[exporter]]
    return tuple(
        Export(exporter, opset, static=index % 2 == 1, folded=index % 3 != 1, half=index % 5 == 4)
        for index, (exporter, opset) in enumerate(pairs)
    )


QUICK = (Export(Exporter.TORCHSCRIPT, 17),)


def write(network: nn.Module, size: int, export: Export, path: Path) -> int:
    """Exports a network; input `image`, output `logits`. Returns the opset of the file."""
    image = torch.randn(export.batch, 3, size, size, dtype=export.dtype)
    options: dict[str, Any] = {"input_names": [INPUT], "output_names": [OUTPUT]}
    dynamo = export.exporter is Exporter.DYNAMO
    if dynamo:
        options |= {"optimize": export.folded, "external_data": False}
        if not export.static:
            options["dynamic_shapes"] = ({0: torch.export.Dim("n")},)
    else:
        preserve = torch.onnx.TrainingMode.PRESERVE
        options["do_constant_folding"] = export.folded
        options["training"] = torch.onnx.TrainingMode.EVAL if export.folded else preserve
        if not export.static:
            options["dynamic_axes"] = {INPUT: {0: "n"}, OUTPUT: {0: "n"}}
    logging.disable(logging.WARNING)  # exporters speak of their own deprecations
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, (image,), path, dynamo=dynamo, opset_version=export.opset, verbose=False,
            **options,
        )  # fmt: skip
    logging.disable(logging.NOTSET)
    opsets = onnx.load(path, load_external_data=False).opset_import
    return next(one.version for one in opsets if one.domain in {"", "ai.onnx"})
