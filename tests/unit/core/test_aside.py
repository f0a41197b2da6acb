"""Work done aside: the child's answer if there is one, the parent's own if not, and never a child left behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from ci.aside import aside, ready
from ci.errors import BadInput, Interrupted


def who() -> bytes:
    return str(os.getpid()).encode()


def gone(pid: int) -> bool:
    """Say whether a child is neither alive nor waited for."""
    return not Path(f"/proc/{pid}").exists()


def test_another_process_does_the_work_and_is_gone_afterwards() -> None:
    with aside(who) as made:
        child = int(made())
    assert child != os.getpid()
    assert gone(child)


@pytest.mark.parametrize("made", [b"", b"x", bytes(range(256)) * 20_000])
def test_bytes_of_any_number_arrive_whole(made: bytes) -> None:
    with aside(lambda: made + who()) as answer:
        assert answer().startswith(made)
    with aside(lambda: made) as answer:
        assert answer() == made


def test_what_fails_aside_fails_here_as_it_would_have_without_a_child() -> None:
    parent = os.getpid()

    def failing() -> bytes:
        raise BadInput(f"features.py: does not work in {'the parent' if os.getpid() == parent else 'a child'}")

    with pytest.raises(BadInput, match="does not work in the parent"), aside(failing) as made:
        made()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_that_is_killed_leaves_the_work_to_its_parent(end: signal.Signals) -> None:
    parent = os.getpid()

    def killed() -> bytes:
        if os.getpid() != parent:
            os.kill(os.getpid(), end)
            time.sleep(60)
        return who()

    with aside(killed) as made:
        assert int(made()) == parent


def test_a_child_that_hangs_is_not_waited_for_for_ever() -> None:
    parent = os.getpid()

    def hanging() -> bytes:
        if os.getpid() != parent:
            time.sleep(60)
        return who()

    began = time.monotonic()
    with aside(hanging, longest_s=0.1) as made:
        assert int(made()) == parent
    assert time.monotonic() - began < 10


def test_an_interrupted_block_leaves_no_child(tmp_path: Path) -> None:
    named = tmp_path / "child"

    def long() -> bytes:
        named.write_bytes(who())
        time.sleep(60)
        return b""

    with pytest.raises(Interrupted), aside(long):
        while not (named.is_file() and named.read_bytes()):
            time.sleep(0.01)
        raise Interrupted(signal.SIGINT)
    assert gone(int(named.read_bytes()))


def test_a_child_holds_no_lock_of_its_parent(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:

        def still_open() -> bytes:
            return str(Path(f"/proc/self/fd/{lock.fileno()}").exists()).encode()

        with aside(still_open) as made:
            assert made() == b"False"


def test_signals_are_handled_afterwards_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with aside(who) as made:
        made()
        assert (signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(signal.SIG_BLOCK, [])) == before


def test_what_is_printed_is_printed_once(capfd: pytest.CaptureFixture[str]) -> None:
    def talking() -> bytes:
        sys.stdout.write("aside\n")
        return b""

    sys.stdout.write("before\n")
    with aside(talking) as made:
        made()
    sys.stdout.write("after\n")
    assert capfd.readouterr().out == "before\naside\nafter\n"


def test_a_child_that_is_ready_gets_the_work_and_what_belongs_to_it(tmp_path: Path) -> None:
    warmed = tmp_path / "warm"
    given = bytes(range(256)) * 20_000
    with ready(lambda: warmed.write_bytes(who()), lambda message: message + who()) as done:
        made = done(given)
    assert made == given + warmed.read_bytes()
    assert gone(int(warmed.read_bytes()))


@pytest.mark.parametrize("fails", ["warming up", "at work", "killed"])
def test_a_child_that_fails_is_replaced_by_its_parent(fails: str) -> None:
    parent = os.getpid()

    def warm() -> None:
        if fails == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        assert fails == "at work"

    def work(given: bytes) -> bytes:
        assert os.getpid() == parent
        return given + who()

    given = bytes(4 << 20)  # more than a line holds: nobody waits for ever for a reader who is gone
    with ready(warm, work) as done:
        assert done(given) == given + str(parent).encode()


def test_a_child_that_is_never_asked_goes_with_the_block(tmp_path: Path) -> None:
    named = tmp_path / "child"
    with ready(lambda: named.write_bytes(who()), lambda given: given):
        while not (named.is_file() and named.read_bytes()):
            time.sleep(0.01)
    assert gone(int(named.read_bytes()))
