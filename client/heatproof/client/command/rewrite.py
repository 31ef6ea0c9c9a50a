"""`heatproof rewrite`: models with a mask or a gradient of their own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from heatproof.client.clients.flows.models import Rewrite
from heatproof.client.command.options import shared
from heatproof.client.command.options.files import require_writable
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import out
from heatproof.client.documents import messages
from heatproof.client.errors import UsageError
from heatproof.v1.model_service_pb2 import Gradient, LayerMasking

_OPTIONS: Final = {"global_pool": "global-pool", "threshold": "mask-threshold"}
"""Names of options that differ from the fields of the contract."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteOptions:
    """What is rewritten, and how."""

    model: shared.ModelArgument
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")]
    layer_masking: Annotated[
        bool,
        typer.Option(
            "--layer-masking",
            help="Add input mask (float32 [N, 1, H, W], 1 = visible) and output mask_coverage.",
        ),
    ] = False
    gradient: Annotated[
        bool,
        typer.Option("--gradient", help="Add input output_gradient and output input_gradient."),
    ] = False
    class_output: Annotated[
        str | None,
        typer.Option(
            "--class-output",
            metavar="NAME",
            help="Output whose logits --gradient differentiates; found in the graph by default.",
        ),
    ] = None
    platform: Annotated[
        str,
        typer.Option(help="Where it is to run: portable, cpu or cuda (ONNX Runtime on these)."),
    ] = "portable"
    mode: Annotated[str | None, typer.Option(help="reference (default) or strict.")] = None
    concat: Annotated[
        str | None, typer.Option(help="majority (default), union or intersection.")
    ] = None
    global_pool: Annotated[str | None, typer.Option(help="renormalised (default) or plain.")] = None
    fill: Annotated[
        str | None,
        typer.Option(
            help="What convolutions read in hidden cells: neighbour (default), none or partial."
        ),
    ] = None
    mask_threshold: Annotated[
        float | None,
        typer.Option(
            help="Show the cells whose mask is above this, in (0, 1). By default a mask that is "
            "not 0 or 1 everywhere gives NaN."
        ),
    ] = None

    def rewrite(self) -> Rewrite:
        """The rewrite that was asked for.

        Raises:
            UsageError: none, both, or options that do not belong to it.
        """
        if self.layer_masking == self.gradient:
            raise UsageError("say what to add: --layer-masking or --gradient")
        variants = {
            "mode": self.mode,
            "concat": self.concat,
            "global_pool": self.global_pool,
            "fill": self.fill,
            "threshold": self.mask_threshold,
        }
        given = {name: value for name, value in variants.items() if value is not None}
        if self.layer_masking:
            if self.class_output is not None:
                raise UsageError("class-output: this option belongs to --gradient")
            return messages.read(LayerMasking, given)
        if given:
            names = ", ".join(_OPTIONS.get(name, name) for name in given)
            raise UsageError(f"{names}: these options belong to --layer-masking")
        return Gradient(output=self.class_output or "")


@grouped
def rewrite(asked: RewriteOptions, server: shared.ServerOptions) -> None:
    """Write a model that hides parts of the image inside itself, or that computes gradients."""
    wanted = asked.rewrite()
    require_writable(asked.output)
    with server.connected() as client:
        client.rewrite(asked.model, asked.output, wanted, platform=asked.platform)
    out.print(str(asked.output), markup=False)
