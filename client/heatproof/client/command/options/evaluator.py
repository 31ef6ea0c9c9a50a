"""By which model maps are judged."""

from dataclasses import dataclass
from typing import Annotated

import typer

from heatproof.client.clients.flows.evaluations import JudgeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatorOptions:
    """By which model maps are judged."""

    evaluator_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="The model that judges the maps where regions are hidden, such as one that was "
            "fine-tuned on images with hidden regions; by default each model judges its own.",
        ),
    ] = None

    def judged(self) -> JudgeOptions:
        """The same for the client."""
        if self.evaluator_model is None:
            return {}
        return {"evaluator_model": self.evaluator_model}
