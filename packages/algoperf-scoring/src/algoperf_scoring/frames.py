"""Data frames for those who have pandas, which nothing here needs."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from algoperf_scoring.errors import AlgoperfError

if TYPE_CHECKING:
    import pandas as pd


def data_frame(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> "pd.DataFrame":
    """Returns a data frame of rows.

    Raises:
      AlgoperfError: If pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise AlgoperfError("data frames need pandas; run: pip install pandas.") from error
    return pd.DataFrame([tuple(row) for row in rows], columns=list(columns))


def labelled_frame(
    values: Iterable[Sequence[Any]], index: Sequence[str], columns: Sequence[str], *, name: str
) -> "pd.DataFrame":
    """Returns a data frame with a labelled row for each of ``index``; ``name`` heads the labels."""
    frame = data_frame(columns, values)
    frame.index = list(index)
    return frame.rename_axis(index=name)
