"""The door to processes: time limits that hold, families that end, output that is kept."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from ci.adapters.process import follow, run
from ci.errors import BadInput, Unavailable

PYTHON = [sys.executable, "-c"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_output_and_code_are_kept_apart() -> None:
    done = run([*PYTHON, "import sys; print('Łódź'); print('oh', file=sys.stderr); sys.exit(7)"], timeout_s=20)
    assert (done.code, done.out, done.err) == (7, "Łódź\n", "oh\n")


def test_nothing_is_read_by_a_shell() -> None:
    assert run(["echo", "$HOME; echo x"], timeout_s=20).out == "$HOME; echo x\n"


def test_nobody_waits_for_an_answer_from_the_keyboard() -> None:
    assert run([*PYTHON, "print(repr(input.__self__ and __import__('sys').stdin.read()))"], timeout_s=20).out == "''\n"


def test_environment_and_folder(tmp_path: Path) -> None:
    done = run(
        [*PYTHON, "import os; print(os.environ['X'], os.getcwd())"],
        timeout_s=20,
        cwd=tmp_path,
        extra_environment={"X": "1"},
    )
    assert done.out == f"1 {tmp_path.resolve()}\n"


def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(BadInput, match="^no-such-command: command not found$"):
        run(["no-such-command"], timeout_s=20)


def test_a_file_that_may_not_be_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInput, match=r"notes\.txt: may not be run \(Permission denied\)$"):
        run([str(tmp_path / "notes.txt")], timeout_s=20)


def test_a_time_limit_ends_the_whole_family(tmp_path: Path) -> None:
    child = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    started = time.monotonic()
    with pytest.raises(Unavailable, match=f"^{sys.executable}: no answer within 2 s"):
        run([*PYTHON, parent], timeout_s=2, cwd=tmp_path)
    assert time.monotonic() - started < 15
    time.sleep(0.2)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_lines_are_handed_on_as_they_come() -> None:
    lines: list[tuple[str, float]] = []
    code = (
        "import time; print('one', flush=True); time.sleep(.5); import sys; print('two', file=sys.stderr); sys.exit(3)"
    )
    assert follow([*PYTHON, code], lambda line: lines.append((line, time.monotonic()))) == 3
    assert [line for line, _ in lines] == ["one", "two"]
    assert lines[1][1] - lines[0][1] > 0.3


def test_a_listener_that_fails_leaves_no_process_behind(tmp_path: Path) -> None:
    seen: list[int] = []

    def listen(line: str) -> None:
        seen.append(int(line))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow([*PYTHON, "import os, time; print(os.getpid(), flush=True); time.sleep(60)"], listen)
    assert not alive(seen[0])
    assert seen[0] != os.getpid()


def test_silence_has_an_end() -> None:
    with pytest.raises(Unavailable, match="silent for 1 s"):
        follow([*PYTHON, "import time; time.sleep(60)"], lambda _line: None, silence_s=1)
