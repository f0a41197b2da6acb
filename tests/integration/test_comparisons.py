"""The comparisons ledger in a Git ref: it survives agents and clones, and nobody's number is taken twice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci.adapters import comparisons as ledgers
from ci.adapters.comparisons import REF, FolderComparisons, GitComparisons
from ci.errors import BadInput, Unavailable
from ci.gate.budget import settled
from tests.unit.gate.test_budget import SET, comparison, pair


def git(*arguments, cwd):
    done = subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def clones(tmp_path, monkeypatch):
    """Return two clones of one remote, as two agents have them."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git("init", "--bare", "--quiet", "remote.git", cwd=tmp_path)
    made = []
    for name in ("one", "two"):
        git("clone", "--quiet", "remote.git", name, cwd=tmp_path)
        made.append(tmp_path / name)
    return made


def at(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return ledgers.found(None)


def test_a_clone_sees_what_another_agent_judged(clones, monkeypatch):
    one, two = clones
    assert at(one, monkeypatch).add(comparison(1, 1)) is True
    store = at(two, monkeypatch)
    assert isinstance(store, GitComparisons)
    assert [item.pair for item in store.of("toy", SET)] == [pair(1)]
    assert settled(store, "toy", SET, pair(2), lambda n: comparison(n, 2)).number == 2
    assert [item.number for item in at(one, monkeypatch).of("toy", SET)] == [1, 2]
    assert at(one, monkeypatch).others("toy", "d" * 64)[0][1] == 2
    assert "origin" in store.place()
    assert [item.pair for item in store.by("toy", pair(2).challenger)] == [pair(2)]
    assert store.by("toy", pair(2).champion) == [], "as the challenger, not as anything"


def test_a_number_that_was_taken_meanwhile_is_a_lost_race(clones, monkeypatch):
    one, two = clones
    assert at(one, monkeypatch).add(comparison(1, 1)) is True
    assert at(two, monkeypatch).add(comparison(1, 2)) is False
    assert at(two, monkeypatch).of("toy", SET)[0].pair == pair(1)


def test_a_push_between_fetch_and_push_is_a_lost_race(clones, monkeypatch):
    one, two = clones
    store = at(two, monkeypatch)
    fetch = GitComparisons._fetch

    def somebody_is_quicker(self):
        fetch(self)
        monkeypatch.setattr(GitComparisons, "_fetch", fetch)
        monkeypatch.chdir(one)
        GitComparisons("origin").add(comparison(1, 1))
        monkeypatch.chdir(two)

    monkeypatch.setattr(GitComparisons, "_fetch", somebody_is_quicker)
    assert store.add(comparison(1, 2)) is False
    assert settled(store, "toy", SET, pair(2), lambda n: comparison(n, 2)).number == 2
    assert git("rev-list", "--count", REF, cwd=one.parent / "remote.git") == "2"


def test_many_processes_share_no_number(clones):
    script = (
        "import sys; from ci.adapters import comparisons as l; from ci.gate.budget import settled;"
        "from tests.unit.gate.test_budget import SET, comparison, pair; who = int(sys.argv[1]);"
        "settled(l.found(None), 'toy', SET, pair(who), lambda n: comparison(n, who))"
    )
    root = Path(__file__).resolve().parents[2]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(who)], cwd=clones[who % 2], env={**os.environ, "PYTHONPATH": str(root)}
        )
        for who in range(4)
    ]
    assert [process.wait(120) for process in running] == [0, 0, 0, 0]
    names = git("ls-tree", "-r", "--name-only", REF, cwd=clones[0].parent / "remote.git").splitlines()
    assert names == [f"toy/{SET}/{number:06d}.json" for number in (1, 2, 3, 4)]


def test_the_checkout_is_left_alone(clones, monkeypatch):
    at(clones[0], monkeypatch).add(comparison(1))
    assert git("status", "--porcelain", cwd=clones[0]) == ""
    assert git("branch", "--all", cwd=clones[0]) == ""


def test_without_a_remote_the_ref_stays_in_the_clone(tmp_path, monkeypatch):
    git("init", "--quiet", ".", cwd=tmp_path)
    store = at(tmp_path, monkeypatch)
    assert store.place().endswith("in this clone alone")
    assert [store.add(comparison(n)) for n in (1, 2, 2)] == [True, True, False]
    assert git("rev-list", "--count", REF, cwd=tmp_path) == "2"


def test_a_remote_that_is_gone_is_unavailable_unless_one_judges_alone(clones, monkeypatch):
    store = at(clones[0], monkeypatch)
    (clones[0].parent / "remote.git").rename(clones[0].parent / "gone")
    with pytest.raises(Unavailable, match="origin: does not answer") as caught:
        store.of("toy", SET)
    assert "--comparisons local" in caught.value.hint
    local = ledgers.found("local")
    assert local.add(comparison(1)) is True
    assert "in this clone alone" in local.place()


def test_a_remote_that_takes_no_push_is_unavailable(clones, monkeypatch):
    hook = clones[0].parent / "remote.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'no writing for you' >&2\nexit 1\n", encoding="utf-8")
    hook.chmod(0o755)
    with pytest.raises(Unavailable, match=r"origin: does not take refs/slipway/comparisons"):
        at(clones[0], monkeypatch).add(comparison(1))


def test_outside_git_it_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    store = at(tmp_path, monkeypatch)
    assert isinstance(store, FolderComparisons)
    assert store.add(comparison(1)) is True
    assert (tmp_path / ".slipway/comparisons/toy" / SET / "000001.json").is_file()
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="file: a file, not a folder"):
        ledgers.found("file")
