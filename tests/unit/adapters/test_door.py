"""The first process of Envoy's container: takes whole changes only, starts Envoy again, and leaves with it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from ci.adapters.targets import door
from ci.adapters.targets.door import Door, opened, sealed

if TYPE_CHECKING:
    from pathlib import Path


class Envoy:
    """A child that ends when it is told to."""

    def __init__(self, _command: list[str]) -> None:
        self.code: int | None = None
        born.append(self)

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.code = 0


born: list[Envoy] = []


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Door:
    born.clear()
    monkeypatch.setattr(subprocess, "Popen", Envoy)
    return Door(str(tmp_path), ["envoy"])


def test_a_change_is_taken_when_it_is_whole_and_once(made: Door, tmp_path: Path) -> None:
    whole = sealed({"rds.json": "one", "../x.json": "no", "eds-a.json": "a"}, tidy=False)
    inbox = tmp_path / "inbox.json"
    for part in range(0, len(whole), 7):
        inbox.write_bytes(whole[:part])
        made.once()
        assert not (tmp_path / "rds.json").exists()
    inbox.write_bytes(whole)
    made.once()
    assert (tmp_path / "rds.json").read_text() == "one"
    assert not (tmp_path.parent / "x.json").exists()
    assert not inbox.exists(), "what comes next is another's"
    (tmp_path / "rds.json").write_text("two")
    made.once()
    assert (tmp_path / "rds.json").read_text() == "two"


def test_servers_of_releases_that_left_go_a_moment_later(
    made: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eds-old.json").write_text("")
    (tmp_path / "inbox.json").write_bytes(sealed({"eds-new.json": "", "cds.json": ""}, tidy=True))
    made.once()
    assert (tmp_path / "eds-old.json").exists(), "Envoy may still read it"
    monkeypatch.setattr(door, "TIDY_S", 0.0)
    (tmp_path / "inbox.json").write_bytes(sealed({"eds-new.json": "", "cds.json": ""}, tidy=True))
    made.once()
    made.once()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cds.json", "eds-new.json"]


def test_envoy_is_started_again_at_once_and_later_if_it_ends_again_and_again(
    made: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    made.once()
    clock[0] += 60
    born[-1].code = -9
    made.once()
    assert len(born) == 2, "at once"
    starts = []
    for _ in range(4000):
        clock[0] += 0.01
        born[-1].code = -9
        made.once()
        starts.append(len(born))
    assert 4 < starts[-1] < 20


def test_told_to_stop_it_waits_for_envoy(made: Door) -> None:
    assert made.once()
    made.leave()
    assert made.once(), "told"
    assert not made.once(), "gone"
    assert len(born) == 1


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'{"wish": "{}", "sha256": "0"}', b'{"wish": 1, "sha256": "0"}', b"\xff"]
)
def test_anything_else_is_not_whole(raw: bytes) -> None:
    assert opened(raw) is None
