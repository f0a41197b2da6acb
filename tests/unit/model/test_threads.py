"""Threads of a fit sleep where cores are wanted, and only there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.model import threads

if TYPE_CHECKING:
    from pathlib import Path

LINES = "some avg10={} avg60=21.41 avg300=15.11 total=6840365597\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"


@pytest.mark.parametrize(
    ("avg10", "policy"), [("0.00", None), ("9.99", None), ("10.00", "PASSIVE"), ("87.5", "PASSIVE")]
)
def test_threads_sleep_if_somebody_waits_for_a_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, avg10: str, policy: str | None
) -> None:
    monkeypatch.setenv(threads.VARIABLE, "x")
    monkeypatch.delenv(threads.VARIABLE)
    file = tmp_path / "cpu"
    file.write_text(LINES.format(avg10))
    threads.settle(file)
    assert threads.os.environ.get(threads.VARIABLE) == policy


@pytest.mark.parametrize("text", [None, "", "some avg10=\n", "some total=1\n", "full avg10=99\n"])
def test_what_cannot_be_read_is_no_pressure(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "cpu"
    if text is not None:
        file.write_text(text)
    assert threads.waited(file) == 0


def test_who_chose_a_policy_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.VARIABLE, "ACTIVE")
    file = tmp_path / "cpu"
    file.write_text(LINES.format("99"))
    threads.settle(file)
    assert threads.os.environ[threads.VARIABLE] == "ACTIVE"
