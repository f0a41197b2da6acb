"""What the guides tell people to type, press and put into files is there."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import yaml

from ci.params import parse
from ci.shared import Shared
from tests.jenkins.controller import ROOT
from tests.jenkins.test_agreement import CONTROLLER, SEED, command, parameters

GUIDES = ["first-pipeline", "promote", "roll-back", "add-an-environment", "agents-and-caches", "deploy-the-collector"]
named = pytest.mark.parametrize("guide", GUIDES)


def text(guide: str) -> str:
    return (ROOT / f"docs/how-to/{guide}.md").read_text(encoding="utf-8")


@named
def test_every_command_has_the_options_that_it_is_given(guide: str) -> None:
    for step, rest in re.findall(r"python -m steps\.(\w+)([^\n`]*)", text(guide)):
        known = {spelling for option in command(step).params for spelling in (*option.opts, *option.secondary_opts)}
        given = {word.partition("=")[0] for word in shlex.split(rest) if word.startswith("--")}
        assert given <= known, f"steps.{step}: {sorted(given - known)}"


@named
def test_every_job_that_is_pressed_is_declared(guide: str) -> None:
    for job in re.findall(r"`slipway/([a-z]+)`", text(guide)):
        assert f"ob('slipway/{job}')" in SEED.read_text(), job


@pytest.mark.parametrize(("guide", "job"), [("promote", "promote"), ("roll-back", "rollback")])
def test_every_parameter_that_is_named_is_one_of_the_job(guide: str, job: str) -> None:
    (part,) = re.findall(r"\*\*In Jenkins\*\*.*?\n\n", text(guide), re.DOTALL)
    declared = parameters((ROOT / f"ci/jenkins/{job}.Jenkinsfile").read_text(encoding="utf-8"))
    found = set(re.findall(r"\b[A-Z][A-Z_]+\b", part))
    assert found
    assert found <= set(declared)


def test_the_first_pipeline_has_every_secret_and_variable_that_compose_wants() -> None:
    compose = (CONTROLLER / "compose.yaml").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\$\{(\w+):\?", compose))
    assert wanted <= set(re.findall(r"^   (\w+)=", text("first-pipeline"), re.MULTILINE))
    document: dict[str, Any] = yaml.safe_load(compose)
    told = set(re.findall(r"secrets/([\w-]+)", text("first-pipeline")))
    assert set(document["secrets"]) <= told


@named
def test_settings_that_are_shown_can_be_read(guide: str) -> None:
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```", text(guide), re.DOTALL | re.MULTILINE):
        settings = yaml.safe_load(block)
        parse(Shared, {"projects": ["flights"], **settings}, guide)


def test_a_fourth_environment_is_passed_through_in_order() -> None:
    (block,) = re.findall(r"^ *```yaml\n(.*?)^ *```", text("add-an-environment"), re.DOTALL | re.MULTILINE)
    shared = parse(Shared, {"projects": ["flights"], **yaml.safe_load(block)}, "guide")
    assert [item.name for item in shared.environments] == ["staging", "acceptance", "production"]
    assert shared.environments[1].approvals.four_eyes


@named
def test_links_lead_somewhere(guide: str) -> None:
    for link in re.findall(r"\]\(([\w./-]+\.md)", text(guide)):
        assert (ROOT / "docs/how-to" / link).is_file(), link
