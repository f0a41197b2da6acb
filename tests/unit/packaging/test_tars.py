"""Tar files depend on names and contents alone."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from ci.packaging import tars


def test_equal_contents_have_equal_bytes_whatever_lies_around_them(tmp_path: Path) -> None:
    made = []
    for name, mode in (("one", 0o600), ("two", 0o777)):
        folder = tmp_path / name
        (folder / "b").mkdir(parents=True)
        for file in ("b/2", "a1"):
            (folder / file).write_text(file)
            (folder / file).chmod(mode)
        os.utime(folder / "a1", (5, len(made) * 1000 + 7))
        made.append(tars.pack(tars.tree(folder, "top"), 99))
    assert made[0] == made[1]


def test_entries_are_sorted_owned_by_root_and_have_their_folders(tmp_path: Path) -> None:
    packed = tars.pack({"z/y/x": b"1", "a": b"22"}, 1_000)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        entries = archive.getmembers()
    assert [entry.name for entry in entries] == ["a", "z", "z/y", "z/y/x"]
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries} == {(0, 0, 1_000)}
    assert [entry.mode for entry in entries] == [0o644, 0o755, 0o755, 0o644]


def test_caches_and_hidden_files_stay_out(tmp_path: Path) -> None:
    for name in ("a.py", ".env", "__pycache__/a.pyc", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(tars.tree(tmp_path, "s")) == ["s/a.py"]
