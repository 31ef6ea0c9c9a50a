"""Who shows and keeps reports, as what is read sees them: it must not know those who read it."""

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PathText: TypeAlias = str | os.PathLike[str]


class Plots(Protocol):
    """Drawings of a report, each a figure of matplotlib; needs the extra `plot`."""

    def curves(self) -> "Figure":
        """The mean curves: a chart for each metric and removal operator, a line an explainer."""
        ...

    def maps(self, images: int = 4) -> "Figure":
        """The maps over the first images; an evaluation must have kept its overlays."""
        ...

    def scores(self) -> "Figure":
        """The scores with their intervals: a chart a metric, a row an explainer and operator."""
        ...

    def compare(self) -> "Figure":
        """The scores of all models side by side, with their intervals."""
        ...


class Presenter(Protocol):
    """Shows, writes and reads reports; `report` is a `Report` or a `GateReport`."""

    def html(self, report: object, class_names: Sequence[str]) -> str:
        """One HTML page."""
        ...

    def markdown(self, report: object, class_names: Sequence[str]) -> str:
        """Markdown, as for a pull request."""
        ...

    def junit(self, report: object, class_names: Sequence[str]) -> str:
        """JUnit XML; of a gate's report alone."""
        ...

    def summary(self, report: object) -> str:
        """A small table in HTML, for a notebook."""
        ...

    def save(self, report: object, path: Path) -> None:
        """Writes all of a report."""
        ...

    def load(self, path: Path) -> object:
        """Reads what `save` has written."""
        ...

    def plots(self, report: object) -> Plots:
        """Its drawings."""
        ...


def presenter() -> Presenter:
    """Who presents reports: found by its name, because it knows the reports that ask for it."""
    found: Presenter = import_module("heatproof.client.presentation.presenter").PRESENTER
    return found
