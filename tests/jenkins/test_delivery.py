"""
The whole story, through the pipelines, with real steps, a real registry, real servers behind a real Envoy.

One story, told in order: each test goes on where the one before it ended.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlsplit

import pytest

from ci.adapters.http import ask
from tests.browser import BROWSER
from tests.integration.conftest import Checkout
from tests.integration.registry import PASSWORD, running
from tests.jenkins.controller import Built, Machine
from tests.jenkins.pages import looked_at
from tests.jenkins.site import GATE, GIT_PASSWORD, MAIN, Site

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("delivery")]
FROM_BELOW = {"PROJECT": "shop", "REASON": "better"}
BOB = [{"by": "bob", "groups": ["release-managers"]}]


@pytest.fixture(scope="module")
def site(harness: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    from ci.adapters.envoy import binary
    from ci.errors import BadInput

    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("site")
    with running(root / "registry", "basic") as registry:
        made = Site(root, harness, int(urlsplit(registry.url).port or 0))
        yield made
        made.callers.end()
        for environment in made.doors:
            made.run("stop", "--env", environment).communicate(timeout=60)
        made.run("stop", "--env", "staging", project="collector").communicate(timeout=60)


def steps(built: Built) -> list[tuple[str, int]]:
    return [(step, code) for step, code in built.steps if step != "describe"]


def reopened(site: Site) -> None:
    """Open the registry's door as soon as a build has been turned away from it."""
    while not any('"unavailable"' in path.read_text() for path in site.reports("gate")):
        time.sleep(0.05)
    site.registry.shut = False


@contextlib.contextmanager
def nothing_changes(site: Site) -> Iterator[None]:
    before = site.state()
    yield
    assert site.state() == before


def test_a_commit_on_main_is_live_and_verified_in_staging(site: Site) -> None:
    built = site.build("delivery", cause="SCMTrigger")
    assert built.result == "SUCCESS", built.console[-6000:]
    assert [code for _, code in steps(built)] == [0] * 6
    assert site.live("staging") == "shop@1.0.0"
    assert built.description.startswith("shop v1.0.0, data ")
    assert built.description.endswith("verify passed, staging")
    assert "shop@v1.0.0" in site.tagged()


def test_replayed_or_with_new_words_alone_there_is_nothing_to_do_and_it_says_so(site: Site) -> None:
    (site.desk.path / "NOTES.md").write_text("words\n")
    site.push("words")
    with nothing_changes(site):
        before = site.controller.machine.agent_s()
        built = site.build("delivery")
        took = site.controller.machine.agent_s() - before
    assert built.result == "SUCCESS"
    assert steps(built) == [("repro", 0), ("changed", 0)]
    assert built.description == "nothing to release"
    assert 0.5 < took < 60  # seconds of an agent's processor: others may keep this machine busy


def test_a_promotion_needs_somebody_else_and_replayed_it_moves_nothing(site: Site) -> None:
    with nothing_changes(site):
        stranger = site.build("promote", FROM_BELOW, user="ann", answers=[{"by": "mallory", "groups": ["visitors"]}])
        herself = site.build("promote", FROM_BELOW, user="ann",
                             answers=[{"by": "Ann", "groups": ["release-managers"]}])  # fmt: skip
    assert (stranger.result, steps(stranger)) == ("ABORTED", [("promote", 4)])
    assert (herself.result, steps(herself)) == ("UNSTABLE", [("promote", 4), ("promote", 3)])
    built = site.build("promote", FROM_BELOW, user="ann", answers=list(BOB))
    assert (built.result, steps(built)) == ("SUCCESS", [("promote", 4), ("promote", 0)]), built.console[-4000:]
    assert site.live("production") == "shop@1.0.0"
    with nothing_changes(site):
        again = site.build("promote", FROM_BELOW, user="ann", answers=list(BOB))
    assert (again.result, steps(again)) == ("SUCCESS", [("promote", 0), ("promote", 0)])


def test_restarted_from_each_stage_that_moves_something_nothing_moves_again(site: Site) -> None:
    with nothing_changes(site):
        delivered = site.build("delivery", restart_at="Deliver")
        promoted = site.build("promote", FROM_BELOW, user="ann", restart_at="Promote")
        agreed = site.build("promote", FROM_BELOW, user="ann", answers=list(BOB), restart_at="Approve and promote")
    assert (delivered.result, steps(delivered)) == ("SUCCESS", [("repro", 0), ("changed", 0)]), delivered.console[
        -4000:
    ]
    assert delivered.description == "nothing to release"
    for built in (promoted, agreed):
        assert (built.result, steps(built)) == ("SUCCESS", [("promote", 0)]), built.console[-4000:]
    assert site.live("production") == "shop@1.0.0"


def test_the_ledger_names_build_person_and_approver(site: Site) -> None:
    site.run("history").communicate(timeout=120)
    (report,) = list(site.root.glob("clone-*/reports/shop/history.json"))[-1:]
    live = json.loads(report.read_text())["data"]["live"]
    assert live["staging"]["build"] == "https://jenkins.example/job/delivery/1/"
    production = live["production"]
    assert (production["actor"], production["approver"], production["reason"]) == ("ann", "bob", "better")
    assert production["build"].startswith("https://jenkins.example/job/promote/")


def test_newer_data_alone_are_a_patch_and_a_registry_that_comes_back_costs_a_retry(site: Site) -> None:
    site.edit(as_of="2024-04-01")
    site.push("a week of data")
    site.registry.shut = True
    watch = threading.Thread(target=reopened, args=(site,), daemon=True)
    watch.start()
    built = site.build("delivery")
    watch.join(5)
    assert built.result == "SUCCESS", built.console[-6000:]
    assert [item for item in steps(built) if item[0] == "gate"] == [("gate", 5), ("gate", 0)]  # the champion lies there
    assert built.events("sleep")
    assert site.live("staging") == "shop@1.0.1"
    assert site.live("production") == "shop@1.0.0"


def test_a_promotion_that_is_aborted_half_way_is_taken_up_by_the_next_one(site: Site) -> None:
    aborted = site.build("promote", FROM_BELOW, user="ann", answers=list(BOB), abort_on=r"20 % of requests")
    assert aborted.result == "ABORTED"
    assert steps(aborted) == [("promote", 4), ("promote", 143)], aborted.console[-4000:]
    assert site.state()["production"]["live"] == "1.0.0"
    built = site.build("promote", FROM_BELOW, user="ann", answers=list(BOB))
    assert (built.result, steps(built)[-1]) == ("SUCCESS", ("promote", 0)), built.console[-4000:]
    assert site.live("production") == "shop@1.0.1"


def test_a_rollback_goes_back_at_once_and_a_second_one_changes_nothing(site: Site) -> None:
    wish = {"PROJECT": "shop", "REASON": "errors rise", "TO": "v1.0.0"}
    built = site.build("rollback", wish, user="eve")
    assert (built.result, steps(built)) == ("SUCCESS", [("rollback", 0), ("verify", 0)]), built.console[-4000:]
    assert site.live("production") == "shop@1.0.0"
    assert built.description.startswith("shop v1.0.0, ")
    with nothing_changes(site):
        again = site.build("rollback", wish, user="eve")
        looked = site.build("rollback", wish, user="eve", restart_at="Verify")
    assert steps(again)[0] == ("rollback", 0)
    assert (looked.result, steps(looked)) == ("SUCCESS", [("verify", 0)]), looked.console[-4000:]


def test_a_rollback_ends_a_canary_and_does_not_wait_for_it(site: Site) -> None:
    wish = ("--to", "production", "--approver", "bob", "--actor", "ann", "--reason", "again")
    canary = site.run("promote", *wish, pause_s=300)
    while "1.0.1" not in site.state()["production"].get("weights", {}):
        assert canary.poll() is None, canary.communicate()[0]
        time.sleep(0.05)
    built = site.build("rollback", {"PROJECT": "shop", "REASON": "errors", "TO": "v1.0.0"}, user="eve")
    said, _ = canary.communicate(timeout=60)
    assert steps(built)[0] == ("rollback", 0), built.console[-4000:]
    assert canary.returncode in {5, 6}, said
    assert site.live("production") == "shop@1.0.0"


def test_verify_and_reconcile_are_about_all_and_change_nothing_where_all_is_well(site: Site) -> None:
    with nothing_changes(site):
        for job in ("verify", "reconcile"):
            built = site.build(job, cause="TimerTrigger")
            assert (built.result, steps(built)) == ("SUCCESS", [("changed", 0), (job, 0)]), built.console[-4000:]


def test_where_nobody_calls_verification_is_inconclusive_and_yellow(site: Site) -> None:
    site.callers.silent = True
    with nothing_changes(site):
        hurry = {"SLIPWAY_VERIFY_DEADLINE_S": "4"}
        built = site.build("verify", {"PROJECT": "shop", "ENVIRONMENT": "staging"}, variables=MAIN | hurry)
    site.callers.silent = False
    assert (built.result, steps(built)) == ("UNSTABLE", [("verify", 4)]), built.console[-4000:]
    assert "verify inconclusive, staging" in built.description
    assert list(site.root.glob("jenkins/archive/verify-*/artifacts/.slipway/evidence/*.json"))  # it can be replayed


def test_the_collection_service_is_delivered_by_the_same_pipeline_and_words_are_no_reason(site: Site) -> None:
    port = site.name_the_collector()
    site.push("takes records")
    built = site.build("delivery")
    assert built.result == "SUCCESS", built.console[-6000:]
    once = ["repro", "changed", "gate", "package", "promote", "verify"]
    assert steps(built) == [(step, 0) for step in once]  # the shop has nothing new
    assert built.description == "collector v1.0.0, verify passed, staging"
    _, headers, _ = ask(f"http://127.0.0.1:{port}/v2/health/ready")
    assert headers["x-slipway-release"].startswith("collector@1.0.0;")

    def changed(path: str) -> str:
        with (site.workspace() / path).open("a") as file:
            file.write("# words\n")
        done = Checkout(site.workspace()).run("steps.changed")
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert changed("NOTES.md") == "\n"
    assert changed("collector/tokens.py") == "collector\n"


def test_a_fork_is_judged_without_any_credential_rejected_and_never_deployed(site: Site) -> None:
    site.edit(train={"seed": 2, "estimator": {"max_iter": 1}, "parity_rows": 50},
              gate=GATE | {"metrics": {"auc": {"floor": 0.99}}})  # fmt: skip
    site.push("worse", "pr-7")
    variables = {"BRANCH_NAME": "PR-7", "CHANGE_ID": "7", "CHANGE_FORK": "mallory"}
    with nothing_changes(site):
        built = site.build("delivery", branch="pr-7", variables=MAIN | variables)
    assert built.result == "UNSTABLE", built.console[-4000:]
    assert steps(built) == [("repro", 0), ("changed", 0), ("gate", 3)]
    assert "gate rejected" in built.description
    site.git("checkout", "-q", "main")


@pytest.mark.skipif(BROWSER is None, reason="no chromium on the path")
def test_every_page_that_was_put_away_opens_legibly_under_jenkins_policy(site: Site) -> None:
    found, opened = looked_at(site.root / "jenkins/archive", site.root)
    assert found == []
    assert {path.rsplit("/", 1)[1] for path in opened} >= {
        "gate.html", "package.html", "promote.html", "verify.html", "rollback.html", "reconcile.html", "describe.html",
        "repro.html", "changed.html", "evaluate.html", "check_data.html",
    }  # fmt: skip


def spellings(secret: str) -> set[str]:
    """Every way in which a secret may hide; base64 at each of the three offsets, without what its neighbours touch."""
    raw = secret.encode()
    shifted = {base64.b64encode(b"x" * shift + raw).decode()[4:-4] for shift in range(3)}
    return {
        secret, json.dumps(secret)[1:-1], quote(secret), quote(secret, safe=""), quote_plus(secret), raw.hex(),
        *shifted, *(item.replace("+", "-").replace("/", "_") for item in shifted),
    }  # fmt: skip


def test_no_secret_is_to_be_found_anywhere_in_any_spelling(site: Site) -> None:
    body = "".join(site.pem.splitlines()[1:-1])
    needles = {
        spelled for secret in (PASSWORD, GIT_PASSWORD, body, body[:32], site.pem) for spelled in spellings(secret)
    }
    assert min(map(len, needles)) > 10
    scanned = 0
    texts = {f"console of {built.document['job']} #{built.document['number']}": built.console for built in site.builds}
    texts |= {"command lines": "\n".join(site.seen_arguments)}
    folders = [site.root / "jenkins/archive", *(site.root / "jenkins").glob("*/workspaces/*/workspace"),
               site.root / "environments"]  # fmt: skip
    for folder in folders:
        for path in (item for item in folder.rglob("*") if item.is_file() and item.stat().st_size < 4 << 20):
            texts[str(path.relative_to(site.root))] = path.read_text(encoding="utf-8", errors="replace")
    for name, text in texts.items():
        scanned += 1
        found = [spelled for spelled in needles if spelled in text]
        assert not found, f"{name}: {found[0][:12]}…"
    assert scanned > 200
    assert any("steps.package" in line for line in site.seen_arguments)


def test_the_scan_would_find_a_secret() -> None:
    for hidden in (
        base64.b64encode(b"user:" + PASSWORD.encode()).decode(),
        quote(GIT_PASSWORD),
        json.dumps(GIT_PASSWORD),
    ):
        assert any(item in hidden for item in spellings(PASSWORD) | spellings(GIT_PASSWORD))
