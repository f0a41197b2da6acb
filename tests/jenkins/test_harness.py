"""The harness does what Jenkins does, and refuses what it does not know: else the pipelines' tests would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jenkins.controller import Controller, Ran

OPTIONS = """
    options {
        timeout(time: 1, unit: 'HOURS')
        buildDiscarder(logRotator(numToKeepStr: '30', artifactNumToKeepStr: '10'))
        disableConcurrentBuilds()
        timestamps()
        skipDefaultCheckout()
    }
"""


def run(scratch: Controller, body: str, *, options: str = OPTIONS, agent: str = "agent none", **given: object) -> Ran:
    file = scratch.folder / "Jenkinsfile"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"pipeline {{\n{agent}\n{options}\n{body}\n}}\n", encoding="utf-8")
    scratch.jobs = {"job": {"file": str(file)}}
    return scratch.build("job", **given)  # type: ignore[arg-type]


def on_agent(steps: str, more: str = "") -> str:
    return f"stages {{ stage('One') {{\nagent {{ label 'slipway' }}\n{more}\nsteps {{\n{steps}\n}}\n}} }}"


def test_every_sh_runs_in_a_fresh_workspace_of_its_agent(scratch: Controller) -> None:
    two = """stages {
        stage('One') {
            agent { label 'slipway' }
            steps {
                checkout scm
                sh 'test -f hello.txt && echo made > made.txt'
                stash name: 'made', includes: 'made.txt'
            }
        }
        stage('Two') {
            agent { label 'slipway' }
            steps {
                sh 'test ! -e made.txt'
                unstash 'made'
                sh 'grep made made.txt'
            }
        }
    }"""
    built = run(scratch, two).first
    assert built.result == "SUCCESS"
    assert [event["code"] for event in built.events("sh")] == [0, 0, 0]
    assert len({event["folder"] for event in built.events("agent")}) == 2


def test_sh_is_dash_that_stops_at_the_first_failure(scratch: Controller) -> None:
    built = run(scratch, on_agent("sh 'false; echo never'")).first
    assert built.result == "FAILURE"
    assert "never" not in [line for line in built.console.splitlines() if not line.startswith("+")]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (on_agent("frobnicate 'x'"), "unknown step `frobnicate`"),
        (on_agent("sh 'true'", "frills { }"), "unknown construct `frills`"),
        (on_agent('sh "echo ${params.X}"'), "params.X is not declared"),
        (on_agent("script { currentBuild.result = 'SUCCESS' }"), "currentBuild.result is set"),
        (on_agent("sh label: 'x', script: 'a\\n' * 9"), "more than 8 lines"),
        (on_agent("input message: 'go?'"), "an agent is held"),
        (on_agent("lock(label: 'x') { sh 'true' }"), "needs resource: null"),
        (on_agent("milestone 2\nmilestone 1"), "does not rise"),
        (on_agent("sh 'true'", "when { expression { true } }"), "say beforeAgent true"),
        (on_agent("build job: 'other'"), "say wait and propagate"),
        ("stages { stage('Empty') { } }", "needs exactly one of"),
        ("parameters { string(name: 'A', defaultValue: 'b') }\n" + on_agent("sh 'true'"), "has no description"),
        ("triggers { cron('0 3 * * *') }\n" + on_agent("sh 'true'"), "without H"),
    ],
    ids=lambda value: value if "\n" not in value and len(value) < 40 else "",
)  # fmt: skip
def test_what_it_does_not_know_or_what_is_wrong_is_refused(scratch: Controller, body: str, words: str) -> None:
    ran = run(scratch, body)
    assert ran.refused is not None
    assert words in ran.refused


def test_a_script_into_which_groovy_writes_is_refused(scratch: Controller) -> None:
    ran = run(scratch, "parameters { string(name: 'A', defaultValue: 'b', description: 'c') }\n"
              + on_agent('sh "echo ${params.A}"'))  # fmt: skip
    assert ran.refused is not None
    assert "Groovy writes into the script" in ran.refused


@pytest.mark.parametrize("option", ["timeout", "buildDiscarder", "disableConcurrentBuilds", "timestamps"])
def test_a_pipeline_without_its_limits_is_refused(scratch: Controller, option: str) -> None:
    kept = "\n".join(line for line in OPTIONS.splitlines() if option not in line)
    ran = run(scratch, on_agent("sh 'true'"), options=kept)
    assert ran.refused == f"options: {option} is missing"


def test_post_of_a_pipeline_without_agent_has_no_workspace(scratch: Controller) -> None:
    built = run(scratch, on_agent("sh 'true'") + "\npost { always { junit 'x.xml' } }").first
    assert built.result == "FAILURE"
    assert built.lines("no agent here")


def test_sections_on_one_line_are_one_call_chain(scratch: Controller) -> None:
    with pytest.raises(AssertionError, match=r"null|post"):
        run(
            scratch,
            "stages { stage('One') { agent { label 'slipway' }\nsteps { sh 'true' } post { always { echo 'x' } } } }",
        )


def test_a_first_run_knows_params_but_no_variables_and_ignores_what_it_was_given(scratch: Controller) -> None:
    scratch.number = 1
    body = ("parameters { string(name: 'A', defaultValue: 'b', description: 'c') }\n"
            + on_agent("sh 'echo \"variable=${A:-none}\"'\necho \"param=${params.A}\""))  # fmt: skip
    built = run(scratch, body, parameters={"A": "given"}).first
    assert built.lines("variable=none")
    assert built.lines("param=b")


def test_a_job_that_was_declared_beforehand_takes_what_it_was_given(scratch: Controller) -> None:
    scratch.number = 1
    body = ("parameters { string(name: 'A', defaultValue: 'b', description: 'c') }\n"
            + on_agent("sh 'echo \"variable=${A:-none}\"'"))  # fmt: skip
    file = scratch.folder / "Jenkinsfile"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"pipeline {{\nagent none\n{OPTIONS}\n{body}\n}}\n", encoding="utf-8")
    scratch.jobs = {"job": {"file": str(file), "seeded": True}}
    built = scratch.build("job", {"A": "$(given) `x`"}).first
    assert built.lines("variable=$(given) `x`")


def test_secrets_are_masked_exactly_as_jenkins_does_and_no_further(scratch: Controller) -> None:
    scratch.credentials = {"token": {"kind": "string", "value": "s3cret/value"}}
    steps = (
        "withCredentials([string(credentialsId: 'token', variable: 'T')]) {\nsh 'echo \"$T\"; echo \"$T\" | base64'\n}"
    )
    built = run(scratch, on_agent(steps)).first
    assert "s3cret/value" not in built.console
    assert "czNjcmV0L3ZhbHVl" in built.console


def test_a_missing_credential_fails(scratch: Controller) -> None:
    built = run(scratch, on_agent("sh 'true'", "environment { T = credentials('token') }")).first
    assert built.result == "FAILURE"
    assert built.lines("Could not find credentials entry with ID 'token'")


def test_an_abort_ends_the_whole_family_with_sigterm(scratch: Controller) -> None:
    trap = "sh 'trap \"echo cleaned; exit 143\" TERM; echo started; sleep 30 & wait'"
    built = run(scratch, on_agent(trap, "post { aborted { echo 'told' } }"), abort_on="^started").first
    assert built.result == "ABORTED"
    assert built.lines("cleaned")
    assert built.lines("told")


def test_a_timeout_aborts(scratch: Controller) -> None:
    built = run(scratch, on_agent("timeout(time: 1, unit: 'SECONDS') {\nsh 'sleep 30'\n}")).first
    assert built.result == "ABORTED"


def test_junit_that_finds_failures_makes_a_build_yellow_and_none_makes_it_red(scratch: Controller) -> None:
    case = '<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>'
    built = run(scratch, on_agent(f"writeFile file: 'x.xml', text: '{case}'\njunit 'x.xml'")).first
    assert built.result == "UNSTABLE"
    assert built.events("junit")[0]["cases"] == 2
    assert run(scratch, on_agent("junit 'none.xml'")).first.result == "FAILURE"


def test_stages_after_an_unstable_one_are_skipped_where_that_is_asked_for(scratch: Controller) -> None:
    stages = """stages {
        stage('One') {
            agent { label 'slipway' }
            steps { unstable 'not sure' }
        }
        stage('Two') {
            agent { label 'slipway' }
            steps { sh 'true' }
        }
    }"""
    assert run(scratch, stages).first.stages["Two"] == "SUCCESS"
    options = OPTIONS.replace("timestamps()", "timestamps()\n        skipStagesAfterUnstable()")
    assert run(scratch, stages, options=options).first.stages["Two"] == "SKIPPED"


def test_an_answer_reaches_the_stage_and_a_stranger_is_turned_away(scratch: Controller) -> None:
    body = """stages { stage('Ask') {
        options { timeout(time: 1, unit: 'MINUTES') }
        input {
            message 'go?'
            submitter 'managers'
            submitterParameter 'APPROVER'
        }
        agent { label 'slipway' }
        steps { sh 'echo "by=$APPROVER"' }
    } }"""
    built = run(scratch, body, answers=[{"by": "alice", "groups": ["managers"]}]).first
    assert built.lines("by=alice")
    assert run(scratch, body, answers=[{"by": "mallory"}]).first.result == "ABORTED"
    assert run(scratch, body).first.result == "ABORTED"


def test_a_matrix_has_a_cell_for_each_value(scratch: Controller) -> None:
    body = """stages { stage('All') { matrix {
        agent { label 'slipway' }
        axes { axis {
            name 'PROJECT'
            values 'flights', 'houses'
        } }
        stages { stage('Build') {
            steps { sh 'echo "for=$PROJECT"' }
        } }
    } } }"""
    built = run(scratch, body).first
    assert built.lines("for=flights")
    assert built.lines("for=houses")


def test_retry_stops_when_it_works(scratch: Controller) -> None:
    built = run(scratch, on_agent("retry(3) {\nsh 'test -e x || { touch x; exit 5; }'\n}")).first
    assert built.result == "SUCCESS"
    assert len(built.events("retry")) == 1


@pytest.mark.parametrize("code", ["new File('/x')", "'ls'.execute()", "import java.io.File"])
def test_what_the_sandbox_refuses_is_refused(scratch: Controller, code: str) -> None:
    file = scratch.folder / "Jenkinsfile"
    file.parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(f"{code}\npipeline {{ }}\n", encoding="utf-8")
    scratch.jobs = {"job": {"file": str(file)}}
    with pytest.raises(AssertionError, match=r"not allowed|SecurityException|Expression"):
        scratch.build("job")
