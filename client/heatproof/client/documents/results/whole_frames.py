"""Data frames whose text has every column; needs the extra `report`."""

import pandas as pd


class WholeFrame(pd.DataFrame):
    """A data frame that is printed with all its columns side by side, however narrow the output.

    pandas folds or leaves out what exceeds 80 letters where it does not print to a terminal, as in
    the log of a job. What is made of this frame is a plain one.
    """

    def __repr__(self) -> str:
        unfolded = ("display.expand_frame_repr", False, "display.max_columns", None)
        with pd.option_context(*unfolded, "display.max_colwidth", None):
            return super().__repr__()
