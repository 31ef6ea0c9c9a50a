"""How answers come about that scores and maps are made of."""

from dataclasses import dataclass
from typing import Annotated

import typer

from heatproof.client.clients.flows.evaluations import CacheOptions, ComputedOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class CachingOptions:
    """Whether answers may be known."""

    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache",
            help="Make every prediction anew, and keep none for later; scores and maps are the "
            "same.",
        ),
    ] = False

    def cached(self) -> CacheOptions:
        """The same for the client."""
        return CacheOptions(no_cache=True) if self.no_cache else CacheOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputingOptions(CachingOptions):
    """By which model maps are judged, and whether answers may be known."""

    evaluator_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model that judges the maps where regions are hidden, such as one that was "
            "fine-tuned on images with hidden regions; by default each model judges its own.",
        ),
    ] = None

    def computed(self) -> ComputedOptions:
        """The same for the client."""
        options = ComputedOptions()
        if self.evaluator_model is not None:
            options["evaluator_model"] = self.evaluator_model
        if self.no_cache:
            options["no_cache"] = True
        return options
