"""
Rows of a published data version, exactly: found by its tag, held against the digests that its commit names.

`repository` is a folder or a URL, as `git clone` takes it; the rows come from its DVC remote, or from the cache of a
checkout. docs/how-to/publish-data.md shows it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

_PROJECT = re.compile(r"[a-z][a-z0-9_]{0,39}")
_VERSION = re.compile(r"v?((?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*))", re.ASCII)
_TIMEOUT_S = 120


class DataError(Exception):
    """No such version, or rows that are not what it says; the message is one line."""


def versions(project: str, repository: str | Path = ".") -> list[str]:
    """
    List the versions of a project's data, newest last: `["1.0.0", "1.1.0"]`.

    Raises:
        DataError: no project's name, or the repository does not answer.
    """
    if not _PROJECT.fullmatch(project):
        raise DataError(f"{project!r}: not a project's name")
    command = ["git", "ls-remote", "--tags", "--refs", "--", str(repository), f"refs/tags/{project}-data@v*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{repository}: {error}") from error
    if done.returncode:
        raise DataError(f"{repository}: {' '.join(done.stderr.split())[:200]}")
    names = [line.rpartition("@v")[2] for line in done.stdout.splitlines()]
    return sorted((name for name in names if _VERSION.fullmatch(name)), key=_numbers)


def describe_data(project: str, version: str | None = None, *, repository: str | Path = ".") -> dict[str, Any]:
    """
    Return what a version's commit says of it: `record` (digests, watermark, rows), contract and periods.

    Raises:
        DataError: no such version.
    """
    found = _chosen(project, version, repository)
    return _Source(project, found, repository).document


def load_data(
    project: str,
    version: str | None = None,
    *,
    repository: str | Path = ".",
    columns: Sequence[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> pd.DataFrame:
    """
    Load the rows of a data version, the newest if none is named, oldest period first.

    Args:
        project: such as `flights`.
        version: such as `1.4.0` or `v1.4.0`.
        repository: folder or URL.
        columns: only these.
        since: oldest period to read, such as `2013-03`; only the files that are needed are fetched.
        until: newest period to read, inclusive.

    Raises:
        DataError: no such version or column, or a file is not what the version says.
    """
    import pandas as pd

    source = _Source(project, _chosen(project, version, repository), repository)
    parts = [part for part in source.periods() if (since or "") <= part["period"] <= (until or "￿")]
    if not parts:
        raise DataError(f"{source.name}: no period from {since or 'the first'} to {until or 'the last'}")
    frames = []
    for part in parts:
        raw = source.read(f"data/{project}/raw/{part['period']}.parquet")
        if hashlib.sha256(raw).hexdigest() != part["sha256"]:
            raise DataError(f"{source.name}: {part['period']}: not the rows that the version names")
        try:
            frames.append(pd.read_parquet(io.BytesIO(raw), columns=list(columns) if columns else None))
        except (OSError, ValueError) as error:
            raise DataError(f"{source.name}: {part['period']}: {' '.join(str(error).split())[:200]}") from error
    return pd.concat(frames, ignore_index=True)


class _Source:
    """One version's commit, seen through DVC."""

    def __init__(self, project: str, version: str, repository: str | Path) -> None:
        from dvc.api import DVCFileSystem

        self.name, self._project = f"{project}-data@v{version}", project
        try:
            self._files = DVCFileSystem(str(repository), rev=self.name)
        except Exception as error:  # DVC and Git have a dozen, without a common base
            raise DataError(f"{self.name}: {' '.join(str(error).split())[:200]}") from error
        raw = self.read(f"datasets/{project}/version.json")
        try:
            self.document: dict[str, Any] = json.loads(raw)
            named = self.document["record"]["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.name}: its version.json is none") from error
        if named != version:
            raise DataError(f"{self.name}: its version.json is of v{named}")

    def periods(self) -> Iterator[dict[str, Any]]:
        """Yield name and digest of each period, oldest first; empty ones have no rows to give, but columns."""
        yield from self.document["described"]["periods"]

    def read(self, path: str) -> bytes:
        """
        Read a file, kept by Git or by DVC.

        Raises:
            DataError: it is not there, or the remote does not have it.
        """
        try:
            with self._files.open(path, mode="rb") as file:
                return bytes(file.read())
        except Exception as error:
            raise DataError(f"{self.name}: {path}: {' '.join(str(error).split())[:200] or 'not there'}") from error


def _chosen(project: str, version: str | None, repository: str | Path) -> str:
    there = versions(project, repository)
    if not there:
        raise DataError(f"{project}-data: no version in {repository}")
    if version is None:
        return there[-1]
    named = _VERSION.fullmatch(version)
    if not named or named[1] not in there:
        raise DataError(f"{project}-data: no version {version[:40]!r}; there are {', '.join(there[-5:])}")
    return named[1]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
