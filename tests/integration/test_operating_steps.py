"""
watch, retrain, notify, and the notices of promote and rollback: every exit code that they name, as people call them.

Real Git, a real registry in a folder, a real webhook receiver, a Jenkins stand-in; what runs and who looks is in memory.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ci.errors import Outcome, Unavailable
from ci.notices.notice import genuine
from ci.report import Check, Found
from ci.rollout.interface import Answer, Arm, Question, Verdict
from tests.integration.jenkins_standin import TOKEN, USER, Jenkins
from tests.integration.test_release_manager import desk, live  # noqa: F401  # fixtures
from tests.releases import MemoryRunning, release

W, G = Answer.WORSE, Answer.NOT_WORSE


@dataclass
class Running(MemoryRunning):
    def question(self):
        if self.silent:
            raise Unavailable("the router does not answer")
        arm = Arm(release(self.live, project="toy"), "c", ["127.0.0.1:1"])
        return Question("toy", "production", arm, None, 100, "", "", "")


@dataclass
class Scripted:
    answers: list = field(default_factory=list)
    check: str = "scores"

    def verify(self, question):
        answer = self.answers.pop(0)
        found = {W: Found.REJECTED, G: Found.PASSED}.get(answer, Found.INCONCLUSIVE)
        return Verdict(answer, f"{answer}", [Check(self.check, found, "psi .4")])


@pytest.fixture
def shop(live, monkeypatch):  # noqa: F811
    """v1.1.0 live in production after v1.0.0, and somebody who looks at it."""
    import sys

    assert live.step("promote", "--release", "v1.1.0", "--to", "production", "--actor", "ann", "--approver", "bob") == 0
    live.running["production"] = Running(live="1.1.0")
    live.verifier = Scripted()
    monkeypatch.setattr(sys.modules["ci.adapters.environments"], "watcher", lambda *_: live.verifier, raising=False)
    import ci.adapters.watching

    monkeypatch.setattr(ci.adapters.watching, "environments", sys.modules["ci.adapters.environments"])
    return live


def params(desk, text):  # noqa: F811
    path = desk.root / "params.yaml"
    path.write_text(path.read_text() + text)


def watch(desk, *answers):  # noqa: F811
    desk.verifier.answers = list(answers)
    return [desk.step("watch", "--env", "production", "--actor", "watch") for _ in answers]


def test_watch_0_4_6_and_then_3(shop):
    assert watch(shop, G, W, Answer.NOT_ENOUGH, W, W) == [0, 4, 4, 6, 4]
    assert shop.running["production"].live == "1.0.0"
    assert shop.history.bad("1.1.0").reason.startswith("watch: worse in 2 of the last 3 looks")
    assert watch(shop, W) == [3]  # the quiet time
    assert "quiet until" in shop.report("watch")["message"]


def test_watch_3_when_there_is_nothing_to_go_back_to(shop):
    shop.step("mark", "--release", "v1.0.0", "--reason", "old")
    assert watch(shop, W, W) == [4, 3]


def test_watch_2_5_and_7(shop):
    assert shop.step("watch", "--env", "moon") == 2
    shop.running["production"].silent = True
    assert shop.step("watch", "--env", "production") == 5
    shop.running["production"].silent = False
    shop.running["production"].ends = Outcome.NOT_RESTORED
    assert watch(shop, W, W) == [4, 7]
    (kept,) = shop.root.glob(".slipway/environments/watch/production/toy.json")
    kept.write_text("{")
    assert watch(shop, W) == [2]


JENKINS = """
retraining:
  k: 2
  n: 3
  jenkins: {{url: "{url}", job: ml/retrain, poll_s: 0.1, timeout_s: 5, tries: 2}}
"""


@pytest.fixture
def jenkins(shop, monkeypatch):
    monkeypatch.setenv("SLIPWAY_JENKINS_USER", USER)
    monkeypatch.setenv("SLIPWAY_JENKINS_TOKEN", TOKEN)
    with Jenkins() as standin:
        params(shop, JENKINS.format(url=standin.url))
        monkeypatch.setattr("ci.adapters.freshness.SourceData._rows", lambda *_: 500)
        yield standin


def retrain(desk, *more):  # noqa: F811
    return desk.step("retrain", "--env", "production", "--as-of", "2026-12-01", *more)


def test_retrain_0_without_a_reason_and_once_with_one(shop, jenkins):
    assert retrain(shop) == 0
    assert "nothing to do" in shop.report("retrain")["message"]
    watch(shop, W, W)
    assert retrain(shop, "--dry-run") == 0
    assert jenkins.items == []
    assert retrain(shop) == 0
    (asked,) = jenkins.items
    assert (asked.parameters["PROJECT"], asked.parameters["AS_OF"]) == ("toy", "2026-12-01")
    assert asked.parameters["REASON"].startswith("v1.1.0 was taken back: watch: worse in 2 of the last 2")
    assert retrain(shop) == 0
    assert len(jenkins.items) == 1
    assert TOKEN not in (shop.root / "reports/toy/retrain.json").read_text()


def test_retrain_3_if_the_job_says_no(shop, jenkins):
    jenkins.result = "UNSTABLE"
    watch(shop, W, W)
    assert retrain(shop) == 3
    assert retrain(shop) == 4  # known, and still open
    assert retrain(shop, "--close") == 0


def test_retrain_4_if_something_holds_it_back(shop, jenkins):
    shop.verifier.check = "errors"
    watch(shop, W, W)
    assert retrain(shop) == 4
    assert "a fault of the code" in shop.report("retrain")["message"]
    assert jenkins.items == []


def test_retrain_5_and_the_next_run_goes_on(shop, jenkins):
    watch(shop, W, W)
    jenkins.trouble = [503] * 2
    assert retrain(shop) == 5
    assert retrain(shop) == 0
    assert len(jenkins.items) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--because", "drift"), "--reason: missing"),
        (("--as-of", "soon"), "--as-of: 'soon' is not a date"),
        (("--windows", "no.json"), "no.json: no such file"),
        (("--env", "moon"), "moon"),
    ],
)
def test_retrain_2(shop, jenkins, arguments, said):
    assert retrain(shop, *arguments) == 2
    assert said in shop.report("retrain")["message"]


def of_data(desk, on):  # noqa: F811
    path = desk.root / "projects/toy/params.yaml"
    text = path.read_text().partition("\nretrain:")[0]
    path.write_text(f"{text}\nretrain: {{on: {on}}}\n")
    return desk.step("retrain", "--because", "data", "--as-of", "2026-12-01")


def test_retrain_for_new_data_asks_the_projects_policy(shop, jenkins):
    assert of_data(shop, "never") == 0
    assert "retrain.on: never" in shop.report("retrain")["message"]
    assert (of_data(shop, "drift"), jenkins.items) == (0, [])  # nobody has checked it
    assert of_data(shop, "always") == 0
    (asked,) = jenkins.items
    assert asked.parameters["REASON"].startswith("data up to 2026-12-01")
    assert of_data(shop, "always") == 0
    assert len(jenkins.items) == 1


def test_windows_of_another_monitoring(shop, jenkins):
    def window(minutes, answer, **more):
        at = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
        return {"at": at, "answer": answer, "cause": "quality", "message": "auc .61", **more}

    path = shop.root / "windows.json"
    path.write_text(json.dumps([window(1, "not worse"), window(2, "worse"), window(3, "worse")]))
    assert retrain(shop, "--windows", str(path)) == 0
    assert jenkins.items == []  # the newest is well
    path.write_text(json.dumps([window(1, "worse"), window(2, "worse"), window(3, "not worse")]))
    assert retrain(shop, "--windows", str(path)) == 0
    assert len(jenkins.items) == 1
    path.write_text(json.dumps([window(1, "bad")]))
    assert retrain(shop, "--windows", str(path)) == 2


@pytest.fixture
def receiver(monkeypatch):
    """A webhook receiver; `status` is what it answers."""
    got: list = []

    class Handler(BaseHTTPRequestHandler):
        status, place = 204, ""

        def log_message(self, *_):
            pass

        def do_POST(self):
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), raw))
            self.send_response(Handler.status)
            if Handler.place:
                self.send_header("Location", Handler.place)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    Handler.got = got
    monkeypatch.setenv("SLIPWAY_NOTICES_URL", f"http://127.0.0.1:{server.server_address[1]}/hook/s3cretpath")
    monkeypatch.setenv("SLIPWAY_NOTICES_SECRET", "s3cret")
    yield Handler
    server.shutdown()
    server.server_close()


def test_rollbacks_and_verdicts_are_told_signed(shop, receiver):
    assert watch(shop, W, W) == [4, 6]
    (headers, raw) = receiver.got[-1]
    assert genuine("s3cret", headers, raw, datetime.now(UTC))
    told = json.loads(raw)
    assert (told["kind"], told["outcome"], told["environment"]) == ("verdict", "rolled back", "production")
    assert (
        shop.step("rollback", "--env", "staging", "--to", "v1.0.0", "--force", "--reason", "x", "--actor", "ann") == 0
    )
    assert json.loads(receiver.got[-1][1])["kind"] == "rollback"
    assert not list(shop.root.glob(".slipway/notices/*.json"))


def test_a_receiver_that_fails_breaks_nothing_and_is_told_later(shop, receiver):
    receiver.status = 500
    assert watch(shop, G) == [0]
    (check,) = [item for item in shop.report("watch")["checks"] if item["name"] == "notice"]
    assert (check["outcome"], "did not take it (500)" in check["message"]) == ("warned", True)
    assert "s3cretpath" not in json.dumps(shop.report("watch"))
    assert shop.step("notify") == 5
    receiver.status = 200
    assert shop.step("notify") == 0
    ids = [json.loads(raw)["id"] for _, raw in receiver.got]
    assert len(ids) == 3
    assert len(set(ids)) == 1


def test_a_redirect_is_no_delivery(shop, receiver):
    receiver.status, receiver.place = 302, "http://127.0.0.1:9/"
    assert shop.step("notify", "--message", "hello") == 5
    assert len(receiver.got) == 1


def test_slack_and_private_addresses_by_configuration(shop, receiver):
    params(shop, "notices: {style: slack}\n")
    assert shop.step("notify", "--message", "<!here> go", "--actor", "ann") == 0
    assert json.loads(receiver.got[-1][1]) == {
        "text": "✓ *toy* in *production*: verdict passed\n&lt;!here&gt; go\nby ann"
    }
    path = shop.root / "params.yaml"
    path.write_text(path.read_text().replace("style: slack", "private: false"))
    assert shop.step("notify", "--message", "hello") == 5
    assert "127.0.0.1 is a private address" in shop.report("notify")["message"]


def test_notify_2_without_an_address(shop, monkeypatch):
    monkeypatch.delenv("SLIPWAY_NOTICES_URL", raising=False)
    assert shop.step("notify", "--message", "hello") == 2
    assert "SLIPWAY_NOTICES_URL: not set" in shop.report("notify")["message"]
    assert os.environ.get("SLIPWAY_NOTICES_URL") is None


def test_without_a_receiver_nobody_is_told_and_no_check_appears(shop):
    watch(shop, G)
    assert [item["name"] for item in shop.report("watch")["checks"]] == ["scores", "watch"]
