"""Champions: from a folder, from a Git revision through DVC, from a release ledger."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci.adapters.champions import FoundChampions
from ci.errors import BadInput, Unavailable
from ci.model.bundles import Bundle
from tests.unit.gate import toy


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Return a checkout in which DVC has locked two bundles, one commit each; the second one lies there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "t")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "t@example.org")
    run("git", "init", "--quiet")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    stage = "stages: {bundle: {cmd: 'cp -r source artifacts/toy', outs: [artifacts/toy], deps: [source]}}\n"
    Path("dvc.yaml").write_text(stage, encoding="utf-8")
    Path("artifacts").mkdir()
    Path(".gitignore").write_text("/artifacts\n/source\n/.slipway\n", encoding="utf-8")
    for name, weight in (("old", 0.4), ("new", 1.5)):
        if Path("source").exists():
            run("rm", "-r", "source")
        toy.bundle(Path("source"), (weight, 0.8))
        run(sys.executable, "-m", "dvc", "repro", "--quiet")
        run("git", "add", ".")
        run("git", "commit", "--quiet", "-m", name)
        run("git", "tag", name)
    return tmp_path


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Ledger:
    """A release ledger that says one thing."""

    where = "in production"

    def __init__(self, live):
        self.answer = live

    def live(self, project):
        return self.answer

    def released(self, project, name):
        return None


def test_a_revision_has_the_bundle_that_it_locked(built):
    champion = FoundChampions(60).find("toy", "old")
    assert Bundle(champion.folder).digest != Bundle(Path("artifacts/toy")).digest
    assert Bundle(FoundChampions(60).find("toy", "HEAD").folder).digest == Bundle(Path("artifacts/toy")).digest
    assert champion.source.startswith("old (")
    assert FoundChampions(60).find("toy", champion.at).folder == champion.folder, "an anchor is found again by it"
    assert not list(champion.folder.parent.glob(".*")), "nothing half-fetched is left"


def test_a_bundle_that_was_fetched_once_is_not_fetched_again(built, monkeypatch):
    first = FoundChampions(60).find("toy", "old")
    monkeypatch.setattr(FoundChampions, "_fetch", lambda *_: pytest.fail("fetched again"))
    assert FoundChampions(60).find("toy", "old").folder == first.folder


def test_a_bundle_that_nobody_has_is_unavailable(built):
    run("rm", "-r", ".dvc/cache")
    with pytest.raises(Unavailable, match=r"artifacts/toy of \w{10}: dvc get: "):
        FoundChampions(60).find("toy", "old")
    assert not Path(".slipway/champions/toy").exists() or not list(Path(".slipway/champions/toy").iterdir())


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("no-such-thing", "neither a folder nor a Git revision"),
        ("--output=x", "neither a folder nor a Git revision"),
    ],
)
def test_what_is_no_revision_is_bad_input(built, wanted, message):
    with pytest.raises(BadInput, match=message):
        FoundChampions(60).find("toy", wanted)


def test_a_revision_without_this_project_is_bad_input(built):
    with pytest.raises(BadInput, match="its dvc.lock names no artifacts/other"):
        FoundChampions(60).find("other", "old")


def test_what_was_not_named_is_asked_of_the_ledger(built):
    assert FoundChampions(60).find("toy", None).asked_for is False
    assert FoundChampions(60, Ledger(None)).find("toy", None).folder is None
    assert FoundChampions(60, Ledger(None)).find("toy", None).asked_for is True
    live = FoundChampions(60, Ledger("old")).find("toy", None)
    assert Bundle(live.folder).digest == Bundle(FoundChampions(60).find("toy", "old").folder).digest
    assert FoundChampions(60, Ledger("old")).find("toy", "none").folder is None
