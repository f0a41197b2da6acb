"""Publishing with real Git and a real DVC remote; one story, told in order."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from gto.constants import Action
from gto.tag import parse_name

from slipway import DataError, describe_data, load_data, versions
from tests.integration.conftest import Checkout, new_checkout, visits

pytestmark = pytest.mark.slow
HOOK = """#!/bin/sh
while read former now ref; do
  case "$ref" in refs/heads/data/*) [ -s {pid} ] && kill -KILL "$(cat {pid})" ;; esac
done
exit 0
"""


class Site:
    """A shop with an origin whose hook can kill whoever has just pushed data."""

    def __init__(self, root: Path) -> None:
        (root / "desk").mkdir()
        self.root, self.origin, self.pid = root, root / "origin.git", root / "pid"
        self.desk: Checkout = new_checkout(root / "desk")
        (self.desk.path / "params.yaml").write_text("projects: [shop]\nledger: {remote: origin}\n")
        self.as_of("2024-03-01")
        self.desk.commit("a shop")
        self.git("clone", "-q", "--bare", ".", str(self.origin))
        self.git("remote", "add", "origin", str(self.origin))
        hook = self.origin / "hooks/post-receive"
        hook.write_text(HOOK.format(pid=self.pid))
        hook.chmod(0o755)

    def as_of(self, day: str) -> None:
        path = self.desk.path / "projects/shop/params.yaml"
        lines = [f'as_of: "{day}"' if line.startswith("as_of") else line for line in path.read_text().splitlines()]
        path.write_text("\n".join(lines) + "\n")

    def git(self, *arguments: str) -> str:
        done = self.desk.command("git", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.desk.run(*arguments)

    def data(self) -> None:
        done = self.run("steps.repro", "--project", "shop", "--only", "data")
        assert done.returncode == 0, done.stderr

    def tree(self) -> tuple[str, str, str, str]:
        """What Git knows of the working tree: commit, branch, index, what is changed."""
        return (self.git("rev-parse", "HEAD"), self.git("branch", "--show-current"), self.git("ls-files", "--stage"),
                self.git("status", "--short"))  # fmt: skip

    def killed(self) -> int:
        """Publish, and be killed as soon as the branch has moved."""
        command = [sys.executable, "-m", "steps.publish", "--project", "shop"]
        process = subprocess.Popen(command, cwd=self.desk.path, env=self.desk.environment(), stderr=subprocess.DEVNULL)
        self.pid.write_text(str(process.pid))
        code = process.wait(120)
        self.pid.unlink()
        return code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("publishing"))


def test_a_dirty_tree_is_neither_needed_clean_nor_touched(site: Site) -> None:
    site.data()
    (site.desk.path / "NOTES.md").write_text("staged\n")
    site.git("add", "NOTES.md")
    site.desk.edit("README.md", "# ", "# Half-written: ")
    before = site.tree()
    done = site.run("steps.publish", "--project", "shop", "--actor", "ann")
    assert done.returncode == 0, done.stderr
    assert site.tree() == before
    changed = site.git("--git-dir", str(site.origin), "diff", "--name-only", "main", "data/shop").split()
    folder = {f"datasets/shop/{name}" for name in ("README.md", "card.html", "report.css", "version.json", "periods.png", "drift.png", "distributions.png")}  # fmt: skip
    assert set(changed) == {*folder, "dvc.lock"}  # as_of was committed as it is
    named = parse_name("shop-data@v1.0.0")
    assert (named["action"], named["name"], named["version"]) == (Action.REGISTER, "shop-data", "v1.0.0")


def test_killed_between_branch_and_ledger_the_next_run_registers_that_very_commit(site: Site) -> None:
    site.as_of("2024-04-01")
    site.data()
    assert site.killed() == -signal.SIGKILL
    tip = site.git("ls-remote", str(site.origin), "refs/heads/data/shop").split()[0]
    assert "shop-data@v1.1.0" not in site.git("ls-remote", "--tags", str(site.origin))
    done = site.run("steps.publish", "--project", "shop")
    assert done.returncode == 0, done.stderr
    assert site.git("rev-parse", "shop-data@v1.1.0^{commit}").strip() == tip
    assert site.git("ls-remote", str(site.origin), "refs/heads/data/shop").split()[0] == tip
    again = site.run("steps.publish", "--project", "shop")
    assert "shop-data@v1.1.0 has these rows already" in again.stderr


def test_others_get_exactly_the_rows_of_a_version(site: Site, tmp_path: Path) -> None:
    assert versions("shop", site.origin) == ["1.0.0", "1.1.0"]
    rows, delivered = load_data("shop", "v1.0.0", repository=site.origin), visits()
    old = delivered[delivered["day"] < "2024-03-01"]
    assert sorted(rows["id"]) == sorted(old["id"])
    march = load_data("shop", repository=site.origin, since="2024-03", columns=["id", "day"])
    assert list(march.columns) == ["id", "day"]
    assert len(march) == len(delivered) - len(old)
    assert describe_data("shop", repository=site.origin)["record"]["watermark"] == "2024-03-31T00:00:00"
    got = site.desk.command(
        "dvc", "get", "--rev", "shop-data@v1.0.0", str(site.origin), "data/shop/raw", "--out", "got"
    )
    assert got.returncode == 0, got.stderr
    assert sum(len(pd.read_parquet(path)) for path in (site.desk.path / "got").glob("*.parquet")) == len(old)
    mine = tmp_path / "mine"
    mine.mkdir()
    for command in (("init", "--no-scm"), ("import", "--rev", "shop-data@v1.0.0", str(site.origin), "data/shop/raw")):
        done = subprocess.run([sys.executable, "-m", "dvc", "-q", *command], cwd=mine, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert sum(len(pd.read_parquet(path)) for path in (mine / "raw").glob("*.parquet")) == len(old)
    assert "shop-data@v1.0.0" in (mine / "raw.dvc").read_text(), "the link is kept"
    for wrong, said in ((("shop", "2.0.0"), "no version '2.0.0'"), (("nobody", None), "no version in"), (("../x", None), "not a project")):  # fmt: skip
        with pytest.raises(DataError, match=said):
            load_data(*wrong, repository=site.origin)
    with pytest.raises(DataError, match="spendings"):
        load_data("shop", repository=site.origin, columns=["spendings"])


def test_the_list_tells_of_both_and_the_promise_is_held_by_the_given_clock(site: Site) -> None:
    done = site.run("steps.datasets", "--project", "shop", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)["data"]["projects"]["shop"]
    assert [item["name"] for item in listed] == ["shop-data@v1.1.0", "shop-data@v1.0.0"]
    path = site.desk.path / "projects/shop/params.yaml"
    path.write_text(path.read_text() + "freshness: {max_age_days: 30}\n")
    kept = site.run("steps.check_data", "--project", "shop", "--freshness-only", "--now", "2024-04-20")
    late = site.run("steps.check_data", "--project", "shop", "--freshness-only")
    assert (kept.returncode, late.returncode) == (0, 3), late.stderr
    assert "days old, promised are 30" in late.stderr
    assert (site.desk.path / "reports/shop/check_data.json").is_file()  # the check's own word stays
    site.git("remote", "set-url", "origin", str(site.root / "gone.git"))
    for step in (["steps.check_data", "--freshness-only"], ["steps.publish"], ["steps.datasets"]):
        gone = site.run(step[0], "--project", "shop", *step[1:])
        assert gone.returncode == 5, gone.stderr
    site.git("remote", "set-url", "origin", str(site.origin))


def test_what_is_wrong_or_unchecked_is_said_in_one_line(site: Site) -> None:
    for options, said in ((["--branch", "a b"], "--branch: branch"), (["--branch", "x.lock"], "--branch: x.lock")):
        done = site.run("steps.publish", "--project", "shop", *options)
        assert (done.returncode, done.stderr.startswith(f"publish: bad input: {said}")) == (2, True), done.stderr
    unknown = site.run("steps.datasets", "--project", "shoop")
    assert (unknown.returncode, "shoop: unknown project" in unknown.stderr) == (2, True)
    (site.desk.path / "data/shop/check.json").unlink()
    done = site.run("steps.publish", "--project", "shop")
    assert done.returncode == 3
    assert "nobody has checked these rows" in done.stderr


def test_rows_that_were_tampered_with_are_refused(site: Site) -> None:
    remote = site.root / "remote"
    part = describe_data("shop", "1.0.0", repository=site.origin)["described"]["periods"][0]
    for path in (item for item in remote.rglob("*") if item.is_file()):
        raw = path.read_bytes()
        if raw[:4] == b"PAR1":
            path.chmod(0o644)
            path.write_bytes(raw[:-1] + b"X")
    with pytest.raises(DataError, match=rf"shop-data@v1.0.0: .*{part['period']}"):
        load_data("shop", "1.0.0", repository=site.origin)
