"""Rows as the contract wants them: types, hashes of rows, the class of a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ci.contract import Task, Type

if TYPE_CHECKING:
    from pathlib import Path

    from ci.contract import Column, Contract

Array = np.ndarray[Any, np.dtype[Any]]


def conformed(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """
    Cast each declared column to its declared type where that loses nothing; leave it as it is where not.

    What could not be cast is for `check_data` to reject, with samples, not for a reader to guess at. Undeclared
    columns follow in the order in which they came.
    """
    declared = {name: cast(frame[name], column) for name, column in contract.columns.items() if name in frame}
    others = {name: frame[name] for name in frame.columns if name not in declared}
    return pd.DataFrame({**declared, **others}, index=frame.index)


def type_of(series: pd.Series[Any]) -> str:
    """Name the type of a column in the words of the contract."""
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return Type.BOOLEAN
    if pd.api.types.is_integer_dtype(dtype):
        return Type.INTEGER
    if pd.api.types.is_numeric_dtype(dtype):
        return Type.NUMBER
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return Type.DATETIME
    return Type.STRING


def fits(series: pd.Series[Any], column: Column) -> bool:
    """Say whether a column has the declared type; integers with gaps are stored as Int64."""
    found = type_of(series)
    return found == column.type or (column.type is Type.NUMBER and found == Type.INTEGER)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write rows so that equal rows make equal bytes."""
    frame.to_parquet(path, index=False, compression="zstd", engine="pyarrow", row_group_size=131_072)


def row_hashes(frame: pd.DataFrame) -> Array:
    """Return one 64-bit hash per row `(n_rows,)`, equal for equal rows across processes."""
    return pd.util.hash_pandas_object(frame, index=False).to_numpy()


def labels(target: pd.Series[Any], contract: Contract) -> Array:
    """Turn the target into what metrics want, `(n_rows,)`: 0/1, class codes in sorted order, or float64."""
    if contract.task is Task.BINARY:
        true = target == contract.positive if contract.positive is not None else target.astype(bool)
        return true.to_numpy(dtype=np.int8)
    if contract.task is Task.MULTICLASS:
        return np.searchsorted(np.array(classes(target, contract)), target.astype(str).to_numpy())
    if contract.task is Task.RANKING:
        return target.to_numpy(dtype=np.int8)
    return target.to_numpy(dtype=np.float64)


def classes(target: pd.Series[Any], contract: Contract) -> list[str]:
    """Return the classes of a multiclass target, sorted as text."""
    declared = contract.columns[contract.target].categories
    return sorted(declared or {str(value) for value in target.dropna().unique()})


def cast(series: pd.Series[Any], column: Column) -> pd.Series[Any]:
    """Cast a column to its declared type; return it as it is where that would lose something."""
    try:
        return _CASTS[column.type](series)
    except (ValueError, TypeError, OverflowError):
        return series


def _digits(series: pd.Series[Any]) -> pd.Series[Any]:
    """Read digits with a zero in front, such as 07, as numbers: they are text only because they might be codes."""
    if type_of(series) != Type.STRING:
        return series
    known = series.dropna().astype("str")
    zero_led = known.str.fullmatch("-?0[0-9]+").any() and known.str.fullmatch("-?[0-9]{1,18}").all()
    return series.astype("str").astype("Int64") if zero_led else series


def _number(series: pd.Series[Any]) -> pd.Series[Any]:
    series = _digits(series)
    if type_of(series) not in {Type.NUMBER, Type.INTEGER, Type.BOOLEAN} and not series.isna().all():
        raise TypeError
    return series.astype("float64")


def _integer(series: pd.Series[Any]) -> pd.Series[Any]:
    series = _digits(series)
    if type_of(series) not in {Type.NUMBER, Type.INTEGER} and not series.isna().all():
        raise TypeError
    whole = series.astype("Int64")  # unlike int64, refuses to cut 1.5 down to 1
    return whole if series.isna().any() else whole.astype("int64")


def _boolean(series: pd.Series[Any]) -> pd.Series[Any]:
    if type_of(series) in {Type.INTEGER, Type.NUMBER} and set(series.dropna().unique()) <= {0, 1}:
        return series.astype("boolean" if series.isna().any() else "bool")
    if type_of(series) != Type.BOOLEAN and not series.dropna().map(lambda value: isinstance(value, bool)).all():
        raise TypeError
    return series.astype("boolean" if series.isna().any() else "bool")


def _string(series: pd.Series[Any]) -> pd.Series[Any]:
    if type_of(series) in {Type.INTEGER, Type.NUMBER}:  # codes such as a postcode; gaps make them floats
        return series.astype("Int64").astype("string").astype("str")
    if type_of(series) != Type.STRING:
        raise TypeError
    return series.astype("str")


def _datetime(series: pd.Series[Any]) -> pd.Series[Any]:
    if type_of(series) not in {Type.STRING, Type.DATETIME}:  # 20240131 is not a count of nanoseconds
        raise TypeError
    moments = _moments(series)
    if moments.dt.tz is not None:
        moments = moments.dt.tz_convert("UTC").dt.tz_localize(None)
    made: pd.Series[Any] = moments.dt.as_unit("us")
    return made


def _moments(series: pd.Series[Any]) -> pd.Series[Any]:
    if type_of(series) != Type.STRING:
        return pd.to_datetime(series)
    try:
        return pd.to_datetime(series, format="ISO8601")
    except ValueError as error:
        if "Mixed timezones" not in str(error):
            raise
        return pd.to_datetime(series, format="ISO8601", utc=True)  # a summer and a winter offset


_CASTS = {
    Type.NUMBER: _number,
    Type.INTEGER: _integer,
    Type.BOOLEAN: _boolean,
    Type.STRING: _string,
    Type.DATETIME: _datetime,
}
