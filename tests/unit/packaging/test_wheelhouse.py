"""Wheels are taken by name, tag and digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ci.errors import BadInput
from ci.packaging import wheelhouse

TARGET = wheelhouse.Target("3.11", "linux/amd64")


def wheel(folder: Path, name: str, content: bytes = b"x") -> str:
    (folder / name).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def lock(folder: Path, *lines: str) -> Path:
    path = folder / "some.lock"
    path.write_text("# made by uv\n" + "\n".join(lines) + "\n")
    return path


def pin(name: str, *digests: str, marker: str = "") -> str:
    return f"{name}{marker}" + "".join(f" \\\n    --hash=sha256:{digest}" for digest in digests)


def test_finds_the_wheel_that_fits_best(tmp_path: Path) -> None:
    pure = wheel(tmp_path, "a_b-1.0-py3-none-any.whl", b"pure")
    own = wheel(tmp_path, "a_b-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", b"own")
    wanted = wheelhouse.pins(lock(tmp_path, pin("A.b==1.0", pure, own)), TARGET)
    found, missing = wheelhouse.find(wanted, tmp_path, TARGET)
    assert not missing
    assert [item.path.name for item in found] == ["a_b-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"]
    assert found[0].sha256 == own


@pytest.mark.parametrize(
    "name",
    [
        "a_b-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
        "a_b-1.0-cp311-cp311-manylinux_2_17_aarch64.whl",
        "a_b-1.0-cp311-cp311-manylinux_2_39_x86_64.whl",
        "a_b-1.0-cp311-cp311-win_amd64.whl",
        "a_b-1.1-py3-none-any.whl",
        "no-wheel.whl",
    ],
)
def test_what_does_not_fit_is_missing(tmp_path: Path, name: str) -> None:
    digest = wheel(tmp_path, name)
    wanted = wheelhouse.pins(lock(tmp_path, pin("a-b==1.0", digest)), TARGET)
    assert wheelhouse.find(wanted, tmp_path, TARGET) == ([], wanted)


def test_an_altered_wheel_is_missing(tmp_path: Path) -> None:
    digest = wheel(tmp_path, "a-1.0-py3-none-any.whl")
    wanted = wheelhouse.pins(lock(tmp_path, pin("a==1.0", digest)), TARGET)
    wheel(tmp_path, "a-1.0-py3-none-any.whl", b"something else")
    assert wheelhouse.find(wanted, tmp_path, TARGET) == ([], wanted)


def test_no_folder_means_that_all_is_missing(tmp_path: Path) -> None:
    wanted = wheelhouse.pins(lock(tmp_path, pin("a==1.0", "0" * 64)), TARGET)
    assert wheelhouse.find(wanted, tmp_path / "none", TARGET) == ([], wanted)


def test_markers_are_those_of_the_image_and_not_of_this_machine(tmp_path: Path) -> None:
    path = lock(
        tmp_path,
        pin("old==1", "0" * 64, marker=" ; python_full_version < '3.12'"),
        pin("new==2", "0" * 64, marker=" ; python_full_version >= '3.12'"),
        pin("windows==1", "0" * 64, marker=" ; sys_platform == 'win32'"),
    )
    assert [str(item) for item in wheelhouse.pins(path, TARGET)] == ["old==1"]
    assert [str(item) for item in wheelhouse.pins(path, wheelhouse.Target("3.12", "linux/arm64"))] == ["new==2"]


@pytest.mark.parametrize(
    ("line", "said"), [("a>=1 --hash=sha256:" + "0" * 64, "no exact version"), ("a==1", "sha256"), ("?!", "?!")]
)
def test_a_lock_without_versions_or_hashes_is_refused(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(BadInput, match=said.replace("?", r"\?")):
        wheelhouse.pins(lock(tmp_path, line), TARGET)


def test_our_own_lock_can_be_read() -> None:
    names = {item.name for item in wheelhouse.pins(Path("requirements-serving.lock"), TARGET)}
    assert {"onnxruntime", "numpy", "uvicorn", "uvloop", "httptools", "msgspec", "cryptography"} <= names
    assert not names & {"pandas", "scikit-learn", "docker", "dvc"}
