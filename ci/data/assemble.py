"""From the tables of a period to its rows: the project's own code joins them, the event time cuts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ci.data import rows
from ci.errors import BadInput, StepError

if TYPE_CHECKING:
    from ci.data.periods import Period
    from ci.project import Project


def assembled(project: Project, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """
    Let the project's own code make final rows of the tables of one period.

    Raises:
        BadInput: it fails, or there is none and more than one table.
    """
    code = project.code("assemble")
    if code is None:
        if len(tables) > 1:
            raise BadInput(f"{project.name}: {len(tables)} tables, but source.py has no `assemble` to join them")
        return next(iter(tables.values()))
    file = project.code_file("assemble")
    try:
        made = code(tables)
    except KeyError as error:
        raise BadInput(f"{file}: assemble needs {error}, which the source does not have") from error
    except StepError:
        raise
    except Exception as error:
        raise BadInput(f"{file}: assemble failed ({type(error).__name__}: {error})", hint="-v shows where") from error
    if not isinstance(made, pd.DataFrame):
        raise BadInput(f"{file}: assemble returned {type(made).__name__}, not a DataFrame")
    return made


def cut(frame: pd.DataFrame, period: Period, time: str, *, whole: bool) -> pd.DataFrame:
    """
    Keep the rows whose event time lies in the period; `whole` says that nothing beyond it was asked for.

    Raises:
        BadInput: rows have no readable event time, or leave the period that alone was asked for.
    """
    if time not in frame:
        raise BadInput(f"event_time {time}: no such column in the rows",
                       hint=f"columns: {', '.join(map(str, frame.columns[:20]))}")  # fmt: skip
    if not len(frame):
        return frame
    if rows.type_of(frame[time]) != "datetime":
        raise BadInput(f"event_time {time}: not readable as dates, such as {frame[time].iloc[0]!r}",
                       hint="write them as ISO 8601, such as 2013-07-01 or 2013-07-01T05:15:00")  # fmt: skip
    missing = int(frame[time].isna().sum())
    if missing:
        raise BadInput(f"event_time {time}: missing in {missing:,} of {len(frame):,} rows read for {period.name}")
    inside = (frame[time] >= period.start) & (frame[time] < period.end)
    if whole and not inside.all():
        raise BadInput(f"event_time {time}: {int((~inside).sum()):,} rows move out of {period.name} once in UTC",
                       hint="set margin_days: 1 on the table")  # fmt: skip
    return frame[inside]
