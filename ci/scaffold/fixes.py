"""
What has to be done to a column before the contract holds: as a function, and as the line of code that the project gets.

The rehearsal runs the written line, so that the two cannot drift apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_STRANGERS = 5
_MOSTLY = 0.9
_SAMPLE = 2000
_LONG_LINE = 107  # what a line of 120 leaves for code and name
_NUMERIC = "pd.to_numeric("
_THOUSANDS = re.compile(r"\s*[-+]?[$€£]?\s?\d{1,3}(,\d{3})+(\.\d+)?\s?[$€£%]?\s*")
_POINT = re.compile(r"\s*[-+]?[$€£]?\s?\d+(\.\d+)?\s?[$€£%]?\s*")
_COMMA = re.compile(r"\s*[-+]?[$€£]?\s?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?\s?[$€£%]?\s*")


@dataclass(frozen=True, slots=True)
class Fix:
    """One assignment; `code` is an expression over `{}`, `read` what it gives, `spoilt` how many values it loses."""

    code: str
    read: pd.Series[Any]
    spoilt: int = 0
    strangers: Sequence[str] = ()

    def line(self, name: str) -> str:
        """Spell it as a statement of `assemble`."""
        spelt = repr(name) if '"' in name or repr(name)[1:-1] != name else f'"{name}"'
        code = self.code.replace("{}", f"rows[{spelt}]")
        if len(code) + len(spelt) > _LONG_LINE and code.startswith(_NUMERIC):
            code = f"{_NUMERIC}\n        {code.removeprefix(_NUMERIC)[:-1]}\n    )"
        return f"rows[{spelt}] = {code}"

    def remark(self, what: str) -> str:
        """Say what the fix loses; '' if nothing."""
        if not self.spoilt:
            return ""
        shown = ", ".join(repr(value) for value in self.strangers[:3])
        return f"not all values are {what}: {self.spoilt:,}, such as {shown}, will be missing"


def numbers(series: pd.Series[Any]) -> Fix | None:
    """Read a text column as numbers: `1,5`, `1,234.50`, `$12`, `7 %`, or numbers with a few placeholders among them."""
    texts = series.dropna()
    sample = texts.drop_duplicates().head(_SAMPLE).astype(str)
    if sample.empty or not sample.str.contains(r"\d").any():
        return None
    if pd.to_numeric(texts.head(_SAMPLE), errors="coerce").notna().mean() >= _MOSTLY:
        return _unless_many_strangers(
            'pd.to_numeric({}, errors="coerce")', pd.to_numeric(series, errors="coerce"), series
        )
    for pattern, keep, comma in ((_THOUSANDS, "0-9.+-", False), (_COMMA, "0-9,+-", True), (_POINT, "0-9.+-", False)):
        matching = sample.map(lambda text, wanted=pattern: wanted.fullmatch(text) is not None)
        other = sample.map(lambda text: _POINT.fullmatch(text) is not None) if pattern is _THOUSANDS else matching
        if matching.any() and (matching | other).mean() >= _MOSTLY:
            return _stripped(series, keep, comma=comma)
    return None


def finite(series: pd.Series[Any]) -> Fix | None:
    """Take infinities, which no model can use, for missing values; None if there are none."""
    endless = series.abs() == float("inf")
    if not endless.any() or endless.sum() == series.notna().sum():
        return None
    return Fix('{}.mask({}.abs() == float("inf"))', series.mask(endless), int(endless.sum()), ["inf"])


def _stripped(series: pd.Series[Any], keep: str, *, comma: bool) -> Fix | None:
    turned = '.str.replace(",", ".")' if comma else ""
    code = f'pd.to_numeric({{}}.astype("str").str.replace(r"[^{keep}]", "", regex=True){turned}, errors="coerce")'
    plain = series.astype("str").str.replace(rf"[^{keep}]", "", regex=True)
    return _unless_many_strangers(
        code, pd.to_numeric(plain.str.replace(",", ".") if comma else plain, errors="coerce"), series
    )


def _unless_many_strangers(code: str, values: pd.Series[Any], series: pd.Series[Any]) -> Fix | None:
    """Codes such as 12A are texts; a few placeholders such as `?` or a blank are missing values."""
    spoilt = series[values.isna() & series.notna()]
    strangers = [str(value) for value in spoilt.drop_duplicates().head(_MOST_STRANGERS + 1)]
    if len(strangers) > _MOST_STRANGERS or values.notna().sum() == 0:
        return None
    return Fix(code, values, len(spoilt), strangers)
