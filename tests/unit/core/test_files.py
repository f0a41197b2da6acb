"""Nobody ever sees half a file: exceptions, full disks, read-only folders, two writers."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from ci import files
from ci.errors import BadInput, Interrupted, Unavailable


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_written_file_is_there_and_nothing_else_is(tmp_path: Path) -> None:
    files.write_text(tmp_path / "deep" / "a.txt", "Łódź\n")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "Łódź\n".encode()
    assert names(tmp_path / "deep") == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), Interrupted(15), SystemExit(3)])
def test_whatever_stops_the_writer_the_former_file_stays(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("former")
    with pytest.raises(type(error)), files.replacing(path) as beside:
        beside.write_text("half of")
        raise error
    assert path.read_text() == "former"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_worth_a_retry_and_leaves_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("former")
    with pytest.raises(Unavailable, match=r"a\.txt: no space left on the device$"), files.replacing(path) as beside:
        beside.write_text("half of")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "former"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_noticed_by_the_real_device() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(Unavailable, match="no space left"),
        files.said_plainly(Path("x")),
        Path("/dev/full").open("w") as full,
    ):
        full.write("x")
        full.flush()


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(BadInput, match=r"a\.txt: is a directory$"):
        files.write_text(tmp_path / "a.txt", "x")
    assert names(tmp_path) == ["a.txt"]


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(BadInput, match=rf"{tmp_path}/a.*: (not a directory|file exists)"):
        files.write_text(tmp_path / "a" / "b.txt", "x")


def test_a_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(BadInput, match=r"a\.txt: read-only file system$"):
        files.write_text(tmp_path / "a.txt", "x")


def test_the_file_that_is_missing_is_named_not_the_one_being_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"input\.csv: no such file or directory"), files.replacing(tmp_path / "out.txt"):
        (tmp_path / "input.csv").read_text()


def test_what_a_library_calls_an_os_error_is_left_to_its_caller(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="connection broken"), files.replacing(tmp_path / "out.txt"):
        raise OSError("connection broken")


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("1")
    with files.replacing_folder(path) as beside:
        (beside / "new").write_text("2")
        assert names(path) == ["old"]
    assert names(path) == ["new"]
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [ValueError("x"), Interrupted(2)])
def test_a_stopped_writer_leaves_the_former_folder(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("1")
    with pytest.raises(type(error)), files.replacing_folder(path) as beside:
        (beside / "new").write_text("2")
        raise error
    assert names(path) == ["old"]
    assert names(tmp_path) == ["model"]


def test_two_writers_of_one_folder_both_end_and_one_of_them_wins(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with files.replacing_folder(path) as one:
        (one / "a").write_text("1")
        with files.replacing_folder(path) as two:
            (two / "a").write_text("2")
    assert (path / "a").read_text() == "1"
    assert names(tmp_path) == ["model"]


def test_a_lock_is_for_one_and_free_again_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "shop"
    with files.held(lock, "shop"):
        with (
            pytest.raises(Unavailable, match=f"shop: another process works on it .process {os.getpid()}."),
            files.held(lock, "shop"),
        ):
            pytest.fail("held twice")
    with files.held(lock, "shop"):
        pass


def test_equal_values_have_equal_bytes() -> None:
    assert files.to_json({"b": 1, "a": "ü"}) == files.to_json({"a": "ü", "b": 1}) == '{\n  "a": "ü",\n  "b": 1\n}\n'


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.to_json({"auc": float("nan")})


def test_half_a_character_is_spelled_out(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"name": "caf\udce9"})
    assert json.loads((tmp_path / "a.json").read_bytes()) == {"name": "caf\udce9"}


@pytest.mark.parametrize(("content", "why"), [(b"{", "not JSON"), (b"\xff\xfe\xfd", "not JSON"), (b"", "not JSON")])
def test_broken_json_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BadInput, match=rf"a\.json: {why}"):
        files.read_json(tmp_path / "a.json")


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a\.json: no such file or directory"):
        files.read_json(tmp_path / "a.json")


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert (
        files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )  # FIPS 180-2


def test_the_digest_of_a_tree_knows_names_bytes_and_no_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("1")
    first = files.sha256_of_tree(Path("code"))
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_text("x")
    assert files.sha256_of_tree(Path("code")) == first
    (tmp_path / "code" / "a.py").rename(tmp_path / "code" / "b.py")
    assert files.sha256_of_tree(Path("code")) != first
