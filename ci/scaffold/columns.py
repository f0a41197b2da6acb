"""What a column seems to be: its type, its role, and why."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ci.contract import Column, Role, Type
from ci.data import rows
from ci.model.estimators import MAX_CATEGORIES
from ci.scaffold.dates import moments
from ci.scaffold.fixes import finite, numbers

if TYPE_CHECKING:
    import pandas as pd

    from ci.scaffold.dates import Moments
    from ci.scaffold.fixes import Fix
    from ci.scaffold.reading import Sheet

LISTED = 30
_EXACT = 2**24
_LARGEST = 3e38
_LONGEST = 100_000
_ID = re.compile(r"(^|[_\W])(id|uuid|guid|key|no|nr|number)$|[a-z](Id|ID)$|^id", re.IGNORECASE)
_ID_CASED = re.compile(r"[a-z](Id|ID|Key|No|Nr|Number)$")
_CODE = re.compile(
    r"(^|[_\W])(code|zip|zipcode|postcode|postal|plz|cap)([_\W]|$)|[a-z](Code|Zip)$|(zip|post)_?code", re.IGNORECASE
)
_PERSONAL = re.compile(
    r"e-?mail|phone|(^|[_\W])(tel|mobile|cell|ssn|iban|ip|nin|dni)([_\W]|$)|social.?sec|passport|credit.?card|card.?n|"
    r"(first|last|full|middle|sur|family|given|maiden).?name|^name$|address|street|licen[cs]e.?(no|num|plate)|tax.?id",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_FREE_TEXT_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Guess:
    """One column: what the contract will say of it, what was seen, and why; `warning` is for a person to decide."""

    name: str
    column: Column
    why: str
    seen: str = ""
    warning: str = ""
    fix: Fix | None = None
    moments: Moments | None = None
    entity: bool = False
    row_id: bool = False

    def as_role(self, role: Role, why: str, warning: str = "") -> Guess:
        """Return a copy with another role."""
        column = self.column.model_copy(update={"role": role})
        return replace(self, column=column, why=why, warning=warning or self.warning)


def guess(sheet: Sheet, name: str) -> Guess | None:
    """Guess one column of the sheet; None if a contract cannot name it."""
    series = sheet.frame[name]
    if (
        not name.strip()
        or len(name) > 200
        or (len(series) and rows.type_of(series) == Type.STRING and _too_long(series))
    ):
        return None
    if series.isna().all():
        column = Column(type=Type.STRING, role=Role.META, nullable=True)
        return Guess(name, column, "empty: it tells nothing", "no value")
    return _typed(sheet, name, series)


def _typed(sheet: Sheet, name: str, series: pd.Series[Any]) -> Guess:
    kind, nullable = sheet.kinds.get(name, "text"), bool(series.isna().any())
    if kind == "text" and _zero_led(series):
        codes = _text(name, series, nullable=nullable)
        return replace(codes, why=f"{codes.why}; codes, for some begin with a zero")
    if found := moments(name, series, kind):
        return _moment(name, found)
    if kind == "text" and (fix := numbers(series)):
        remark = fix.remark("numbers")
        made = _number(name, fix.read, nullable=bool(fix.read.isna().any()), whole=False)
        return replace(made, fix=fix, why=f"{made.why}, written as text", warning=remark or made.warning)
    if kind == "boolean" or (kind in {"integer", "number"} and set(series.dropna().unique()) == {0, 1}):
        how = "true or false" if kind == "boolean" else "0 or 1"
        return _told(name, Column(type=Type.BOOLEAN, nullable=nullable), how, series, "")
    if kind in {"integer", "number"}:
        return _number(name, series, nullable=nullable, whole=kind == "integer")
    return _text(name, series, nullable=nullable)


def _zero_led(series: pd.Series[Any]) -> bool:
    """Say whether these are codes such as 02134: digits alone, and a zero in front that a number would lose."""
    known = series.dropna().astype(str)
    return bool(known.str.fullmatch("[0-9]+").all() and known.str.fullmatch("0[0-9]+").any())


def _moment(name: str, found: Moments) -> Guess:
    known = found.read.dropna()
    column = Column(type=Type.DATETIME, role=Role.META, nullable=bool(found.read.isna().any()))
    warning = found.fix.remark("dates") if found.fix else ""
    why = f"{found.how}; a moment other than the event's: carried along"
    seen = f"{known.min().isoformat()} … {known.max().isoformat()}"
    return Guess(name, column, why, seen, found.doubt or warning, found.fix, found)


def _number(name: str, series: pd.Series[Any], *, nullable: bool, whole: bool) -> Guess:
    if fix := finite(series):
        made = _number(name, fix.read, nullable=True, whole=False)
        return replace(made, fix=fix, warning=fix.remark("finite numbers"))
    known = series.dropna().astype("float64")
    low, high = float(known.min()), float(known.max())
    seen = f"{low:.6g} … {high:.6g}"
    if whole and _CODE.search(name):
        column = Column(type=Type.STRING, nullable=nullable, categories=_categories(known.astype("int64").astype(str)))
        return _told(name, column, "codes: their size means nothing", series, seen)
    column = Column(type=Type.INTEGER if whole else Type.NUMBER, nullable=nullable, minimum=0 if low >= 0 else None)
    guess = _told(name, column, "whole numbers" if whole else "numbers", series, seen, whole=whole)
    return _in_float32(guess, max(abs(low), abs(high)))


def _in_float32(guess: Guess, largest: float) -> Guess:
    """A feature travels as float32: too large is no feature, and a large whole number is a rounded one."""
    if guess.column.role is not Role.FEATURE or (guess.column.type is Type.NUMBER and largest < _LARGEST):
        return guess
    if largest >= _LARGEST:
        return guess.as_role(Role.META, "too large for the graph's float32: carried along")
    if largest < _EXACT:
        return guess
    rounded = guess.column.model_copy(update={"type": Type.NUMBER})
    return replace(
        guess, column=rounded, warning="above 16,777,216 the graph's float32 no longer tells neighbours apart"
    )


def _text(name: str, series: pd.Series[Any], *, nullable: bool) -> Guess:
    known = series.dropna().astype(str)
    distinct, longest = known.nunique(), int(known.str.len().max())
    column = Column(
        type=Type.STRING,
        nullable=nullable,
        categories=_categories(known),
        max_length=min(_LONGEST, max(200, 2 * longest)),
    )
    seen = f"{distinct:,} texts, up to {longest} characters"
    if known.head(1000).map(lambda text: _MAIL.fullmatch(text) is not None).mean() > 0.8:
        return Guess(name, column, "", seen).as_role(
            Role.META, "e-mail addresses", "personal data, by its values; do you need it at all?"
        )
    return _told(name, column, f"{distinct:,} texts", series, seen)


def _told(name: str, column: Column, why: str, series: pd.Series[Any], seen: str, *, whole: bool = True) -> Guess:
    """Give a typed column its role, from what its values and its name say."""
    known = series.dropna()
    distinct, n = known.nunique(), len(known)
    guess = Guess(name, column, why, seen or ", ".join(column.categories or ()))
    if distinct == 1 and not column.nullable:
        return guess.as_role(Role.META, f"always {str(known.iloc[0])[:40]!r}: it tells nothing")
    if _PERSONAL.search(name):
        return guess.as_role(
            Role.META, "personal data, by its name", "personal data by its name; do you need it at all?"
        )
    if column.type is Type.BOOLEAN or (column.type is Type.NUMBER and not whole):
        return guess
    named = bool(_ID.search(name) or _ID_CASED.search(name))
    if distinct == n and n >= 20 and (column.type is Type.STRING or named or _counts_up(known)):
        free = column.type is Type.STRING and float(known.astype(str).str.contains(r"\s").mean()) > 0.5
        found = replace(guess, row_id=not column.nullable and not free)
        return found.as_role(Role.META, "free text, different in each row" if free else "different in each row: an id")
    if named and distinct >= max(50, 0.02 * n):
        return replace(guess, entity=not column.nullable).as_role(
            Role.META, f"an id, by its name; {distinct:,} of them repeat"
        )
    return _by_spread(guess, known, distinct) if column.type is Type.STRING else guess


def _by_spread(guess: Guess, known: pd.Series[Any], distinct: int) -> Guess:
    """Free text and near-ids are no categories: what a model learns of them does not return."""
    share, length = distinct / len(known), float(known.astype(str).str.len().mean())
    if share > 0.5 or (length > _FREE_TEXT_LENGTH and share > 0.1):
        kind = "free text" if length > 20 else "almost an id"
        warning = "free text: derive features from it in source.py if it matters" if length > 20 else ""
        return guess.as_role(Role.META, f"{kind}: {distinct:,} different texts in {len(known):,} rows", warning)
    if distinct > MAX_CATEGORIES:
        return replace(guess, why=f"{guess.why}; the default model tells the {MAX_CATEGORIES} most frequent apart")
    return guess


def _counts_up(known: pd.Series[Any]) -> bool:
    """Say whether a column numbers the rows: 0, 1, 2, …"""
    return bool(known.is_monotonic_increasing and known.max() - known.min() == len(known) - 1)


def _categories(known: pd.Series[Any]) -> list[str] | None:
    """List the values if they are few, spelt as the graph will see them (Unicode NFC)."""
    values = known.drop_duplicates()
    if len(values) > LISTED:
        return None
    return sorted({unicodedata.normalize("NFC", str(value)) for value in values})


def _too_long(series: pd.Series[Any]) -> bool:
    texts = series.dropna()
    return len(texts) > 0 and int(texts.astype(str).str.len().max()) > _LONGEST
