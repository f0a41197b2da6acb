"""The ledger in real repositories: clones, races, what is done to tags by hand, and what GTO says of it all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from ci.adapters.ledger import GitLedger, found  # noqa: E402
from ci.adapters.refs import Refs  # noqa: E402
from ci.errors import BadInput, Unavailable  # noqa: E402
from ci.ledger.event import Kind, drafted  # noqa: E402
from ci.ledger.interface import By, Quicker  # noqa: E402
from ci.ledger.signing import only_by  # noqa: E402
from tests.releases import SEEN, release  # noqa: E402

GTO = Path(sys.executable).with_name("gto")


@dataclass
class Agent:
    """A clone with a home of its own."""

    path: Path

    def git(self, *arguments, code=0):
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=self.environment(), capture_output=True, text=True
        )
        assert code is None or done.returncode == code, done.stderr
        return done.stdout.strip()

    def environment(self):
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "SLIPWAY_", "BUILD_"))
        }
        home = self.path.parent / f"home-{self.path.name}"
        home.mkdir(exist_ok=True)
        return {**clean, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}

    def python(self, code, *arguments):
        """Run code in a process of its own, as another build would."""
        given = {**self.environment(), "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, "-c", code, *arguments], cwd=self.path, env=given, capture_output=True, text=True, timeout=120)  # fmt: skip

    def gto(self, *arguments):
        done = subprocess.run([GTO, *arguments], cwd=self.path, env=self.environment(), capture_output=True, text=True, timeout=60)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A bare remote and a first clone with one commit, which is the current folder; no identity is configured."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "remote.git")], check=True
    )
    first = clone(tmp_path, "first")
    (first.path / "params.yaml").write_text("projects: [flights]\n")
    first.git("checkout", "--quiet", "-b", "main")
    first.git("add", ".")
    first.git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "begin")
    first.git("push", "--quiet", "origin", "main")
    (first.path / "dvc.lock").write_text("schema: '2.0'\n")
    monkeypatch.chdir(first.path)
    return first


def clone(folder, name, *options):
    agent = Agent(folder / name)
    remote = f"file://{folder}/remote.git"
    subprocess.run(["git", "clone", "--quiet", *options, remote, str(agent.path)], check=True, capture_output=True)
    return agent


def story(ledger):
    """Two releases: both live in turn, the second one aborted once and marked, and back to the first."""
    for version in ("1.0.0", "1.1.0"):
        ledger.register(release(version), By("ann", "because"))
    deeds = [("1.0.0", "staging"), ("1.0.0", "production"), ("1.1.0", "staging"), ("1.1.0", "production"), ("1.0.0", "production")]  # fmt: skip
    for version, environment in deeds:
        live(ledger, version, environment)
    ledger.add(drafted(release("1.1.0"), kind=Kind.ABORTED, environment="production", actor="ann", how="worse"))
    ledger.add(drafted(release("1.1.0"), kind=Kind.BAD, actor="Żaneta", reason='sick: "100 %" of\nanswers'))
    return ledger.history("flights")


def live(ledger, version, environment, seen=None, actor="ann"):
    draft = drafted(release(version), kind=Kind.ASSIGNED, environment=environment, actor=actor, how="promoted",
                    verified=True, evidence=SEEN)  # fmt: skip
    return ledger.add(draft, seen)


def test_a_release_has_a_commit_of_its_own_on_no_branch(world):
    event = found().register(release("1.0.0"), By("ann"))
    assert world.git("rev-parse", "flights@v1.0.0^{commit}") == event.commit
    assert world.git("rev-parse", f"{event.commit}^") == world.git("rev-parse", "HEAD")
    assert world.git("branch", "--all", "--contains", event.commit) == ""
    names = world.git("ls-tree", "-r", "--name-only", event.commit).split()
    assert names == ["dvc.lock", "params.yaml", "releases/flights/v1.0.0.json"]
    assert json.loads(world.git("show", f"{event.commit}:releases/flights/v1.0.0.json"))["version"] == "1.0.0"
    assert world.git("status", "--porcelain") == "?? dvc.lock"
    assert world.git("ls-remote", "origin", "refs/tags/flights@v1.0.0").split()[0] == world.git(
        "rev-parse", "flights@v1.0.0"
    )


def test_the_same_release_again_is_no_error_and_another_one_is(world):
    ledger = found()
    first = ledger.register(release("1.0.0"), By("ann"))
    assert ledger.register(release("1.0.0"), By("bob")) == first
    with pytest.raises(BadInput, match=r"flights@v1.0.0: is there already, with another record"):
        ledger.register(release("1.0.0", recipe="c" * 64), By("ann"))


def test_two_agents_with_the_same_checkout_make_the_same_commit(world, tmp_path, monkeypatch):
    event = found().register(release("1.0.0"), By("ann"))
    other = clone(tmp_path, "other", "--no-tags")
    shutil.copy(world.path / "dvc.lock", other.path)
    monkeypatch.chdir(other.path)
    files = {"dvc.lock": b"schema: '2.0'\n", "params.yaml": b"projects: [flights]\n",
             "releases/flights/v1.0.0.json": world.git("show", f"{event.commit}:releases/flights/v1.0.0.json").encode() + b"\n"}  # fmt: skip
    made = Refs("origin").commit_beside(
        other.git("rev-parse", "HEAD"), files, f"Release flights@v1.0.0\n\n{release('1.0.0').digest}"
    )
    assert made == event.commit


def test_gto_agrees_about_what_is_live_and_about_the_history(world):
    history = story(found())
    shown = world.gto("show", "--json")["flights"]
    assert shown["version"] == "v1.1.0"
    assert shown["stage"] == {name: f"v{history.live(name).version}" for name in ("staging", "production")}
    told = world.gto("history", "flights", "--ascending", "--json")
    ours = [e for e in history.events if e.kind in {Kind.REGISTERED, Kind.ASSIGNED}]
    assert [(row["version"], row["stage"]) for row in told] == [(f"v{e.version}", e.environment) for e in ours]
    assert [row["commit"] for row in told] == [e.commit for e in ours]
    assert [row["timestamp"][:19].replace(" ", "T") + "Z" for row in told] == [e.at for e in ours]


def test_gto_agrees_with_a_second_clone_that_fetched_tags_alone(world, tmp_path):
    story(found())
    other = clone(tmp_path, "other")
    assert other.gto("show", "--json") == world.gto("show", "--json")


@pytest.mark.parametrize("options", [(), ("--no-tags",), ("--depth=1", "--no-tags"), ("--depth=1", "--single-branch")])
def test_any_clone_reads_and_writes(world, tmp_path, monkeypatch, options):
    for number in range(3):
        world.git("-c", "user.name=t", "-c", "user.email=t@e", "commit", "--quiet", "--allow-empty", "-m", str(number))
    world.git("push", "--quiet", "origin", "main")
    before = story(found())
    other = clone(tmp_path, "other", *options)
    shallow = other.git("rev-parse", "--is-shallow-repository")
    monkeypatch.chdir(other.path)
    assert found().history("flights").trusted().events == before.events
    live(found(), "1.1.0", "production", actor="bob")
    found().register(release("2.0.0"), By("bob"))
    assert other.git("rev-parse", "--is-shallow-repository") == shallow
    if shallow == "true":
        assert len(other.git("log", "--format=%H").split()) == 1
    monkeypatch.chdir(world.path)
    history = found().history("flights").trusted()
    assert history.live("production").version == "1.1.0"
    assert history.versions() == ["1.0.0", "1.1.0", "2.0.0"]


def test_without_a_remote_it_is_of_this_clone_alone_and_published_with_the_first_remote(world, tmp_path):
    world.git("remote", "remove", "origin")
    before = story(found())
    assert list(before.notes) == ["tags of this clone alone"]
    world.git("remote", "add", "origin", f"file://{tmp_path}/remote.git")
    assert found().history("flights").trusted().events == before.events
    assert len(world.git("ls-remote", "origin", "refs/tags/flights*").splitlines()) == 2 * len(before.events)


def test_a_remote_that_is_gone_is_unavailable_and_offline_does_without(world, tmp_path):
    before = story(found())
    (tmp_path / "remote.git").rename(tmp_path / "gone.git")
    with pytest.raises(Unavailable, match="origin: does not answer"):
        found().history("flights")
    assert found().history("flights", offline=True).trusted().events == before.events
    with pytest.raises(Unavailable):
        live(found(), "1.1.0", "production")
    assert len(found().history("flights", offline=True).events) == len(before.events)


def test_a_remote_that_refuses_is_unavailable_and_leaves_nothing_here(world, tmp_path):
    story(found())
    hook = tmp_path / "remote.git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no ledger here >&2\nexit 1\n")
    hook.chmod(0o755)
    tags = world.git("tag", "--list")
    with pytest.raises(Unavailable, match="does not take the ledger's tags"):
        live(found(), "1.1.0", "production")
    assert world.git("tag", "--list") == tags


def test_outside_of_a_repository_is_bad_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(BadInput, match="not a Git repository with a commit"):
        found()


def test_a_hook_and_an_identity_of_the_user_do_not_matter(world):
    hook = world.path / ".git" / "hooks" / "pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    world.git("config", "tag.gpgSign", "true")
    world.git("config", "push.gpgSign", "if-asked")
    assert not story(found()).doubts


def remote(world, tmp_path, *arguments):
    return subprocess.run(
        ["git", *arguments], cwd=tmp_path / "remote.git", check=True, capture_output=True, text=True
    ).stdout.strip()


def delete(world, tmp_path):
    remote(world, tmp_path, "tag", "-d", "flights#production#6")
    return "event 6 is missing: its tag was deleted", "flights#production#6: was deleted from origin"


def delete_the_last(world, tmp_path):
    remote(world, tmp_path, "tag", "-d", "flights@v1.1.0=bad#9")
    return "the last event is missing or was replaced", "flights@v1.1.0=bad#9: was deleted from origin"


def move(world, tmp_path):
    to = remote(world, tmp_path, "rev-parse", "flights@v1.1.0^{commit}")
    remote(
        world,
        tmp_path,
        "-c",
        "user.name=m",
        "-c",
        "user.email=m@e",
        "tag",
        "-f",
        "-a",
        "-m",
        "moved",
        "flights#production#7",
        to,
    )
    return "flights#production#7: its message is no event", "flights#production#7: was replaced: this clone knew"


def edit(world, tmp_path):
    text = remote(world, tmp_path, "cat-file", "tag", "flights#production#7").replace(
        '"actor": "ann"', '"actor": "bob"'
    )
    (tmp_path / "tag").write_text(text + "\n")
    made = remote(world, tmp_path, "hash-object", "-t", "tag", "-w", str(tmp_path / "tag"))
    remote(world, tmp_path, "update-ref", "refs/tags/flights#production#7", made)
    return (
        "names another event 7 than flights#production#7: one of them was replaced",
        "flights#production#7: was replaced",
    )


def set_by_gto(world, tmp_path):
    mallory = clone(tmp_path, "mallory")
    mallory.git("config", "user.name", "mallory")
    mallory.git("config", "user.email", "m@e")
    subprocess.run([GTO, "assign", "flights", "--version", "v1.1.0", "--stage", "production", "--force", "--push"], cwd=mallory.path, env=mallory.environment(), check=True, capture_output=True)  # fmt: skip
    return "its message is no event: not written by the ledger", "its message is no event"


def drop_the_head(world, tmp_path):
    remote(world, tmp_path, "update-ref", "-d", "refs/slipway/ledger/flights")
    return (
        "the head is missing: nothing proves that flights@v1.1.0=bad#9 is the last event",
        "refs/slipway/ledger/flights was deleted from origin",
    )


@pytest.mark.parametrize(
    "how", [delete, delete_the_last, move, edit, set_by_gto, drop_the_head], ids=lambda how: how.__name__
)
def test_what_is_done_to_tags_by_hand_is_seen_by_old_and_new_clones(world, tmp_path, monkeypatch, how):
    story(found())
    fresh_says, old_says = how(world, tmp_path)
    doubts = found().history("flights").doubts
    assert any(old_says in doubt for doubt in doubts), doubts
    with pytest.raises(BadInput, match="ledger of flights: "):
        live(found(), "1.1.0", "production")
    fresh = clone(tmp_path, "fresh", "--no-tags")
    monkeypatch.chdir(fresh.path)
    doubts = found().history("flights").doubts
    assert any(fresh_says in doubt for doubt in doubts), doubts


def test_a_ledger_of_one_project_does_not_spoil_another_ones(world, tmp_path):
    story(found())
    found().register(release("1.0.0", project="houses"), By("ann"))
    delete(world, tmp_path)
    assert not found().history("houses").doubts


def test_an_agent_whose_clock_is_wrong_writes_no_history_backwards(world):
    ledger = found()
    story(ledger)
    for jump in (timedelta(days=-400), timedelta(hours=1), timedelta(days=-1)):
        wrong = GitLedger(ledger.refs, clock=lambda jump=jump: datetime.now(UTC) + jump)
        live(wrong, "1.1.0", "staging")
        live(wrong, "1.0.0", "staging")
    history = ledger.history("flights").trusted()
    times = [event.at for event in history.events]
    assert times == sorted(set(times))
    assert world.gto("show", "--json")["flights"]["stage"]["staging"] == "v1.0.0"


def test_fifty_times_two_promotions_at_once_and_one_wins(world, tmp_path):
    """Both read, wait for each other, then write: exactly one becomes live, the other one is told by whom it lost."""
    ledger = found()
    for version in ("1.0.0", "1.1.0"):
        ledger.register(release(version), By("ann"))
    agents = [clone(tmp_path, name) for name in ("one", "two")]
    racer = tmp_path / "racer.py"
    racer.write_text(_RACER)
    processes = [
        subprocess.Popen([sys.executable, str(racer), version, name], cwd=agent.path, text=True, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, env={**agent.environment(), "PYTHONPATH": str(ROOT)})
        for agent, version, name in zip(agents, ("1.0.0", "1.1.0"), ("ann", "bob"), strict=True)
    ]  # fmt: skip
    lost = []
    for number in range(50):
        with ThreadPoolExecutor(2) as pool:
            for word in ("look\n", "go\n"):
                answers = list(pool.map(lambda process, word=word: ask(process, word), processes))
        assert sorted(answer.split(" ")[0] for answer in answers) == ["lost", "won"], (number, answers)
        lost += [answer for answer in answers if answer.startswith("lost")]
    for process in processes:
        process.stdin.close()
        assert process.wait(20) == 0
    assert all("production: somebody else was quicker: flights@v1." in answer for answer in lost)
    history = ledger.history("flights").trusted()
    assert len(history.assigned("production")) == 50
    assert world.gto("show", "--json")["flights"]["stage"]["production"] == f"v{history.live('production').version}"


_RACER = """
import sys
from ci.adapters.ledger import found
from ci.ledger.event import Kind, drafted
from ci.ledger.interface import Quicker
from tests.releases import SEEN, release

ledger, (version, who) = found(), sys.argv[1:]
draft = drafted(release(version), kind=Kind.ASSIGNED, environment="production", actor=who, verified=True, evidence=SEEN)
for line in sys.stdin:
    if line == "look\\n":
        seen = ledger.history("flights").trusted()
        print("seen", flush=True)
        continue
    try:
        print("won", ledger.add(draft, seen).number, flush=True)
    except Quicker as error:
        print("lost", error, flush=True)
"""


def ask(process, word):
    process.stdin.write(word)
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_two_that_do_not_contradict_both_get_a_place(world, tmp_path, monkeypatch):
    ledger = found()
    ledger.register(release("1.0.0"), By("ann"))
    ledger.register(release("1.1.0"), By("ann"))
    seen = ledger.history("flights")
    start, problems = threading.Barrier(2), []

    def write(environment):
        start.wait()
        try:
            live(ledger, "1.0.0", environment, seen)
        except Exception as error:  # noqa: BLE001
            problems.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in ("staging", "production")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(ledger.history("flights").trusted().events) == 4
    with pytest.raises(Quicker):
        live(ledger, "1.1.0", "staging", seen)


def test_only_signed_events_are_believed_where_keys_are_named(world):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from ci.packaging.signing import Signer

    good, other = Signer(Ed25519PrivateKey.generate()), Signer(Ed25519PrivateKey.generate())

    def trusts(key):
        return only_by(lambda name, value, data: name == key.fingerprint and key.public.signed(data, value))

    refs = found().refs
    story(GitLedger(refs, good, trusts(good)))
    assert not GitLedger(refs, None, trusts(good)).history("flights").doubts
    assert "signed by no trusted key" in GitLedger(refs, None, trusts(other)).history("flights").doubts[0]
    live(GitLedger(refs), "1.1.0", "staging")
    (doubt,) = GitLedger(refs, None, trusts(good)).history("flights").doubts
    assert doubt.startswith("flights#staging#10: not signed, though only signed events are believed")
    assert not GitLedger(refs).history("flights").doubts
