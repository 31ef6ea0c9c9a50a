"""Rows of results as data frames."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from heatproof.client.extras import required

if TYPE_CHECKING:
    import pandas as pd


def frame_of(rows: Iterable[object], columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """A data frame of rows that prints all its columns.

    Args:
        rows: values by column, or in the order of the columns.
        columns: which columns, in their order; those of the rows by default.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    required("pandas", extra="report")
    frames = required("heatproof.client.documents.results.whole_frames", extra="report")
    names = None if columns is None else list(columns)
    frame: pd.DataFrame = frames.WholeFrame(list(rows), columns=names)
    return frame
