"""Lines of the checklist (docs/reference/jenkins.md) that no other test holds our pipelines to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.jenkins.controller import ROOT, Controller
from tests.jenkins.stub import Stub
from tests.jenkins.test_agreement import parameters
from tests.jenkins.test_mapping import JOBS, controller, stub  # noqa: F401  # fixtures
from tests.jenkins.test_style import PIPELINES, code, named, pipelines

RELEASE = {"RELEASE": "v1.4.0"}
MAIN = {"BRANCH_NAME": "main"}


@named
def test_groovy_reads_no_files_and_takes_no_text_apart(file: Path) -> None:
    assert not re.search(
        r"readJSON|readYaml|readProperties|readCSV|JsonSlurper|\.split\(|[^=]=~ |\.eachLine", code(file)
    )
    assert ("readFile" in code(file)) is (file.name == "slipway.groovy")  # one line: what a step printed


@named
def test_a_script_is_one_line(file: Path) -> None:
    assert "'''" not in code(file)
    assert "\\n" not in code(file)


@pipelines
def test_a_pipeline_has_no_agent_of_its_own_and_keeps_a_bounded_past(file: Path) -> None:
    text = code(file)
    assert re.search(r"^pipeline \{\n    agent none$", text, re.MULTILINE)
    assert re.search(r"buildDiscarder\(logRotator\(numToKeepStr: '\d+', artifactNumToKeepStr: '\d+'\)\)", text)
    assert "skipDefaultCheckout()" in text
    assert "abortPrevious" not in text
    assert "changeset" not in text  # it is empty on a first build, a replay and a cron run


@pytest.mark.parametrize("job", sorted(JOBS))
def test_every_stage_runs_where_the_controller_says(controller: Controller, stub: Stub, job: str) -> None:  # noqa: F811
    controller.agents = {"gpu": {**controller.agents["slipway"]}}
    built = controller.build(job, variables=MAIN | {"SLIPWAY_AGENT": "gpu"}).first
    assert built.result == "SUCCESS", built.console[-2000:]
    assert {event["label"] for event in built.events("agent")} == {"gpu"}
    assert stub.ran()


def test_a_rollback_has_an_executor_of_its_own_where_there_is_one(controller: Controller) -> None:  # noqa: F811
    controller.agents["urgent"] = controller.agents["slipway"]
    built = controller.build("rollback", {"REASON": "slow"}, variables={"SLIPWAY_URGENT_AGENT": "urgent"}).first
    assert (built.result, {event["label"] for event in built.events("agent")}) == ("SUCCESS", {"urgent"})


@pytest.mark.parametrize("file", [*PIPELINES[1:]], ids=lambda path: path.name)
def test_environments_are_chosen_from_those_that_there_are(file: Path) -> None:
    known = [item["name"] for item in yaml.safe_load((ROOT / "params.yaml").read_text())["environments"]]
    declared = parameters(file.read_text(encoding="utf-8"))
    if "ENVIRONMENT" in declared:
        assert declared["ENVIRONMENT"]["kind"] == "choice"
        assert sorted(declared["ENVIRONMENT"]["choices"]) == sorted(known)
    assert ("ENVIRONMENT" in declared) is bool(re.search(r"env: params\.|to: params\.", code(file)))


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize("asks", [False, True])
def test_a_promotion_holds_the_lock_of_its_environment_and_no_other(
    controller: Controller, stub: Stub, environment: str, asks: bool  # noqa: F811
) -> None:  # fmt: skip
    stub.plan(promote=[4, 0] if asks else [0])
    answers = [{"by": "alice", "groups": ["release-managers"]}]
    built = controller.build("promote", RELEASE | {"ENVIRONMENT": environment}, answers=answers).first
    assert built.result == "SUCCESS"
    assert {event["resource"] for event in built.events("lock")} == {f"slipway-{environment}"}
    assert [event["ordinal"] for event in built.events("milestone")] == [1]


def test_the_delivery_holds_the_lock_that_a_promotion_into_staging_holds(
    controller: Controller, stub: Stub  # noqa: F811
) -> None:  # fmt: skip
    built = controller.build("delivery", variables=MAIN).first
    assert {event["resource"] for event in built.events("lock")} == {"slipway-staging"}
    assert "promote" in stub.ran()


def test_what_one_job_gives_another_is_declared_there(controller: Controller) -> None:  # noqa: F811
    built = controller.build("delivery", variables=MAIN | {"SLIPWAY_PROMOTE": "automatically"}).first
    (started,) = built.events("build")
    declared = parameters((ROOT / JOBS[started["job"]]).read_text(encoding="utf-8"))
    assert set(started["parameters"]) <= set(declared)
    assert started["parameters"]["ENVIRONMENT"] in declared["ENVIRONMENT"]["choices"]


def test_an_inconclusive_verification_turns_yellow_and_promotes_nothing(
    controller: Controller, stub: Stub  # noqa: F811
) -> None:  # fmt: skip
    stub.plan(verify=[4])
    built = controller.build("delivery", variables=MAIN | {"SLIPWAY_PROMOTE": "automatically"}).first
    assert built.result == "UNSTABLE"
    assert not built.events("build")


def test_results_that_were_committed_by_mistake_are_not_taken_for_this_builds(
    controller: Controller, stub: Stub  # noqa: F811
) -> None:  # fmt: skip
    old = stub.repository / "reports/all/old.xml"
    old.parent.mkdir(parents=True)
    old.write_text('<testsuite><testcase name="a"><failure/></testcase></testsuite>')
    stub.commit("a report in Git")
    built = controller.build("verify", {"PROJECT": "flights"}).first
    assert [event["failed"] for event in built.events("junit")] == [0]
    assert not list(controller.folder.glob("archive/*/artifacts/reports/all/old.xml"))


def test_the_cache_of_the_guide_is_found_in_every_workspace(tmp_path: Path) -> None:
    """The command that docs/how-to/agents-and-caches.md names, in two workspaces of one user."""
    (words,) = re.findall(r"`dvc (cache dir --\w+) FOLDER`", (ROOT / "docs/how-to/agents-and-caches.md").read_text())
    cache = tmp_path / "cache"

    def dvc(workspace: str, *arguments: str) -> str:
        folder = tmp_path / workspace
        if not folder.is_dir():
            subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
            subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=folder, env=variables, check=True)
        done = subprocess.run(
            [sys.executable, "-m", "dvc", *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    home = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "home/.config"), "DVC_NO_ANALYTICS": "1"}
    variables = {**os.environ, **home}
    dvc("one", *words.split(), str(cache))
    assert dvc("two", "cache", "dir") == str(cache)
