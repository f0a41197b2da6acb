"""
The release manager's steps, with real Git, a real registry in a folder and real signatures; what runs is in memory.

Every exit code that their docstrings name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import types
from datetime import UTC, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from ci.adapters import floors, keys, registry  # noqa: E402
from ci.adapters.champions import FoundChampions  # noqa: E402
from ci.adapters.ledger import found  # noqa: E402
from ci.adapters.live import champion_of  # noqa: E402
from ci.adapters.people import actor  # noqa: E402
from ci.adapters.queue import FolderQueue  # noqa: E402
from ci.errors import BadInput, Outcome, Unavailable  # noqa: E402
from ci.ledger.event import Kind  # noqa: E402
from ci.ledger.interface import By  # noqa: E402
from ci.model.bundles import Bundle  # noqa: E402
from ci.packaging import data, evidence  # noqa: E402
from ci.packaging.provenance import Made  # noqa: E402
from ci.shared import shared  # noqa: E402
from tests.releases import SEEN, MemoryRunning, release  # noqa: E402
from tests.unit.gate import toy  # noqa: E402

PARAMS = """\
projects: [toy]
environments:
  - {name: staging}
  - {name: production, approvals: {four_eyes: true}, keep_warm_s: 60}
"""
LINEAGE = {"data": {"version": "d" * 64}, "params": "e" * 64, "code": {}}


class Desk:
    """A checkout with a remote, one running service per environment, and releases that were really packaged."""

    def __init__(self, root):
        self.root = root
        self.running = {"staging": MemoryRunning(), "production": MemoryRunning()}
        self.codes = {}
        toy.checkout(root)
        (root / "params.yaml").write_text(PARAMS)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "params.yaml", "dvc.yaml", "projects")
        self.git("commit", "--quiet", "-m", "begin")
        self.git("init", "--quiet", "--bare", str(root.parent / "remote.git"))
        self.git("remote", "add", "origin", str(root.parent / "remote.git"))

    def git(self, *arguments):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        return subprocess.run(
            ["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True, text=True
        ).stdout.strip()

    def made(self, version, weights, *, champion=None, signed=True):
        """Package and register a release."""
        folder = toy.bundle(self.root / "bundles" / version, weights)
        store, signer = registry.found(shared().registry), keys.signer(shared().signing, lambda _: None)
        packaged = data.push(store, "slipway/toy", folder)
        digest = Bundle(folder).digest
        if signed:
            made = Made("toy", version, digest, "b" * 64, LINEAGE)
            evidence.publish(store, {"data": packaged}, made, b"{}", signer)
        gate = {"outcome": "passed", "report": "f" * 64, "champion": champion}
        record = release(version, project="toy", bundle=digest, packagings={"data": packaged}, key=signer.fingerprint, gate=gate)  # fmt: skip
        floors.ledger(shared()).register(record, By("ci"))
        return record

    def step(self, name, *arguments, project="toy"):
        """Run a step in this process, so that what runs may lie in memory; return its exit code."""
        import importlib

        main = importlib.import_module(f"steps.{name}").main
        given = [*(["--project", project] if project else []), *arguments]
        with pytest.raises(SystemExit) as ended:
            main.main(given)
        return ended.value.code

    def report(self, name, project="toy"):
        return json.loads((self.root / "reports" / project / f"{name}.json").read_text(encoding="utf-8"))

    @property
    def history(self):
        return found().history("toy").trusted()


@pytest.fixture
def desk(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("GIT_", "SLIPWAY_", "BUILD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "checkout").mkdir()
    monkeypatch.chdir(tmp_path / "checkout")
    made = Desk(tmp_path / "checkout")
    machinery = types.ModuleType("ci.adapters.environments")
    machinery.running = lambda project, environment, shared, **_: made.running[environment.name]
    machinery.verifier = lambda *_: None
    monkeypatch.setitem(sys.modules, "ci.adapters.environments", machinery)
    return made


@pytest.fixture
def live(desk):
    """v1.0.0 live everywhere; v1.1.0, judged against it, live in staging."""
    first = desk.made("1.0.0", (0.4, 0.8))
    for target in ("staging", "production"):
        assert desk.step("promote", "--release", "v1.0.0", "--to", target, "--actor", "ann", "--approver", "bob") == 0
    desk.made("1.1.0", (1.5, 0.8), champion=first.bundle)
    assert desk.step("promote", "--release", "v1.1.0", "--to", "staging", "--actor", "ann") == 0
    return desk


UP = ("--release", "toy@v1.1.0", "--to", "production", "--actor", "ann")


def test_from_staging_to_production_and_back_with_every_question_answered(live, capsys):
    assert live.step("promote", *UP, "--from", "staging", "--dry-run") == 4  # nobody has agreed yet
    assert (
        live.step("approve", "--release", "v1.1.0", "--env", "production", "--as", "bob", "--reason", "looked at it")
        == 0
    )
    assert live.step("promote", *UP, "--from", "staging", "--dry-run") == 0
    assert live.running["production"].live == "1.0.0"
    assert live.step("promote", *UP, "--from", "staging", "--reason", "better by 3 points") == 0
    assert live.running["production"].live == "1.1.0"
    assert live.step("status", project=None) == 0
    assert live.step("rollback", "--env", "production", "--reason", "errors rise", "--actor", "eve") == 0
    assert live.running["production"].live == "1.0.0"
    assert live.step("mark", "--release", "v1.1.0", "--reason", "errors rise", "--actor", "eve") == 0
    assert live.step("promote", *UP) == 3
    assert "marked bad by eve" in live.report("promote")["message"]
    events = live.history.assigned("production")
    assert [(e.version, e.actor, e.approver) for e in events] == [
        ("1.0.0", "ann", "bob"),
        ("1.1.0", "ann", "bob"),
        ("1.0.0", "eve", None),
    ]
    for event in events:
        capsys.readouterr()
        assert live.step("history", "--at", event.when, "--json") == 0
        told = json.loads(capsys.readouterr().out)["data"]["live"]["production"]
        last = [other for other in events if other.when == event.when][-1]  # a second may hold more than one
        assert (told["version"], told["actor"], told["evidence"]) == (last.version, last.actor, SEEN)
    shown = json.loads(subprocess.run([Path(sys.executable).with_name("gto"), "show", "--json"], capture_output=True, text=True, check=True).stdout)  # fmt: skip
    assert shown["toy"]["stage"] == {"staging": "v1.1.0", "production": "v1.0.0"}


def test_deploying_from_the_ledger_is_promoting(live):
    before = len(live.history.events)
    assert (
        live.step("deploy", "--env", "production", "--release", "v1.1.0", "--actor", "ann") == 4
    )  # nobody has agreed yet
    live.made("1.2.0", (1.6, 0.8), champion=live.history.release("1.0.0").bundle)
    assert live.step("deploy", "--env", "production", "--release", "v1.2.0") == 3  # not live below
    assert live.step("deploy", "--env", "staging", "--release", "v1.2.0", "--reason", "try", "--dry-run") == 0
    assert live.step("deploy", "--env", "staging", "--release", "v1.2.0", "--reason", "try", "--actor", "ann") == 0
    event = live.history.live("staging")
    assert (event.version, event.actor, event.reason) == ("1.2.0", "ann", "try")
    assert len(live.history.events) == before + 2  # it was registered, and it is live
    assert live.step("deploy", "--env", "staging", "--release", "v9.9.9") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--release", "v9.9.9", "--to", "production"), "toy@v9.9.9: unknown version"),
        (("--release", "flights@v1.1.0", "--to", "production"), "'flights@v1.1.0' is no release of toy"),
        (("--release", "newest", "--to", "production"), "'newest' is no release of toy"),
        (("--release", "v1.1.0", "--to", "prod"), "prod: unknown environment"),
        (("--release", "v1.1.0"), "--to: missing"),
        (("--release", "v1.1.0", "--to", "production", "--actor", "a\nb", "--approver", "c"), "actor: "),
    ],
)
def test_promote_bad_input_is_2(live, arguments, said):
    assert live.step("promote", *arguments) == 2
    assert said in live.report("promote")["message"]
    assert live.running["production"].live == "1.0.0"


def test_promote_unsigned_and_stale_and_skipped_and_the_same_person_twice_are_3(live):
    live.made("1.2.0", (1.1, 0.8), champion="0" * 64, signed=False)
    assert live.step("promote", "--release", "v1.2.0", "--to", "staging") == 3
    checks = {check["name"]: check for check in live.report("promote")["checks"]}
    assert "unsigned: no signed provenance" in checks["signature"]["message"]
    assert "stale gate: judged against bundle 000000000000" in checks["champion"]["message"]
    assert live.step("promote", "--release", "v1.2.0", "--to", "production") == 3
    assert (
        "v1.2.0 is not live in staging" in {c["name"]: c for c in live.report("promote")["checks"]}["order"]["message"]
    )
    assert live.step("promote", *UP, "--approver", "ANN") == 3
    assert "four eyes: ANN asks and approves" in live.report("promote")["message"]


def test_promote_marked_bad_and_with_an_expired_approval_are_3(live):
    soon = PARAMS.replace("four_eyes: true", "four_eyes: true, valid_hours: 0.0001")
    (live.root / "params.yaml").write_text(soon)
    assert live.step("approve", "--release", "v1.1.0", "--env", "production", "--as", "bob") == 0
    time.sleep(1.5)
    assert live.step("promote", *UP) == 3
    assert "four eyes: the approval by bob expired at " in live.report("promote")["message"]
    assert live.step("mark", "--release", "v1.1.0", "--reason", "leaks the target") == 0
    assert live.step("promote", *UP, "--approver", "bob") == 3
    assert "mark: toy@v1.1.0 was marked bad by " in live.report("promote")["message"]
    assert live.running["production"].live == "1.0.0"


def test_promote_with_a_tampered_ledger_is_3_and_everybody_else_says_so(live):
    live.git("push", "--quiet", "origin", ":refs/tags/toy@v1.0.0")
    assert live.step("promote", *UP, "--approver", "bob") == 3
    assert "ledger: not to be trusted: toy@v1.0.0: was deleted from origin" in live.report("promote")["message"]
    assert live.step("history") == 3
    assert live.step("status", project=None) == 3
    assert live.step("mark", "--release", "v1.0.0", "--reason", "x") == 2
    assert live.step("approve", "--release", "v1.0.0", "--env", "production") == 2
    assert live.step("rollback", "--env", "staging", "--reason", "still works") == 0


def test_promote_frozen_is_3(live):
    frozen = PARAMS.replace("keep_warm_s: 60", "freeze: [{zone: Europe/Berlin, why: holidays}]")
    (live.root / "params.yaml").write_text(frozen)
    assert live.step("promote", *UP, "--approver", "bob") == 3
    assert "freeze: production is frozen (Europe/Berlin): holidays" in live.report("promote")["message"]


def test_promote_without_evidence_from_below_is_4(live):
    ledger = floors.ledger(shared())
    from ci.ledger.event import drafted

    ledger.add(drafted(live.history.release("1.1.0"), kind=Kind.ASSIGNED, environment="staging", actor="ann"))
    assert live.step("promote", *UP, "--approver", "bob") == 4
    assert "nobody has verified it in staging yet" in live.report("promote")["message"]


def test_promote_without_the_remote_is_5(live):
    (live.root.parent / "remote.git").rename(live.root.parent / "gone.git")
    assert live.step("promote", *UP, "--approver", "bob") == 5
    assert live.running["production"].live == "1.0.0"
    assert live.step("mark", "--release", "v1.0.0", "--reason", "x") == 5
    assert live.step("approve", "--release", "v1.0.0", "--env", "production") == 5
    assert live.step("history") == 5
    assert live.step("history", "--offline") == 0


@pytest.mark.parametrize(("ends", "code"), [(Outcome.ROLLED_BACK, 6), (Outcome.NOT_RESTORED, 7)])
def test_a_rollout_that_fails_is_recorded_as_aborted(live, ends, code):
    live.running["production"].ends = ends
    assert live.step("promote", *UP, "--approver", "bob") == code
    event = live.history.events[-1]
    assert (event.kind, event.environment) == (Kind.ABORTED, "production")
    assert event.how.startswith(str(ends))
    assert live.step("rollback", "--env", "production", "--to", "v1.0.0", "--reason", "sure is sure") == (0)
    live.running["production"].live = "1.1.0"
    assert live.step("rollback", "--env", "production", "--to", "v1.0.0") == code


def test_rollback_without_the_remote_moves_and_keeps_the_record(live):
    assert live.step("promote", *UP, "--approver", "bob") == 0
    (live.root.parent / "remote.git").rename(live.root.parent / "gone.git")
    assert live.step("rollback", "--env", "production", "--reason", "night") == 0
    assert live.running["production"].live == "1.0.0"
    assert "it waits in .slipway/environments/ledger/production/toy" in live.report("rollback")["message"]
    (live.root.parent / "gone.git").rename(live.root.parent / "remote.git")
    assert live.step("status", project=None) == 3
    assert "1 event not in the ledger yet" in json.dumps(live.report("status", "all")["data"])
    environment = shared().environments[1]
    checks = floors.records("toy", environment, shared()).settle(live.running["production"].actual)
    assert [check.outcome.value for check in checks] == ["passed"]
    assert live.step("status", project=None) == 0
    assert live.history.live("production").happened


def test_rollback_refusals_and_bad_input(live):
    assert live.step("rollback", "--env", "production") == 3
    assert "nothing else was live, verified" in live.report("rollback")["message"]
    assert live.step("rollback", "--env", "production", "--to", "v1.1.0") == 3
    assert live.step("rollback", "--env", "production", "--to", "v1.1.0", "--force") == 2
    assert live.step("rollback", "--env", "nowhere") == 2
    live.running["production"].silent = True
    assert live.step("rollback", "--env", "production", "--to", "v1.0.0") == 5


def test_status_and_history_bad_input_and_unavailable(live):
    assert live.step("status", "--only", "shop", project=None) == 2
    assert live.step("status", "--env", "nowhere", project=None) == 2
    assert live.step("history", "--at", "yesterday") == 2
    assert live.step("history", "--at", "2026-11-01T10:00") == 2
    live.running["production"].live = "1.1.0"
    assert live.step("status", project=None) == 3
    assert "v1.1.0 runs, the ledger says v1.0.0" in live.report("status", "all")["message"]
    live.running["production"].silent = True
    assert live.step("status", project=None) == 5


def test_approve_a_bad_release_is_3(live):
    assert live.step("mark", "--release", "v1.1.0", "--reason", "leaks") == 0
    assert live.step("approve", "--release", "v1.1.0", "--env", "production", "--as", "bob") == 3


def test_the_champion_is_what_is_live_in_the_last_environment(live, tmp_path):
    door = FoundChampions(60, champion_of(shared()))
    champion = door.find("toy", None)
    assert Bundle(champion.folder).digest == live.history.release("1.0.0").bundle
    assert champion.source.endswith("live in production")
    nothing = door.find("houses", None)
    assert (nothing.folder, nothing.source, nothing.asked_for) == (None, "nothing is live yet in production", True)
    live.git("push", "--quiet", "origin", ":refs/tags/toy@v1.0.0")
    with pytest.raises(BadInput, match="ledger of toy: toy@v1.0.0: was deleted from origin"):
        door.find("toy", None)
    (live.root.parent / "remote.git").rename(live.root.parent / "gone.git")
    with pytest.raises(Unavailable):
        door.find("toy", None)


def test_a_champion_that_the_registry_lost_is_asked_of_dvc_by_its_tag(live):
    import shutil

    shutil.rmtree(live.root / ".slipway" / "registry")
    assert champion_of(shared()).live("toy") == "toy@v1.0.0"


def test_without_environments_there_is_no_champion_to_ask_for(desk):
    (desk.root / "params.yaml").write_text("projects: [toy]\n")
    assert champion_of(shared()) is None


def test_a_queue_that_somebody_spoilt_is_bad_input(tmp_path):
    queue = FolderQueue.of(str(tmp_path), "production", "toy")
    queue.root.mkdir(parents=True)
    (queue.root / "1.json").write_text('{"ended": true, "draft": {}}')
    with pytest.raises(BadInput, match="not an event that waits for the ledger"):
        queue.waiting()


def test_who_acts(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert actor(" ann ", {"BUILD_USER_ID": "bob"}) == "ann"
    assert actor(None, {"BUILD_USER_ID": "bob", "GIT_AUTHOR_NAME": "carol"}) == "bob"
    assert actor("", {"GIT_AUTHOR_NAME": "carol"}) == "carol"
    assert actor(None, {})


def test_events_are_signed_with_the_key_of_the_checkout_and_verified_where_keys_are_named(live, tmp_path):
    assert all(event.signature for event in live.history.events)
    public = keys.trusted_files(shared().signing)[0]
    params = PARAMS + f"signing: {{trusted: ['{public}']}}\n"
    (live.root / "params.yaml").write_text(params)
    assert not floors.ledger(shared()).history("toy").doubts
    found().add(__import__("ci.ledger.event", fromlist=["drafted"]).drafted(
        live.history.release("1.1.0"), kind=Kind.APPROVED, environment="production", actor="mallory"))  # fmt: skip
    assert live.step("promote", *UP) == 3
    assert "not signed, though only signed events are believed" in live.report("promote")["message"]


def test_at_accepts_every_spelling_of_a_moment(live):
    now = datetime.now(UTC)
    assert live.step("history", "--at", now.isoformat()) == 0
    assert live.step("history", "--env", "staging") == 0
