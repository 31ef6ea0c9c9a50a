"""`heatproof explain`: maps as files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import numpy as np
import typer

from heatproof.client.clients.flows.explanations import ExplainedImage
from heatproof.client.command.options import shared
from heatproof.client.command.options.computing import CachingOptions
from heatproof.client.command.options.groups import grouped
from heatproof.client.command.output.console import note, out
from heatproof.client.documents.reading.choices import choice
from heatproof.client.documents.statements import described
from heatproof.client.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedOptions(shared.QuestionOptions):
    """What is explained, and how."""

    explainer: Annotated[
        list[str], typer.Option(help="Explainer: name or name:key=value,...; may be repeated.")
    ]
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the maps; made if it is missing.")
    ]


@grouped
def explain(
    question: ExplainedOptions,
    stated: shared.StatedBesideOptions,
    known: shared.KnownOptions,
    caching: CachingOptions,
    server: shared.ServerOptions,
) -> None:
    """Compute attribution maps: an NPY file and a PNG overlay for each image and explainer."""
    asked = question.asked()
    with server.connected() as client:
        maps = client.explain(
            question.model,
            question.images,
            explainers=[choice(text) for text in question.explainer],
            overlay=True,
            **asked,
            **stated.statement(),
            **known.annotations(),
            **caching.cached(),
        )
    if maps:
        note(f"class output: {described(maps[0].class_output)}")
    for explained, name in zip(maps, file_names(maps), strict=True):
        _write(explained, question.output / name)


def file_names(maps: Sequence[ExplainedImage]) -> list[str]:
    """Names of files without suffix: image and explainer, numbered where they repeat."""
    seen: dict[str, int] = {}
    names = []
    for explained in maps:
        stem = PurePosixPath(explained.image).with_suffix("").as_posix().replace("/", "-")
        name = f"{stem}.{explained.explainer.WhichOneof('explainer')}"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return names


def _write(explained: ExplainedImage, stem: Path) -> None:
    if explained.values is None:
        note(f"{explained.image}: {explained.name} gives no map: {explained.undefined}")
        return
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        np.save(f"{stem}.npy", explained.values)
        Path(f"{stem}.png").write_bytes(explained.overlay_png)
    except OSError as error:
        raise UsageError(f"cannot write {stem}.npy: {error.strerror}") from error
    out.print(f"{stem}.npy", markup=False)
