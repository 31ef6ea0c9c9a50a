"""Networks with random weights that keep signals alive from the image to the logits."""

from typing import Any

import timm
import torch
import torchvision
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from tests.graphs.zoo.families import Model

CLASSES = 10
TORCHVISION = "tv:"

_BATCH = 6
_SMALL = 1e-2  # gains and layer scales start at most here, and their branches would be silent
_VARIATION = 1e-2


class DeadNetworkError(Exception):
    """A network answers (nearly) the same to different images, and would hide any fault."""


def built(model: Model) -> nn.Module:
    """The network in evaluation mode; equal models give equal weights.

    Raises:
        DeadNetworkError: its answers do not depend on the image.
    """
    torch.manual_seed(0)
    network = created(model.name)
    with torch.no_grad():
        for module in network.modules():
            _wake(module)
        if not _batch_norms(network):
            _amplify(network)
        _calibrate(network, model.size)
        network.eval()
        logits = network(torch.randn(_BATCH, 3, model.size, model.size))
    variation = (logits.std(0).mean() / logits.abs().mean()).item()
    if not variation > _VARIATION:
        raise DeadNetworkError(f"logits vary by {variation:.1e} of their size between images")
    return network


def created(name: str) -> nn.Module:
    """The network as its library initialises it."""
    network: nn.Module
    if not name.startswith(TORCHVISION):
        network = timm.create_model(name, pretrained=False, num_classes=CLASSES)
        return network
    name = name.removeprefix(TORCHVISION)
    options: dict[str, Any] = {"weights": None, "num_classes": CLASSES}
    if name in {"googlenet", "inception_v3"}:
        options |= {"aux_logits": name == "inception_v3", "init_weights": True}
    network = torchvision.models.get_model(name, **options)
    return network


def _wake(module: nn.Module) -> None:
    """Draws what libraries start at a constant: affine maps, gains, layer scales, biases."""
    for name, parameter in module.named_parameters(recurse=False):
        lowest, highest = parameter.min().item(), parameter.max().item()
        if "bias" in name:
            nn.init.uniform_(parameter, -0.2, 0.2)
        elif lowest == highest == 1:
            nn.init.uniform_(parameter, 0.7, 1.3)
        elif lowest == highest and abs(lowest) <= _SMALL:
            nn.init.uniform_(parameter, 0.4, 0.8)


def _amplify(network: nn.Module) -> None:
    """Draws weights that keep the size of activations, where no BatchNorm restores it."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def _calibrate(network: nn.Module, size: int) -> None:
    """Gives each BatchNorm the statistics of the activations that reach it."""
    layers = _batch_norms(network)
    if not layers:
        return
    for layer in layers:
        layer.momentum = 1  # those of the only batch
        layer.train()
    network(torch.randn(_BATCH, 3, size, size))


def _batch_norms(network: nn.Module) -> list[BatchNorm]:
    return [module for module in network.modules() if isinstance(module, BatchNorm)]
