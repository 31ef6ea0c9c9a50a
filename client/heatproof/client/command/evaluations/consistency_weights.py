"""`heatproof consistency-weights`: how much each image should count in training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from heatproof.client.command.options import shared
from heatproof.client.command.options.files import require_writable, written
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import note, progress_shown
from heatproof.client.documents.reading.choices import choice


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightOptions(shared.QuestionOptions):
    """What is weighed, and how."""

    output: Annotated[
        Path, typer.Option("--output", "-o", help="CSV file to write: one row an image.")
    ]
    explainer: Annotated[str, typer.Option(help="Explainer: name or name:key=value,...")] = (
        "grad_cam"
    )
    attack: Annotated[
        str,
        typer.Option(
            metavar="KEY=VALUE,...",
            help="Parameters of explanation_consistency, such as epsilon=0.02,steps=4.",
        ),
    ] = ""


@grouped
def consistency_weights(
    question: WeightOptions,
    stated: shared.StatedBesideOptions,
    known: shared.KnownOptions,
    server: shared.ServerOptions,
) -> None:
    """Weigh training images by how little their explanations hold under a background attack."""
    asked = question.asked()
    require_writable(question.output)
    metric = choice(f"explanation_consistency:{question.attack}")
    with server.connected() as client, progress_shown() as on_progress:
        found = client.consistency_weights(
            question.model,
            question.images,
            explainer=choice(question.explainer),
            parameters=metric["explanation_consistency"],
            on_progress=on_progress,
            **asked,
            **stated.statement(),
            **known.annotations(),
        )
    written(question.output, found.write_csv)
    weighed = sum(one.HasField("weight") for one in found.weights)
    note(f"{question.output}: {weighed} of {len(found.weights)} images have a weight")
