"""Tar files whose bytes depend on names and contents alone: sorted, one owner, plain modes, one time."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Contents = bytes | Path


def write(files: Mapping[str, Contents], out: IO[bytes], epoch: int, programs: Collection[str] = ()) -> None:
    """Write files (by path inside the archive) with the folders above them; `programs` among them may be run."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted({*files, *_folders(files)}):
            entry = tarfile.TarInfo(name)
            entry.mtime = epoch
            if name not in files:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
                continue
            entry.mode = 0o755 if name in programs else 0o644
            _add(archive, entry, files[name])


def pack(files: Mapping[str, Contents], epoch: int) -> bytes:
    """Return such a tar file as bytes: for small ones."""
    out = io.BytesIO()
    write(files, out, epoch)
    return out.getvalue()


def tree(root: Path, below: str) -> dict[str, Contents]:
    """Map the files below a folder to places below another, without caches and what is hidden."""
    return {
        str(PurePosixPath(below, path.relative_to(root).as_posix())): path
        for path in sorted(root.rglob("*"))
        if path.is_file() and not any(part == "__pycache__" or part.startswith(".") for part in path.parts)
    }


def _folders(files: Mapping[str, Contents]) -> set[str]:
    return {str(parent) for name in files for parent in PurePosixPath(name).parents if str(parent) != "."}


def _add(archive: tarfile.TarFile, entry: tarfile.TarInfo, contents: Contents) -> None:
    if isinstance(contents, bytes):
        entry.size = len(contents)
        archive.addfile(entry, io.BytesIO(contents))
        return
    with contents.open("rb") as source:
        entry.size = contents.stat().st_size
        archive.addfile(entry, source)
