"""Reading the CSV through the same door that `ingest` will use, so that both see the same."""

from __future__ import annotations

import difflib
import glob
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.files import said_plainly
from ci.sources import FileTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from ci.data.ingest import TableReader
    from ci.scaffold.wish import Wish
    from ci.sources import AnyTable

_SEPARATORS = ",;\t|"
_HEAD = 1 << 20
_UTF16 = ("\ufffd\ufffd", "\ufffe")  # FF FE and FE FF, read as UTF-8
_PACKED = {".gz", ".zip", ".bz2"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A CSV as delivered: rows, the type of each column, and how to read it again."""

    frame: pd.DataFrame
    kinds: dict[str, str]
    table: FileTable

    @property
    def names(self) -> list[str]:
        """Its columns, in order."""
        return [str(name) for name in self.frame.columns]


def read(wish: Wish, where: str, open_table: Callable[[AnyTable], TableReader]) -> Sheet:
    """
    Read the file that `wish` names; `where` is how params.yaml will spell its path.

    Raises:
        BadInput: no such file, a folder, empty, one column, no rows, two columns of one name, too wide, another
            encoding; each with what to do about it.
    """
    if not wish.csv.exists():
        near = difflib.get_close_matches(wish.csv.name, _beside(wish.csv), n=1)
        raise BadInput(f"{where}: no such file" + (f" (did you mean {near[0]}?)" if near else ""))
    if wish.csv.is_dir():
        raise BadInput(f"{where}: a folder; name one file of it", hint="params.yaml can name the folder afterwards")
    head = _head(wish.csv, wish.encoding)
    if wish.encoding == "utf-8" and head.startswith(_UTF16):
        raise BadInput(f"{where}: not utf-8, it begins like UTF-16", hint="--encoding utf-16")
    separator = wish.separator or _separator(head)
    table = FileTable(kind="file", path=glob.escape(where), format="csv", separator=separator, encoding=wish.encoding)
    try:
        reader = open_table(table)
        kinds, frame = reader.schema(None, None), reader.read(None, None)
    except BadInput as error:
        raise _explained(error, wish, where) from error
    if len(frame.columns) < 2:
        hint = f"what separates its values? --separator ';' (it was read with {separator!r})"
        raise BadInput(
            f"{where}: one column, {str(frame.columns[0])[:60]!r}; a model needs a target and a feature", hint=hint
        )
    if frame.empty:
        raise BadInput(f"{where}: a header, but no rows")
    return Sheet(frame, kinds, table)


def _beside(path: Path) -> list[str]:
    return [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else []


def _head(path: Path, encoding: str) -> str:
    """Return the first million bytes as text, '' if packed; whatever is wrong with it, the real reader says better."""
    if path.suffix in _PACKED or not path.is_file():
        return ""
    try:
        with said_plainly(path), path.open("rb") as source:
            return source.read(_HEAD).decode(encoding, "replace").lstrip("\ufeff")
    except LookupError as error:
        raise BadInput(f"--encoding: {encoding!r} is no encoding that Python knows") from error


def _separator(head: str) -> str:
    first = head.split("\n", 1)[0]
    return max(_SEPARATORS, key=first.count)  # the comma, if it is none


def _explained(error: BadInput, wish: Wish, where: str) -> BadInput:
    """Say in this step's words what may help."""
    if "mixed encodings" in str(error) and wish.encoding == "utf-8" and wish.csv.suffix not in _PACKED:
        return _not_utf8(wish.csv, where) or error
    if "not readable as CSV" in str(error):
        return BadInput(
            str(error), hint="look at --separator and --encoding; lines of different lengths cannot be read"
        )
    return error


def _not_utf8(path: Path, where: str) -> BadInput | None:
    """Find the first line that is not UTF-8, and whether others are UTF-8 beyond ASCII: then no one encoding fits."""
    first, beyond = 0, False
    with said_plainly(path), path.open("rb") as source:
        for number, line in enumerate(source, 1):
            try:
                beyond |= not line.decode("utf-8").isascii()
            except UnicodeDecodeError:
                first = first or number
    if not first:
        return None
    if beyond:
        return BadInput(
            f"{where}: mixed encodings, line {first:,} is not utf-8 though others are", hint="save it again as UTF-8"
        )
    return BadInput(f"{where}: line {first:,} is not utf-8", hint="--encoding cp1252 (Windows, western Europe) may fit")
