"""What can be told from the text of our pipelines: that Groovy is glue, and stays it (docs/reference/jenkins.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.jenkins.controller import ROOT

PIPELINES = [ROOT / "Jenkinsfile", *sorted((ROOT / "ci/jenkins").glob("*.Jenkinsfile"))]
LIBRARY = sorted((ROOT / "ci/jenkins/vars").glob("*.groovy"))
named = pytest.mark.parametrize("file", [*PIPELINES, *LIBRARY], ids=lambda path: path.name)
pipelines = pytest.mark.parametrize("file", PIPELINES, ids=lambda path: path.name)


def code(file: Path) -> str:
    """The text without comments."""
    text = re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


@pipelines
def test_a_pipeline_has_at_most_three_script_blocks(file: Path) -> None:
    assert len(re.findall(r"\bscript\s*\{", code(file))) <= 3


@named
def test_nothing_is_swallowed_and_no_result_is_set(file: Path) -> None:
    assert not re.search(r"\|\|\s*true|\|\s*tee\b|set \+e|currentBuild\.result\s*=", code(file))


@named
def test_no_text_for_a_shell_is_made_by_groovy(file: Path) -> None:
    for line in code(file).splitlines():
        if re.search(r"\bsh\b|script:", line):
            assert '"""' not in line
            assert not re.search(r"\b(sh|script:)\s*\(?\s*\"[^\"]*\$", line), line


@named
def test_nothing_that_the_sandbox_refuses(file: Path) -> None:
    assert not re.search(r"new File|\.execute\(\)|Jenkins\.instance|@Grab|@NonCPS|System\.|\bimport\b", code(file))


@named
def test_one_section_a_line(file: Path) -> None:
    assert not re.search(r"\}[ \t]*(steps|post|stages|agent|options|when|environment)\s*\{", code(file))


@pipelines
def test_exit_codes_are_mapped_in_one_place_only(file: Path) -> None:
    assert "returnStatus" not in code(file)
    assert not re.search(r"\berror\b|\bunstable\b", code(file))


@pipelines
def test_secrets_are_named_by_the_controller_and_never_here(file: Path) -> None:
    assert not re.search(r"credentials\(|credentialsId|password", code(file), re.IGNORECASE)


@named
def test_nothing_is_stashed(file: Path) -> None:
    assert not re.search(r"\b(un)?stash\b", code(file))
