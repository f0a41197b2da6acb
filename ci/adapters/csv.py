"""CSV to Parquet, in bounded memory."""

from __future__ import annotations

import re
import zipfile
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ci.contract import MAX_COLUMNS
from ci.errors import BadInput
from ci.files import said_plainly

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_BLOCK = 16 << 20
_WIDEST_LINE = 1 << 20
_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, OSError)


def to_parquet(path: Path, target: Path, *, separator: str, encoding: str) -> None:
    """
    Convert a CSV (plain, .gz or a .zip of one file) to Parquet.

    Types are inferred; text that looks like a time stays text, because only the contract knows what it means. A column
    that turns out to be wider half-way is read again as what it is: integers as numbers, anything else as text.

    Raises:
        BadInput: empty, not in `encoding`, or lines of different lengths.
    """
    import pyarrow as pa

    wider: dict[str, pa.DataType] = {}
    while True:
        try:
            _convert(path, target, separator, encoding, wider)
        except (pa.ArrowException, UnicodeDecodeError, LookupError, EOFError, *_BROKEN_ARCHIVE) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk's word, not the archive's
                raise
            mixed = re.search(r"In CSV column #(\d+): CSV conversion error to (\w+)", str(error))
            if mixed is None or "invalid UTF8" in str(error):
                raise _explained(path, encoding, error) from error
            name = _header(path, separator, encoding)[int(mixed.group(1))]
            if name in wider and wider[name] == pa.string():
                raise _explained(path, encoding, error) from error
            wider[name] = pa.float64() if mixed.group(2) == "int64" else pa.string()
        else:
            return


def _convert(path: Path, target: Path, separator: str, encoding: str, wider: dict[str, pa.DataType]) -> None:
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    types = dict(wider)
    for sniffing in (True, False):
        with ExitStack() as stack:
            reader = stack.enter_context(
                pc.open_csv(
                    _opened(path, stack),
                    read_options=pc.ReadOptions(block_size=_BLOCK, encoding=encoding),
                    parse_options=pc.ParseOptions(delimiter=separator, newlines_in_values=True),
                    convert_options=pc.ConvertOptions(column_types=types, strings_can_be_null=True),
                )
            )
            if sniffing:
                _not_too_wide(path, reader.schema)
                types = {field.name: _settled(field.type) for field in reader.schema}
                continue
            with pq.ParquetWriter(target, reader.schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(batch, row_group_size=131_072)


def _opened(path: Path, stack: ExitStack) -> BinaryIO | Any:
    import pyarrow as pa

    with said_plainly(path):
        if path.stat().st_size == 0:
            raise BadInput(f"{path}: empty")
        if path.suffix != ".zip":
            return stack.enter_context(pa.input_stream(str(path)))  # also opens .gz
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            (name,) = [item for item in archive.namelist() if not item.startswith("__MACOSX")]
            return stack.enter_context(cast("BinaryIO", archive.open(name)))
        except (zipfile.BadZipFile, ValueError) as error:
            raise BadInput(f"{path}: not a zip file with one CSV in it") from error


def _not_too_wide(path: Path, schema: pa.Schema) -> None:
    if len(schema.names) > MAX_COLUMNS:
        raise BadInput(
            f"{path}: {len(schema.names):,} columns, at most {MAX_COLUMNS:,} are read",
            hint="a table this wide is better kept as Parquet, with the needed columns named in params.yaml",
        )
    if len(set(schema.names)) < len(schema.names):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise BadInput(f"{path}: column {twice!r} appears twice")


def _settled(kind: pa.DataType) -> pa.DataType:
    """Keep numbers and booleans; everything that a CSV cannot say for sure is text."""
    import pyarrow as pa

    sure = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return kind if sure else pa.string()


def _header(path: Path, separator: str, encoding: str) -> list[str]:
    import csv

    with ExitStack() as stack:
        head: bytes = _opened(path, stack).read(_WIDEST_LINE)
    text = head.decode(encoding, "replace").removeprefix("\ufeff")
    return next(csv.reader(text.splitlines(), delimiter=separator))


def _explained(path: Path, encoding: str, error: Exception) -> BadInput:
    line = " ".join(str(error).split())[:160]
    if "UTF8" in line or isinstance(error, UnicodeDecodeError):
        return BadInput(
            f"{path}: not {encoding}, or of mixed encodings ({line})", hint="set `encoding`, such as latin-1"
        )
    if isinstance(error, LookupError):
        return BadInput(f"{path}: {encoding} is no encoding", hint="such as utf-8, latin-1 or cp1252")
    return BadInput(f"{path}: not readable as CSV ({line})", hint="look at `separator` and `encoding`")
