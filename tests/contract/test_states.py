"""What rollouts rely on of whatever keeps their state; a folder and an engine keep the same contract."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from ci.adapters.states import FolderState  # noqa: E402
from ci.adapters.targets.engine_state import EngineState  # noqa: E402
from ci.errors import BadInput, StepError, Unavailable  # noqa: E402
from ci.rollout.state import State  # noqa: E402
from tests.containers import DockerPlace  # noqa: E402


def state(generation, live=None):
    return State(generation=generation, project="flights", environment="staging", door=20000, admin=20001, live=live)


class StoreContract(ABC):
    """Subclass it, and open the same store as often as asked: as agents do."""

    @abstractmethod
    def opened(self, tmp_path):
        """Open the store once more."""

    @abstractmethod
    def torn(self, tmp_path):
        """Spoil what is kept, so that nothing of it can be read."""

    @pytest.fixture
    def one(self, tmp_path):
        return self.opened(tmp_path)

    @pytest.fixture
    def other(self, tmp_path):
        return self.opened(tmp_path)

    def test_at_first_there_is_nothing(self, one):
        assert (one.read(), one.held_by(), one.silent_s(), one.asked_to_stop()) == (None, None, None, None)

    def test_what_one_writes_the_other_reads(self, one, other):
        for generation in (1, 2, 3):
            one.write(state(generation, f"1.{generation}.0"))
            assert other.read() == state(generation, f"1.{generation}.0")

    @pytest.mark.parametrize("generation", [1, 2, 4])
    def test_only_the_next_generation_is_written(self, one, other, generation):
        one.write(state(1))
        other.write(state(2, "1.0.0"))
        with pytest.raises(Unavailable, match="somebody else wrote in between"):
            one.write(state(generation))
        assert one.read() == state(2, "1.0.0")

    def test_what_cannot_be_read_is_no_state(self, one, tmp_path):
        one.write(state(1))
        self.torn(tmp_path)
        with pytest.raises(BadInput):
            self.opened(tmp_path).read()

    def test_one_holds_it_and_the_other_hears_who_does(self, one, other):
        with one.hold("Ann"):
            assert str(other.held_by()).startswith("Ann since 20")
            with pytest.raises(Unavailable, match="flights in staging: held by Ann since 20"), other.hold("Bob"):
                pytest.fail("both hold it")
            one.write(state(1))
            assert one.read() == other.read() == state(1)
        assert other.held_by() is None
        with other.hold("Bob"):
            assert str(one.held_by()).startswith("Bob since")

    def test_it_is_let_go_of_however_the_block_ends(self, one, other):
        with pytest.raises(KeyboardInterrupt), one.hold("Ann"):
            raise KeyboardInterrupt
        with other.hold("Bob"):
            pass

    def test_of_many_at_once_one_gets_it(self, tmp_path):
        stores, go, said = [self.opened(tmp_path) for _ in range(4)], threading.Barrier(4), []
        inside = threading.Semaphore(1)

        def agent(store):
            go.wait()
            try:
                with store.hold("agent"):
                    assert inside.acquire(blocking=False), "two at once"
                    threading.Event().wait(3)
                    inside.release()
                    return "held"
            except StepError as error:
                return str(error)

        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(agent, stores))
        assert said.count("held") >= 1
        assert all(word == "held" or "held by agent since" in word for word in said)

    def test_the_last_sign_of_life_is_remembered(self, one, other):
        with one.hold("Ann"):
            assert other.silent_s() < 10
        assert other.silent_s() < 10

    def test_a_wish_reaches_the_holder_and_not_the_next_one(self, one, other):
        with one.hold("Ann"):
            assert one.asked_to_stop() is None
            other.ask_to_stop("Bob")
            deadline = threading.Event()
            while one.asked_to_stop() is None:
                assert not deadline.wait(0.1)
            assert one.asked_to_stop() == "Bob"
        with other.hold("Bob"):
            assert other.asked_to_stop() is None


class TestFolder(StoreContract):
    """The state of processes, in a folder."""

    def opened(self, tmp_path):
        return FolderState(tmp_path / "flights" / "staging")

    def torn(self, tmp_path):
        (tmp_path / "flights" / "staging" / "state.json").write_text('{"generation": ')


class TestEngine(StoreContract):
    """The state of containers, on their engine."""

    @pytest.fixture(autouse=True)
    def _place(self, docker_engine, tmp_path):
        self.place = DockerPlace(tmp_path, "sha256:" + "0" * 64)
        yield
        self.place.sweep()
        assert self.place.names() == []

    def opened(self, tmp_path):
        return self.place.store()

    def torn(self, tmp_path):
        self.place.engine.put(f"{self.place.base}-state", "/state", {"a.json": b"{", "b.json": b'{"sha256": 1}'})

    def test_a_torn_write_leaves_the_generation_before(self, one, other):
        one.write(state(1))
        one.write(state(2, "1.0.0"))
        self.place.engine.put(f"{self.place.base}-state", "/state", {"b.json": b'{"sha256": "12", "state": {"gen'})
        assert other.read() == state(2, "1.0.0")

    def test_a_keeper_that_was_pruned_takes_nothing_with_it(self, one, other):
        one.write(state(1, "1.0.0"))
        self.place.engine.discard(f"{self.place.base}-state")
        assert other.read() == state(1, "1.0.0")

    def test_a_holder_of_this_machine_that_was_killed_is_followed_at_once(self, one):
        code = (
            "import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
            "from ci.adapters.containers import Containers\n"
            "from ci.adapters.targets.engine_state import EngineState\n"
            "with EngineState(Containers(60), sys.argv[2], 'x').hold('Ann'): os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(ROOT), self.place.base], timeout=60)
        assert done.returncode == -signal.SIGKILL
        assert self.place.engine.find(f"{self.place.base}-lock")
        assert one.held_by() is None
        slow = EngineState(self.place.engine, self.place.base, "x", silent_s=600)
        began = time.monotonic()
        with slow.hold("Bob"):
            assert time.monotonic() - began < 20

    def test_whoever_fell_silent_is_followed_and_cannot_write_any_more(self, one, other, monkeypatch):
        one.write(state(1))
        with one.hold("Ann"):
            one.write(state(2))
            monkeypatch.setattr(self.place.engine.__class__, "put", _deaf(self.place.engine.__class__.put, one._lock))
            with other.hold("Bob"):
                assert str(one.held_by() or "Bob").startswith("Bob")
                monkeypatch.undo()
                with pytest.raises(Unavailable, match="flights in staging: somebody else took over"):
                    one.write(state(3, "9.9.9"))
                other.write(state(3, "1.0.0"))
            assert other.read() == state(3, "1.0.0")


def _deaf(put, lock):
    """Lose what is written to one container, as if its holder had stopped."""
    return lambda self, name, *more, **named: None if name == lock else put(self, name, *more, **named)
