"""CSV to Parquet, in bounded memory."""

from __future__ import annotations

import csv
import io
import itertools
import re
import zipfile
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ci.contract import MAX_COLUMNS
from ci.errors import BadInput
from ci.files import said_plainly

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    import pyarrow as pa

_BLOCK = 16 << 20
_CHUNK = 1 << 20
_WIDEST_LINE = 1 << 20
_ROW_GROUP = 32_768  # small, because what is read of it is a period
_BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, OSError)


def to_parquet(path: Path, target: Path, *, separator: str, encoding: str, texts: Collection[str] = ()) -> None:
    """
    Convert a CSV (plain, .gz or a .zip of one file) to Parquet.

    Types are inferred; text that looks like a time stays text, because only the contract knows what it means. A column
    that turns out to be wider half-way is read again as what it is: integers as numbers, anything else as text. Columns
    in `texts`, and those with a whole number that begins with a zero, are codes: text.

    Raises:
        BadInput: empty, not in `encoding`, lines of different lengths, or a quote that is never closed.
    """
    import pyarrow as pa

    _quotes_close(path, separator, encoding)
    wider: dict[str, pa.DataType] = dict.fromkeys(texts, pa.string())
    while True:
        try:
            _convert(path, target, separator, encoding, wider)
        except _Wider as found:
            wider[found.column] = found.kind
        except (pa.ArrowException, UnicodeDecodeError, LookupError, EOFError, *_BROKEN_ARCHIVE) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk's word, not the archive's
                raise
            mixed = re.search(r"In CSV column #(\d+):(?: Row #\d+:)? CSV conversion error to (\w+)", str(error))
            if mixed is None or "invalid UTF8" in str(error):
                raise _explained(path, encoding, error) from error
            name = _header(path, separator, encoding)[int(mixed.group(1))]
            if name in wider and wider[name] == pa.string():
                raise _explained(path, encoding, error) from error
            wider[name] = pa.float64() if mixed.group(2) == "int64" else pa.string()
        else:
            return


class _Wider(Exception):  # noqa: N818
    """A column of integers turned out to hold something else."""

    def __init__(self, column: str, kind: pa.DataType) -> None:
        self.column, self.kind = column, kind


def _convert(path: Path, target: Path, separator: str, encoding: str, wider: dict[str, pa.DataType]) -> None:
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    types = settled = dict(wider)
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
                settled = {field.name: _settled(field.type) for field in reader.schema}
                types = settled | {name: pa.string() for name, kind in settled.items() if pa.types.is_integer(kind)}
                continue
            with pq.ParquetWriter(target, pa.schema(settled), compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(_whole(batch, settled), row_group_size=_ROW_GROUP)


def _whole(batch: pa.RecordBatch, settled: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    """Turn texts into the integers that they were taken for: only as text does a code show its leading zeros."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for (name, kind), values in zip(settled.items(), batch.columns, strict=True):
        if pa.types.is_integer(kind):
            said = pc.utf8_trim_whitespace(values)
            if pc.any(pc.and_(pc.starts_with(said, "0"), pc.greater(pc.binary_length(said), 1))).as_py():
                raise _Wider(name, pa.string())
            try:
                columns.append(said.cast(kind))
            except pa.ArrowInvalid as error:
                raise _Wider(name, pa.float64()) from error
        else:
            columns.append(values)
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(settled))


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


def _quotes_close(path: Path, separator: str, encoding: str) -> None:
    """Refuse a quote that is never closed: all rows behind it would be one value. An even count needs no closer look."""
    with ExitStack() as stack:
        source = _opened(path, stack)
        try:
            count = sum(chunk.count(b'"') for chunk in iter(lambda: source.read(_CHUNK), b""))
        except (EOFError, *_BROKEN_ARCHIVE):  # said better by the reader that follows
            return
    if count % 2 == 0:
        return
    with ExitStack() as stack:
        lines = io.TextIOWrapper(io.BufferedReader(_Readable(_opened(path, stack))), encoding, "replace", newline="")
        first = _never_closed(lines, separator)
    if first:
        raise BadInput(f"{path}: a quote in line {first:,} is never closed",
                       hint="a quote inside a quoted value is written twice")  # fmt: skip


def _never_closed(lines: io.TextIOBase, separator: str) -> int:
    """Return the line in which the last row begins if it swallows the end of the file, else 0."""
    end, begins = "the end of the file", 1
    rows = csv.reader(itertools.chain(lines, [end]), delimiter=separator)
    try:
        for row in rows:
            if row and row[-1].endswith(end):
                return 0 if row == [end] else begins
            begins = rows.line_num + 1
    except csv.Error:  # a value of more than 128 kB
        pass
    return begins


class _Readable(io.RawIOBase):
    """What pyarrow opens, as the standard library wants it."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


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
