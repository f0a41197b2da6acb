"""What pipelines make of the ways in which steps end, and of what people type; the steps here end as planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jenkins.controller import ROOT, Controller, Machine
from tests.jenkins.stub import Stub

NAMES = ["repro", "changed", "gate", "package", "promote", "verify", "rollback", "reconcile", "describe", "abort",
         "watch", "retrain", "collect", "publish", "check_data"]  # fmt: skip
JOBS = {
    "delivery": "Jenkinsfile",
    **{
        path.name.split(".")[0]: f"ci/jenkins/{path.name}"
        for path in sorted((ROOT / "ci/jenkins").glob("*.Jenkinsfile"))
    },
}
HOSTILE = [
    "; rm -rf .",
    "$(touch owned)",
    "`touch owned`",
    "a\nb",
    "ｆlights",
    "'\"\\",
    "x" * 10_000,
    "--help",
    "%s${HOME}",
]
FREE = {
    "promote": ["PROJECT", "RELEASE", "REASON"],
    "rollback": ["PROJECT", "TO", "REASON"],
    "verify": ["PROJECT"],
    "reconcile": ["PROJECT"],
    "watch": ["PROJECT"],
    "retrain": ["PROJECT", "AS_OF", "REASON", "REQUEST"],
    "freshness": ["PROJECT", "AS_OF", "REASON"],
}


@pytest.fixture
def stub(tmp_path: Path) -> Stub:
    return Stub(tmp_path, NAMES)


@pytest.fixture
def controller(tmp_path: Path, harness: Machine, stub: Stub) -> Controller:
    jobs = {name: {"file": str(ROOT / file), "seeded": True} for name, file in JOBS.items()}
    agents = {"slipway": {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}}
    return Controller(harness, tmp_path / "jenkins", stub.repository, jobs, agents)


@pytest.mark.parametrize(
    ("code", "result", "calls"),
    [(0, "SUCCESS", 1), (1, "FAILURE", 1), (2, "FAILURE", 1), (3, "UNSTABLE", 1), (4, "UNSTABLE", 1), (5, "FAILURE", 3),
     (6, "FAILURE", 1), (7, "FAILURE", 1)],
)  # fmt: skip
def test_each_exit_code_ends_a_build_as_the_table_says(
    controller: Controller, stub: Stub, code: int, result: str, calls: int
) -> None:
    stub.plan(verify=[code])
    built = controller.build("verify", {"PROJECT": "flights"}).first
    assert built.result == result
    assert stub.ran().count("verify") == calls


def test_an_engine_that_comes_back_costs_a_retry_and_nothing_else(controller: Controller, stub: Stub) -> None:
    stub.plan(verify=[5, 0])
    built = controller.build("verify", {"PROJECT": "flights"}).first
    assert built.result == "SUCCESS"
    assert [event["millis"] for event in built.events("sleep")] == [30_000]


def test_a_state_that_nobody_knows_calls_somebody(controller: Controller, stub: Stub) -> None:
    stub.plan(rollback=[7])
    controller.agents["slipway"]["SLIPWAY_ON_CALL"] = "oncall@example.org"
    built = controller.build("rollback", {"REASON": "slow"}).first
    assert built.result == "FAILURE"
    (mail,) = built.events("mail")
    assert mail["to"] == "oncall@example.org"
    assert "NOT RESTORED" in mail["subject"]


def test_a_commit_on_main_goes_as_far_as_a_verified_staging(controller: Controller, stub: Stub) -> None:
    built = controller.build("delivery", variables={"BRANCH_NAME": "main"}).first
    assert built.result == "SUCCESS"
    assert [name for name in stub.ran() if name != "describe"] == [
        "repro",
        "changed",
        "gate",
        "package",
        "promote",
        "verify",
    ]
    assert built.description == "one line"
    assert stub.given("promote")["SLIPWAY_PROMOTE_TO"] == "staging"
    assert built.events("lock")[0]["resource"] == "slipway-staging"
    assert not built.events("build")


def test_main_starts_the_promotion_where_the_controller_says_so(controller: Controller, stub: Stub) -> None:
    controller.agents["slipway"]["SLIPWAY_PROMOTE"] = "automatically"
    built = controller.build("delivery", variables={"BRANCH_NAME": "main", "SLIPWAY_PROMOTE": "automatically"}).first
    (started,) = built.events("build")
    assert started["job"] == "promote"
    assert started["parameters"] == {"PROJECT": "flights", "ENVIRONMENT": "production", "REASON": "verified in staging"}


@pytest.mark.parametrize("variables", [{"BRANCH_NAME": "PR-7", "CHANGE_ID": "7"}, {"BRANCH_NAME": "feature"}])
def test_a_pull_request_and_a_branch_are_judged_and_never_deployed(
    controller: Controller, stub: Stub, variables: dict[str, str]
) -> None:
    built = controller.build("delivery", variables=variables).first
    assert built.result == "SUCCESS"
    assert [name for name in stub.ran() if name != "describe"] == ["repro", "changed", "gate"]


def test_a_plain_job_without_branches_delivers(controller: Controller, stub: Stub) -> None:
    assert controller.build("delivery").first.result == "SUCCESS"
    assert "verify" in stub.ran()


def test_nothing_to_release_ends_early_and_says_so(controller: Controller, stub: Stub) -> None:
    stub.plan(changed=[""], describe=["nothing to release"])
    built = controller.build("delivery", variables={"BRANCH_NAME": "main"}).first
    assert built.result == "SUCCESS"
    assert [name for name in stub.ran() if name != "describe"] == ["repro", "changed"]
    assert built.description == "nothing to release"


def test_a_rejected_gate_makes_the_build_yellow_and_ships_nothing(controller: Controller, stub: Stub) -> None:
    stub.plan(gate=[3])
    built = controller.build("delivery", variables={"BRANCH_NAME": "main"}).first
    assert built.result == "UNSTABLE"
    assert "package" not in stub.ran()


def test_one_rejected_project_does_not_hold_back_the_others(controller: Controller, stub: Stub) -> None:
    stub.plan(changed=["flights houses"], gate=[3, 0])
    built = controller.build("delivery", variables={"BRANCH_NAME": "main"}).first
    assert built.result == "UNSTABLE"
    assert stub.given("package")["SLIPWAY_PACKAGE_PROJECT"] == "houses"
    assert stub.ran().count("package") == 1


def test_a_promotion_that_a_person_has_to_agree_to_asks_without_holding_an_agent(
    controller: Controller, stub: Stub
) -> None:
    stub.plan(promote=[4, 0])
    answers = [{"by": "alice", "groups": ["release-managers"]}]
    built = controller.build("promote", {"RELEASE": "v1.4.0", "REASON": "fresher"}, answers=answers).first
    assert built.result == "SUCCESS"
    assert stub.given("promote")["SLIPWAY_PROMOTE_APPROVER"] == "alice"
    assert built.events("input")[0]["message"] == "Promote flights v1.4.0 to production? fresher"


def test_a_stranger_does_not_promote(controller: Controller, stub: Stub) -> None:
    stub.plan(promote=[4, 0])
    built = controller.build("promote", {"RELEASE": "v1.4.0"}, answers=[{"by": "mallory"}]).first
    assert built.result == "ABORTED"
    assert stub.ran().count("promote") == 1


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_dry_run_stops_after_the_checks(controller: Controller, stub: Stub, dry_run: bool) -> None:
    controller.build("promote", {"RELEASE": "v1.4.0", "DRY_RUN": dry_run})
    assert stub.ran().count("promote") == (1 if dry_run else 2)


def test_what_is_refused_is_yellow_and_moves_nothing(controller: Controller, stub: Stub) -> None:
    stub.plan(promote=[3])
    built = controller.build("promote", {"RELEASE": "v1.4.0"}).first
    assert built.result == "UNSTABLE"
    assert stub.ran().count("promote") == 1


def test_a_schedule_is_about_every_project(controller: Controller, stub: Stub) -> None:
    stub.plan(changed=["flights houses"], verify=[3, 0])
    built = controller.build("verify", cause="TimerTrigger").first
    assert built.result == "UNSTABLE"
    assert stub.given("changed")["SLIPWAY_CHANGED_ALL"] == "true"
    assert stub.given("verify")["SLIPWAY_VERIFY_PROJECT"] == "houses"
    assert stub.ran().count("verify") == 2


def test_whoever_pressed_the_button_is_known_to_the_step(controller: Controller, stub: Stub) -> None:
    controller.build("rollback", {"REASON": "slow"}, user="eve")
    assert stub.given("rollback")["BUILD_USER_ID"] == "eve"
    controller.build("rollback", {"REASON": "slow"})
    assert "BUILD_USER_ID" not in stub.given("rollback")


def test_a_ledger_that_comes_back_costs_a_retry(controller: Controller, stub: Stub) -> None:
    stub.plan(changed=[5, "flights"])
    built = controller.build("delivery", variables={"BRANCH_NAME": "main"}).first
    assert built.result == "SUCCESS"
    assert stub.ran().count("changed") == 2


def test_data_arrive_are_checked_and_published_and_a_rejected_delivery_is_told_of(
    controller: Controller, stub: Stub
) -> None:
    stub.plan(changed=["flights houses"], repro=[0, 0, 3, 0], publish=[3, 0])
    built = controller.build("freshness", cause="TimerTrigger").first
    assert built.result == "UNSTABLE"
    each = [name for name in stub.ran() if name not in {"describe", "changed"}]
    assert each == [name for name in ("repro", "collect", "repro", "publish", "check_data") for _ in range(2)]
    assert stub.given("repro")["SLIPWAY_REPRO_ONLY"] == "data"
    assert stub.given("check_data")["SLIPWAY_CHECK_DATA_FRESHNESS_ONLY"] == "true"
    assert built.events("lock")[0]["resource"] == "slipway-data"
    stub.plan()
    assert controller.build("freshness", {"PROJECT": "flights", "DRY_RUN": True}).first.result == "SUCCESS"
    assert [name for name in stub.ran() if name != "describe"] == ["repro", "collect"]


def test_published_data_alone_start_no_delivery(controller: Controller, stub: Stub) -> None:
    stub.commit("Data flights-data@v1.1.0: more\n\nSlipway-Data: flights-data@v1.1.0")
    stub.plan(changed=[""])
    built = controller.build("delivery", variables={"BRANCH_NAME": "main"}).first
    assert (built.result, stub.ran()) == ("SUCCESS", ["changed"])
    assert stub.given("changed")["SLIPWAY_CHANGED_SINCE"] == "nothing"
    assert built.description == "published data only: nothing to build"
    stub.plan(changed=["flights", "flights"])
    assert controller.build("delivery", variables={"BRANCH_NAME": "main"}).first.result == "SUCCESS"
    assert stub.ran()[:3] == ["changed", "repro", "changed"]
    assert "verify" in stub.ran()


SECRET = {"deploy": {"kind": "string", "value": "s3cret"}}


@pytest.mark.parametrize(("fork", "bound"), [(None, True), ("mallory", False)])
def test_a_pull_request_from_a_fork_gets_no_secret(
    controller: Controller, stub: Stub, fork: str | None, bound: bool
) -> None:
    controller.credentials = SECRET
    variables = {"BRANCH_NAME": "PR-7", "CHANGE_ID": "7", "SLIPWAY_SIGNING_CREDENTIALS": "deploy"}
    controller.build("delivery", variables=variables | ({"CHANGE_FORK": fork} if fork else {}))
    assert ("SLIPWAY_SIGNING_KEY" in stub.given("gate")) is bound
    assert stub.given("gate").get("SLIPWAY_GATE_COMPARISONS") == ("local" if fork else None)


@pytest.mark.parametrize("job", sorted(set(JOBS) - {"delivery"}))
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12].encode("unicode_escape").decode())
def test_what_people_type_reaches_python_as_data(controller: Controller, stub: Stub, job: str, text: str) -> None:
    built = controller.build(job, dict.fromkeys(FREE[job], text)).first
    given = [item for step in set(stub.ran()) for item in stub.given(step).items()]
    for name in FREE[job]:
        assert any(variable.endswith(f"_{name}") and value == text for variable, value in given), name
    assert not list(controller.folder.rglob("owned"))
    assert built.result == "SUCCESS"
