"""A build that is restarted from a stage has lost what earlier stages knew: it finds out again, and ships nothing twice."""

from __future__ import annotations

from tests.jenkins.controller import Built, Controller
from tests.jenkins.stub import Stub
from tests.jenkins.test_mapping import controller, stub  # noqa: F401  # fixtures

MAIN = {"BRANCH_NAME": "main", "SLIPWAY_PROMOTE": "automatically"}
ALICE = [{"by": "alice", "groups": ["release-managers"]}]
WISH = {"RELEASE": "v1.4.0", "REASON": "fresher"}


def ran(stub: Stub) -> list[str]:  # noqa: F811
    return [name for name in stub.ran() if name != "describe"]


def restarted(controller: Controller, job: str, stage: str, **how: object) -> Built:  # noqa: F811
    return controller.build(job, restart_at=stage, **how).first  # type: ignore[arg-type]


def test_a_delivery_restarted_asks_again_what_is_new(controller: Controller, stub: Stub) -> None:  # noqa: F811
    built = restarted(controller, "delivery", "Deliver", variables=MAIN)
    assert built.result == "SUCCESS"
    assert built.stages["Check"] == "SKIPPED"
    assert ran(stub) == ["repro", "changed", "gate", "package", "promote", "verify"]
    assert [event["job"] for event in built.events("build")] == ["promote"]
    stub.plan(changed=[""])
    assert restarted(controller, "delivery", "Deliver", variables=MAIN).result == "SUCCESS"
    assert ran(stub) == ["repro", "changed"]


def test_its_last_stage_alone_promotes_nothing(controller: Controller, stub: Stub) -> None:  # noqa: F811
    assert not restarted(controller, "delivery", "Promote", variables=MAIN).events("build")
    assert ran(stub) == []


def test_a_promotion_restarted_checks_and_moves_in_one_step_and_asks_nobody(
    controller: Controller, stub: Stub  # noqa: F811
) -> None:  # fmt: skip
    built = restarted(controller, "promote", "Promote", parameters=WISH)
    assert (built.result, ran(stub)) == ("SUCCESS", ["promote"])
    assert "SLIPWAY_PROMOTE_DRY_RUN" not in stub.given("promote")
    assert not built.events("input")
    stub.plan(promote=[4])
    built = restarted(controller, "promote", "Promote", parameters=WISH)
    assert (built.result, built.events("input")) == ("UNSTABLE", [])  # the step itself says that somebody has to agree


def test_a_promotion_restarted_where_a_person_agrees_asks_again(controller: Controller, stub: Stub) -> None:  # noqa: F811
    built = restarted(controller, "promote", "Approve and promote", parameters=WISH, answers=list(ALICE))
    assert (built.result, ran(stub)) == ("SUCCESS", ["promote"])
    assert stub.given("promote")["SLIPWAY_PROMOTE_APPROVER"] == "alice"


def test_a_dry_run_stays_one(controller: Controller, stub: Stub) -> None:  # noqa: F811
    restarted(controller, "promote", "Promote", parameters=WISH | {"DRY_RUN": True})
    assert ran(stub) == []


def test_a_rollback_restarted_looks_once_more_and_moves_nothing(controller: Controller, stub: Stub) -> None:  # noqa: F811
    assert restarted(controller, "rollback", "Verify", parameters={"REASON": "slow"}).result == "SUCCESS"
    assert ran(stub) == ["verify"]
