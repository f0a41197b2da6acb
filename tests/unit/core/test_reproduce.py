"""What DVC said, turned into how the run ends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ci.adapters import dvc
from ci.errors import BadInput, Outcome, Unavailable
from ci.reproduce import told
from ci.stages import Did, Log

if TYPE_CHECKING:
    from pathlib import Path


def log(*lines: str) -> Log:
    made = Log(lambda: 1.0)
    for line in lines:
        made.line(line)
    made.end()
    return made


@pytest.mark.parametrize(
    ("error", "outcome", "hint"),
    [
        ("No possible cache link types for '/c/models/shop/model'. See <https://dvc.org>", Outcome.UNAVAILABLE, "is the disk full? "),
        ("[Errno 28] No space left on device: '/c/.dvc/cache/files'", Outcome.UNAVAILABLE, "is the disk full? "),
        ("[Errno 122] Disk quota exceeded", Outcome.UNAVAILABLE, "is the disk full? "),
        ("Unable to acquire lock. Most likely another DVC process is running", Outcome.UNAVAILABLE, "run `dvc repro -v`"),
        ("Parameters 'evaluate' are missing from 'params.yaml'.", Outcome.BAD_INPUT, "write the section"),
        ("'./dvc.yaml' is invalid.", Outcome.BAD_INPUT, "run `dvc repro -v`"),
    ],
)  # fmt: skip
def test_where_no_stage_spoke_dvc_s_words_decide(error: str, outcome: Outcome, hint: str) -> None:
    found = log("Running stage 'train@shop':", f"ERROR: failed to reproduce 'train@shop': {error}")
    result = told(found, {}, pushed=None, unpushed=[], dry=False)
    assert (result.outcome, found.stages[0].did) == (outcome, Did.FAILED)
    assert error in result.message
    assert result.hint.startswith(hint)


def test_a_clone_is_for_one_and_free_again_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with dvc.alone():
        with pytest.raises(Unavailable, match=r"another repro works in this clone \(process \d+ since "), dvc.alone():
            pass
    with dvc.alone():
        assert re.match(r"process \d+ since", (tmp_path / ".slipway" / "repro.lock").read_text())


def test_a_clone_that_cannot_be_written_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".slipway").touch()
    with pytest.raises(BadInput, match=r"^\.slipway"), dvc.alone():
        pass
