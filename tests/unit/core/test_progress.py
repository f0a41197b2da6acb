"""Progress: quiet when nobody watches, a heartbeat in silence, a bar on a terminal."""

from __future__ import annotations

import io
import time

import pytest

from ci import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    assert list(progress.Progress().over(range(6), "ingest shop")) == list(range(6))
    lines = capsys.readouterr().err.splitlines()
    assert 1 <= len(lines) < 6
    assert all(line.startswith("ingest shop: ") and line.endswith(" of 6") for line in lines)


def test_quick_work_is_not_talked_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress.Progress().over(iter("abc"), "x")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar_that_is_wiped_away(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    shown = progress.Progress()
    list(shown.over([1, 2], "train"))
    assert "train [" in screen.getvalue()
    assert "1/2" in screen.getvalue()
    shown.line("done")
    assert screen.getvalue().endswith("\r\x1b[Kdone\n")


def test_silence_is_broken_by_a_heartbeat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "_HEARTBEAT_S", 0.0)
    with progress.Progress().heartbeat("train"):
        time.sleep(1.2)
    assert capsys.readouterr().err.startswith("train: still at work after 1 s")
