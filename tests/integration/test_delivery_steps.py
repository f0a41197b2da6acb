"""steps.changed and steps.describe, with a real ledger: every end that they name, and what they print."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from ci.adapters import floors, keys, services
from ci.ledger.interface import By
from ci.model.bundles import Bundle
from ci.shared import shared
from tests.integration.test_release_manager import desk  # noqa: F401  # a fixture
from tests.releases import release
from tests.unit.gate import toy


@pytest.fixture
def bundled(desk):  # noqa: F811
    """A bundle in artifacts/, and a server in the repository."""
    for name in ("serving", "requirements-serving.lock"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("as it was")
    desk.git("add", "serving", "requirements-serving.lock")
    desk.git("commit", "--quiet", "-m", "a server")
    folder = toy.bundle(desk.root / "bundle", (0.4, 0.8))
    shutil.rmtree("artifacts/toy", ignore_errors=True)
    shutil.copytree(folder, "artifacts/toy")
    return desk


def registered(desk, version="1.0.0", **more):  # noqa: F811
    record = release(version, project="toy", bundle=Bundle(Path("artifacts/toy")).digest, **more)
    floors.ledger(shared()).register(record, By("ci"))
    return record


def printed(desk, capsys, *arguments):  # noqa: F811
    capsys.readouterr()
    assert desk.step("changed", *arguments, project=None) == 0
    return capsys.readouterr().out


def test_what_is_printed_is_names_and_nothing_else(bundled, capsys):
    assert printed(bundled, capsys) == "toy\n"
    record = registered(bundled, git_commit=bundled.git("rev-parse", "HEAD"))
    assert printed(bundled, capsys) == "toy\n"
    assert "was never live in staging" in bundled.report("changed", "all")["checks"][0]["message"]
    bundled.running["staging"].live = record.version
    floors.ledger(shared()).add(_live(record))
    assert printed(bundled, capsys) == "\n"
    assert bundled.report("changed", "all")["message"] == "nothing to release"
    assert printed(bundled, capsys, "--all") == "toy\n"
    assert json.loads(printed(bundled, capsys, "--json"))["data"] == {"projects": []}
    Path("serving").write_text("safer")
    assert printed(bundled, capsys) == "toy\n"


def _live(record):
    from ci.ledger.event import Kind, drafted

    return drafted(record, kind=Kind.ASSIGNED, environment="staging", actor="ci", how="promoted")


def test_a_service_that_is_named_is_released_when_its_code_a_contract_or_its_lock_changes(bundled, capsys):
    for name in ("collector", "serving_code"):
        Path(name).mkdir()
    Path("serving").unlink()
    Path("serving_code").rename("serving")
    for name in ("collector/app.py", "serving/app.py", "requirements-collector.lock", "NOTES.md"):
        Path(name).write_text("as_it = 'was'\n")
    Path("params.yaml").write_text(Path("params.yaml").read_text() + "services: {collector: {}}\n")
    bundled.git("add", "--all")
    bundled.git("commit", "--quiet", "-m", "a service")
    head = bundled.git("rev-parse", "HEAD")
    floors.ledger(shared()).add(_live(registered(bundled, git_commit=head)))
    assert printed(bundled, capsys) == "collector\n"
    assert printed(bundled, capsys, "--all") == "toy\n"
    assert printed(bundled, capsys, "--all", "--deployed") == "toy collector\n"
    with tempfile.TemporaryDirectory() as folder:
        digest = services.made(Path(folder, "b")).digest
    record = release("1.0.0", project="collector", bundle=digest, git_commit=head)
    floors.ledger(shared()).register(record, By("ci"))
    floors.ledger(shared()).add(_live(record))
    assert printed(bundled, capsys) == "\n"
    for name, said in (("NOTES.md", "\n"), ("collector/app.py", "collector\n"),
                       ("requirements-collector.lock", "collector\n"), ("projects/toy/contract.yaml", "collector\n")):  # fmt: skip
        before = Path(name).read_text()
        Path(name).write_text(f"{before}# other words\n" if name != "projects/toy/contract.yaml" else _wider(before))
        assert printed(bundled, capsys) == said, name
        Path(name).write_text(before)
    shutil.rmtree("collector")
    assert bundled.step("changed", project=None) == 2
    assert "collector: no code" in bundled.report("changed", "all")["message"]


def _wider(contract):
    """Another contract: what senders may send has changed."""
    return contract.replace("maximum: 10}", "maximum: 20}")


@pytest.mark.parametrize("commit", [None, "f" * 40, "--output=owned"])
def test_a_commit_that_nobody_knows_is_a_change(bundled, capsys, commit):
    record = registered(bundled, git_commit=commit)
    floors.ledger(shared()).add(_live(record))
    assert printed(bundled, capsys) == "toy\n"
    assert not Path("owned").exists()


def test_no_bundle_is_2_and_a_silent_remote_5(bundled):
    (bundled.root.parent / "remote.git").rename(bundled.root.parent / "gone.git")
    assert bundled.step("changed", project=None) == 5
    shutil.rmtree("artifacts/toy")
    assert bundled.step("changed", project=None) == 2
    assert "no bundle yet" in bundled.report("changed", "all")["message"]


def test_a_build_is_described_whatever_is_missing(bundled, capsys):
    capsys.readouterr()
    assert bundled.step("describe", project=None) == 0
    assert capsys.readouterr().out == "no reports\n"
    assert bundled.step("changed", project=None) == 0
    Path("reports/toy").mkdir(exist_ok=True)
    Path("reports/toy/gate.json").write_text("{ broken")
    capsys.readouterr()
    assert bundled.step("describe", project=None) == 0
    assert capsys.readouterr().out == "something new in toy\n"
    Path("params.yaml").write_text("projects: toy\n")
    assert bundled.step("describe", project=None) == 2


def test_promote_finds_its_release_in_the_workspace_or_below(bundled):
    def said(*arguments):
        assert bundled.step("promote", *arguments, "--dry-run") == 2
        return bundled.report("promote")["message"]

    assert "reports/toy/package.json is missing" in said("--release", "packaged", "--to", "staging")
    Path("reports/toy").mkdir(exist_ok=True)
    Path("reports/toy/package.json").write_text(json.dumps({"outcome": "unavailable", "data": {}}))
    assert "unavailable, no release" in said("--release", "packaged", "--to", "staging")
    Path("reports/toy/package.json").write_text(json.dumps({"data": {"release": {"version": "1.0.0"}}}))
    assert "toy@v1.0.0: unknown version" in said("--release", "packaged", "--to", "staging")
    assert "staging is the first environment" in said("--to", "staging")
    assert "nothing of toy is live in staging" in said("--to", "production")
    keys.signer(shared().signing, lambda _: None)
    record = registered(bundled)
    floors.ledger(shared()).add(_live(record))
    assert bundled.step("promote", "--to", "production", "--dry-run") == 3
    assert bundled.report("promote")["facts"]["release"] == "toy@v1.0.0"
