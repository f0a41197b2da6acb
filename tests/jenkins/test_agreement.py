"""Pipelines, command lines, seed, configuration and documents say the same."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tests.jenkins.controller import ROOT

PIPELINES = [ROOT / "Jenkinsfile", *sorted((ROOT / "ci/jenkins").glob("*.Jenkinsfile"))]
LIBRARY = sorted((ROOT / "ci/jenkins/vars").glob("*.groovy"))
CONTROLLER = ROOT / "ci/jenkins/controller"
SEED = CONTROLLER / "seed.groovy"
PAGE = ROOT / "docs/reference/jenkins.md"
_CALL = re.compile(
    r"\b(?:slipway(?:Ask|Each)?|slipway\.told|slipway\.ended)\s*\(?\s*'([a-z_]+)'((?:,\s*\w+: (?:[^,\n]|\([^)]*\))+)*)"
)
_OPTION = re.compile(r"(?:^|,)\s*(\w+): ")
_PARAMETER = re.compile(r"\b(string|choice|booleanParam)\s*\((name: .*?)\)\n")


def calls() -> list[tuple[str, str, list[str]]]:
    """Every call of a step in a pipeline or in the library: file, step, options."""
    found = []
    for file in [*PIPELINES, *LIBRARY]:
        text = re.sub(r",\n\s+", ", ", file.read_text(encoding="utf-8"))
        for step, options in _CALL.findall(text):
            found.append((file.name, step, _OPTION.findall(re.sub(r"\? '[^']*' : '[^']*'|== '[^']*'", "", options))))
    return found


def command(step: str) -> click.Command:
    if not (ROOT / f"steps/{step}.py").is_file():
        pytest.fail(f"{step}: no such step")
    made: click.Command = importlib.import_module(f"steps.{step}").main
    return made


@pytest.mark.parametrize(
    ("file", "step", "options"), calls(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_pipeline_gives_a_step_only_options_that_it_has_and_all_that_it_needs(
    file: str, step: str, options: list[str]
) -> None:
    known = {str(option.envvar): option for option in command(step).params}
    given = {f"SLIPWAY_{step}_{name}".upper() for name in options}
    if file == "Jenkinsfile":
        given |= {f"SLIPWAY_{step}_PROJECT".upper()} & set(known)  # slipwayEach adds it
    assert given <= set(known), sorted(given - set(known))
    needed = {name for name, option in known.items() if option.required}
    assert needed <= given, sorted(needed - given)


def test_every_step_of_every_pipeline_was_looked_at() -> None:
    seen = {(file, step) for file, step, _ in calls()}
    assert {
        ("Jenkinsfile", "repro"), ("Jenkinsfile", "gate"), ("Jenkinsfile", "package"), ("Jenkinsfile", "promote"),
        ("Jenkinsfile", "verify"), ("promote.Jenkinsfile", "promote"), ("rollback.Jenkinsfile", "rollback"),
        ("rollback.Jenkinsfile", "verify"), ("verify.Jenkinsfile", "verify"),
        ("reconcile.Jenkinsfile", "reconcile"), ("slipwayChanged.groovy", "changed"), ("slipwayEach.groovy", "changed"),
        ("slipwayPublish.groovy", "describe"),
    } <= seen  # fmt: skip
    assert len([item for item in calls() if item[1] == "promote"]) == 4


def parameters(text: str) -> dict[str, dict[str, Any]]:
    """Read the parameters that a Jenkinsfile declares."""
    found: dict[str, dict[str, Any]] = {}
    for kind, inside in _PARAMETER.findall(text):
        name = re.search(r"name: '(\w+)'", inside)
        description = re.search(r"description: '([^']*)'", inside)
        assert name, inside
        assert description, inside
        default = re.search(r"defaultValue: ('[^']*'|true|false)", inside)
        choices = re.search(r"choices: \[([^\]]*)\]", inside)
        found[name[1]] = {
            "kind": {"booleanParam": "boolean"}.get(kind, kind),
            "description": description[1],
            "default": default[1].strip("'") if default else None,
            "choices": re.findall(r"'([^']*)'", choices[1]) if choices else None,
        }
    return found


def seeded() -> dict[str, dict[str, dict[str, Any]]]:
    """Read the parameters of each job as the seed declares them."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for job, body in re.findall(
        r"^pipelineJob\('slipway/([a-z]+)'\) \{\n(.*?)^\}", SEED.read_text(), re.MULTILINE | re.DOTALL
    ):
        found[job] = {}
        for line in re.findall(r"^ +(?:stringParam|choiceParam|booleanParam)\(.*\)$", body, re.MULTILINE):
            kind = re.search(r"(\w+)Param\(", line)
            assert kind
            choices = re.search(r"\[([^\]]*)\]", line)
            texts = re.findall(r"'([^']*)'", re.sub(r"\[[^\]]*\]", "", line))
            default = None if choices else re.findall(r", ('[^']*'|true|false), '", line)[0].strip("'")
            found[job][texts[0]] = {
                "kind": kind[1], "description": texts[-1], "default": default,
                "choices": re.findall(r"'([^']*)'", choices[1]) if choices else None,
            }  # fmt: skip
    return found


def test_the_seed_declares_every_job_with_the_parameters_of_its_jenkinsfile() -> None:
    declared = {
        file.name.split(".")[0]: parameters(file.read_text(encoding="utf-8"))
        for file in PIPELINES
        if file.name != "Jenkinsfile"
    }
    assert all(declared.values())
    assert seeded() == declared
    for job in declared:
        assert f"scriptPath('ci/jenkins/{job}.Jenkinsfile')" in SEED.read_text()
    assert "multibranchPipelineJob('slipway/delivery')" in SEED.read_text()


def configuration() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((CONTROLLER / "jenkins.yaml").read_text(encoding="utf-8"))
    return document


def test_the_configuration_loads_and_starts_the_seed() -> None:
    document = configuration()
    assert set(document) == {"jenkins", "security", "credentials", "jobs", "unclassified"}
    (job,) = document["jobs"]
    assert job["file"] == "/usr/share/jenkins/slipway/seed.groovy"
    assert document["jenkins"]["numExecutors"] == 0


def ids() -> set[str]:
    (domain,) = configuration()["credentials"]["system"]["domainCredentials"]
    return {next(iter(item.values()))["id"] for item in domain["credentials"]}


def test_every_credential_of_the_library_is_there_and_holds_no_secret_itself() -> None:
    named = re.findall(r"env\.(SLIPWAY_\w+_CREDENTIALS)\b", (ROOT / "ci/jenkins/vars/slipway.groovy").read_text())
    variables = configuration()["jenkins"]["globalNodeProperties"][0]["envVars"]["env"]
    given = {item["key"]: item["value"] for item in variables}
    assert set(named) <= set(given)
    assert {given[name] for name in named} == ids() - {"slipway-agent"}
    for line in (CONTROLLER / "jenkins.yaml").read_text().splitlines():
        if re.search(r"\b(password|secret|privateKey):", line):
            assert re.search(r'"\$\{[A-Z_/a-z-]+\}"$', line), line


def table(heading: str) -> dict[str, str]:
    """Read a table of the reference: first column to the whole row."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", section, re.MULTILINE)
    return {name.strip("`"): rest for name, rest in rows if not set(name) <= {"-", "|", " "}}


def test_the_reference_lists_credentials_labels_locks_and_plugins() -> None:
    page = table("Credentials, labels, locks")
    labels = {item for file in PIPELINES for item in re.findall(r"label .*?'([\w-]+)'", file.read_text())}
    locks = {item for file in PIPELINES for item in re.findall(r"lock\(resource: ['\"]([^'\"]+)", file.read_text())}
    assert labels == {"slipway"}
    named = {lock.replace("${params.ENVIRONMENT}", "ENVIRONMENT") for lock in locks}
    offered = {node["permanent"]["labelString"] for node in configuration()["jenkins"]["nodes"]}
    assert {*ids(), *labels, *named, *offered} <= set(page)
    assert labels <= offered
    pinned = dict(line.split(":") for line in (CONTROLLER / "plugins.txt").read_text().split() if ":" in line)
    listed = {name: row.split(" | ")[0].strip("`") for name, row in table("Plugins").items() if name in pinned}
    assert listed == pinned


def test_plugins_are_pinned_and_the_steps_that_are_used_have_one() -> None:
    lines = [line for line in (CONTROLLER / "plugins.txt").read_text().splitlines() if line and line[0] != "#"]
    assert all(re.fullmatch(r"[a-z0-9-]+:[\w.-]+", line) for line in lines)
    names = {line.split(":")[0] for line in lines}
    assert {"workflow-aggregator", "lockable-resources", "htmlpublisher", "junit", "timestamper", "credentials-binding",
            "git", "configuration-as-code", "job-dsl", "pipeline-groovy-lib", "mailer"} <= names  # fmt: skip


def test_images_are_named_by_whoever_builds_them() -> None:
    for file in CONTROLLER.rglob("*Dockerfile*"):
        text = file.read_text()
        assert re.search(r"^ARG \w+_IMAGE$", text, re.MULTILINE), file
        assert re.findall(r"^FROM (.+)$", text, re.MULTILINE) == [
            "${" + re.findall(r"^ARG (\w+_IMAGE)$", text, re.MULTILINE)[0] + "}"
        ]
        assert not re.search(r"^USER (root|0)\s*$(?!(.|\n)*^USER [a-z1-9])", text, re.MULTILINE), (
            f"{file}: ends as root"
        )


def test_compose_loads_and_gives_secrets_as_files() -> None:
    document = yaml.safe_load((CONTROLLER / "compose.yaml").read_text())
    assert set(document["services"]) == {"controller", "agent"}
    given = set(document["services"]["controller"]["secrets"])
    assert given == set(document["secrets"])
    used = set(re.findall(r"\$\{([a-z-]+)\}", (CONTROLLER / "jenkins.yaml").read_text()))
    assert used == given
    assert "privileged" not in (CONTROLLER / "compose.yaml").read_text()
    assert "docker.sock" not in (CONTROLLER / "compose.yaml").read_text()


def test_the_checklist_names_tests_that_exist_or_says_why_there_is_none() -> None:
    rows = table("The checklist")
    assert [str(number) for number in range(1, 28)] == [name for name in rows if name.isdigit()]
    for number, row in rows.items():
        if not number.isdigit():
            continue
        named = re.findall(r"`((?:tests/)[\w/.]+)(?:::(\w+))?`", row)
        assert named or "none:" in row, number
        for file, test in named:
            path = ROOT / file
            assert path.is_file(), f"{number}: {file}"
            assert f"def {test}(" in path.read_text() if test else True, f"{number}: {test}"


def test_every_test_that_the_reference_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?`", PAGE.read_text(encoding="utf-8"))
    for file, test in named:
        assert (ROOT / file).exists(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(), f"{file}::{test}"
    stories = table("The stories")
    assert len(stories) - 1 == 10 + 3  # must-show 2 has ten, 3 to 5 one each; less the heading
    assert all("`tests/" in row for name, row in stories.items() if name != "what happens")


def test_groovy_of_the_controller_compiles(tmp_path: Path) -> None:
    import os
    import subprocess

    from tests.jenkins.controller import java, missing

    if reason := missing():
        pytest.skip(reason)
    home = Path(str(java())).resolve().parents[1]
    done = subprocess.run(
        ["groovyc", "-d", str(tmp_path), str(SEED)], env={**os.environ, "JAVA_HOME": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
