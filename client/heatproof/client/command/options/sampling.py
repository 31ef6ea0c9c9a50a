"""How much of a data set is evaluated."""

import re
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from heatproof.client.clients.flows.evaluations import SampleOptions

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)([hms])")
_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}


def seconds_of(text: str) -> float:
    """Reads a length of time such as `10m`, `90s` or `1h30m`.

    Raises:
        typer.BadParameter: it is none.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is no length of time: give one such as 10m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingOptions:
    """How much of a data set is evaluated."""

    units: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Evaluate so many units of sampling (images, or their groups) at most, the first "
            "in an order that the seed decides; by default all.",
        ),
    ] = None
    budget: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=seconds_of,
            help="Evaluate as many units as fit into this time, such as 10m or 1h30m: by what the "
            "server knows of the cost, or by a few that are tried first. Excludes --units.",
        ),
    ] = None

    def sampled(self) -> SampleOptions:
        """The same for the client."""
        found: SampleOptions = {}
        if self.units is not None:
            found["units"] = self.units
        if self.budget is not None:
            found["budget"] = self.budget
        return found
