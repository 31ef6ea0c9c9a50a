"""What each model's maps are worth to each model, as a matrix."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heatproof.client.documents.captions import Captions
from heatproof.client.report.numbers import Estimate
from heatproof.v1.results_pb2 import MetricResult, Summary

GAIN: Final = "gain"
"""The parts of a metric over several models that its matrix holds: `gain[j,k]`."""

EXPLANATION: Final = (
    "Row: the model that judges. Column: whose map ranks the cells that it loses. "
    "0: as random orders; 1: as the judge's own oracle."
)

_PART: Final = re.compile(r"gain\[(\d+),(\w+)\]")


@dataclass(frozen=True, slots=True)
class Cell:
    """What the map of a column is worth to the model of a row.

    Attributes:
        estimate: the gain.
        share: the gain within [0, 1], for a shade; 0 without one.
        own: whether the map is the judge's own.
    """

    estimate: Estimate
    share: float
    own: bool


@dataclass(frozen=True, slots=True)
class Matrix:
    """Gains of one explainer and removal operator.

    Attributes:
        title: metric, explainer and removal operator.
        columns: whose maps: the models, then control maps.
        rows: the models that judge, each with its cells.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def matrix(title: str, result: MetricResult, captions: Captions) -> Matrix | None:
    """The gains of a result; None if it has none.

    Args:
        title: what the result is of.
        result: of several models.
        captions: names of models.
    """
    gains = _gains(result.parts)
    if not gains:
        return None
    models = [captions.model(name) for name in result.models]
    maps = [*map(str, range(len(models))), *sorted({k for _, k in gains if not k.isdigit()})]
    return Matrix(
        title,
        tuple(f"map of {models[int(k)]}" if k.isdigit() else f"{k} map" for k in maps),
        tuple(
            (model, tuple(_cell(gains.get((j, k), Summary()), own=k == str(j)) for k in maps))
            for j, model in enumerate(models)
        ),
    )


def _gains(parts: Mapping[str, Summary]) -> dict[tuple[int, str], Summary]:
    found = ((_PART.fullmatch(name), held) for name, held in parts.items())
    return {(int(match[1]), match[2]): held for match, held in found if match}


def _cell(held: Summary, *, own: bool) -> Cell:
    return Cell(Estimate.of(held), min(1.0, max(0.0, held.value)), own)
