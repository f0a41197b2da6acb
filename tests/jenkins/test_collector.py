"""The collection service goes through the pipelines as a project does; the steps here end as planned."""

from __future__ import annotations

import pytest

from tests.jenkins.controller import Controller
from tests.jenkins.stub import Stub
from tests.jenkins.test_mapping import controller, stub  # noqa: F401  # fixtures

MAIN = {"BRANCH_NAME": "main", "SLIPWAY_SENDERS_CREDENTIALS": "senders"}


@pytest.fixture
def known(controller: Controller, stub: Stub) -> Controller:  # noqa: F811
    """A controller that has the file with the senders; a commit has changed the service alone."""
    (stub.place / "senders").write_text("front-door send 00\n")
    controller.credentials = {"senders": {"kind": "file", "path": str(stub.place / "senders")}}
    stub.plan(changed=["collector"])
    return controller


def test_it_is_judged_packaged_released_into_staging_and_verified(known: Controller, stub: Stub) -> None:  # noqa: F811
    assert known.build("delivery", variables=MAIN).first.result == "SUCCESS"
    shipped = ["gate", "package", "promote", "verify"]
    assert [name for name in stub.ran() if name != "describe"] == ["repro", "changed", *shipped]
    assert {stub.given(step)[f"SLIPWAY_{step}_PROJECT".upper()] for step in shipped} == {"collector"}
    assert stub.given("promote")["SLIPWAY_PROMOTE_RELEASE"] == "packaged"
    assert stub.given("verify")["SLIPWAY_VERIFY_ENV"] == "staging"


def test_a_smoke_test_that_says_no_ships_nothing(known: Controller, stub: Stub) -> None:  # noqa: F811
    stub.plan(changed=["flights collector"], gate=[0, 3])
    assert known.build("delivery", variables=MAIN).first.result == "UNSTABLE"
    assert stub.given("package")["SLIPWAY_PACKAGE_PROJECT"] == "flights"
    assert stub.ran().count("package") == 1


def test_its_senders_come_as_a_file_and_never_to_a_fork(known: Controller, stub: Stub) -> None:  # noqa: F811
    known.build("delivery", variables=MAIN)
    assert stub.given("promote")["COLLECTOR_TOKENS"] == str(stub.place / "senders")
    known.build("delivery", variables=MAIN | {"BRANCH_NAME": "PR-7", "CHANGE_ID": "7", "CHANGE_FORK": "mallory"})
    assert "COLLECTOR_TOKENS" not in stub.given("gate")


@pytest.mark.parametrize(("job", "too"), [("verify", True), ("reconcile", True), ("freshness", False)])
def test_what_looks_at_an_environment_looks_at_it_and_what_is_about_data_does_not(
    known: Controller, stub: Stub, job: str, too: bool  # noqa: F811
) -> None:  # fmt: skip
    assert known.build(job, cause="TimerTrigger").first.result == "SUCCESS"
    assert stub.given("changed")["SLIPWAY_CHANGED_ALL"] == "true"
    assert ("SLIPWAY_CHANGED_DEPLOYED" in stub.given("changed")) is too
