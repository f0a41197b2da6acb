"""What the documents say is what the code does."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from ci.errors import Outcome

ROOT = Path(__file__).resolve().parents[2]
STEPS = sorted(path for path in (ROOT / "steps").glob("*.py") if path.stem != "__init__")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# What decides how a run is told, but not what it makes: a change there re-runs nothing.
TELLING = {
    "ci.cli",
    "ci.running",
    "ci.errors",
    "ci.files",
    "ci.pages",
    "ci.params",
    "ci.progress",
    "ci.project",
    "ci.report",
    "ci.shared",
    "ci.templating",
    "ci.adapters.process",
    "ci.adapters.git",
    "ci.adapters.promises",  # another question, asked on a schedule: no stage asks it
}


def exits(step: Path) -> str:
    docstring = ast.get_docstring(ast.parse(step.read_text(encoding="utf-8"))) or ""
    return docstring.split("Exits")[1].strip()


def test_readme_has_every_outcome_with_its_code() -> None:
    rows = re.findall(r"^\| (\d) \| ([a-z ]+) \|", README, re.MULTILINE)
    assert rows == [(str(outcome.exit_code), outcome.value) for outcome in Outcome]


def test_reference_lists_exactly_the_steps_that_there_are() -> None:
    text = (ROOT / "docs/reference/steps.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_]+)` \| .* \| .*\d.* \|$", text, re.MULTILINE)) == {step.stem for step in STEPS}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.stem)
def test_reference_and_docstring_name_the_same_exit_codes(step: Path) -> None:
    text = (ROOT / "docs/reference/steps.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{step.stem}` \| .* \| (.*) \|$", text, re.MULTILINE)
    assert set(re.findall(r"\b\d\b", row)) == set(re.findall(r"\b\d\b", exits(step)))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.stem)
def test_step_fits_on_one_screen(step: Path) -> None:
    assert len(step.read_text(encoding="utf-8").splitlines()) <= 60


def test_every_step_is_installed_as_a_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {f"slipway-{step.stem.replace('_', '-')}": f"steps.{step.stem}:main" for step in STEPS}


@pytest.mark.parametrize("stage", PIPELINE)
def test_stage_depends_on_the_code_that_it_runs(stage: str) -> None:
    used = (
        closure(f"steps.{stage}")
        - TELLING
        - {f"steps.{stage}", "steps", "ci", "ci.adapters", "ci.data", "ci.model", "ci.stats"}
    )
    named = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith("ci/")]
    missing = {name for name in used if not any(covers(dep, name) for dep in named)}
    assert not missing, f"dvc.yaml: {stage} runs {sorted(missing)}, but does not depend on them"


def covers(dep: str, module: str) -> bool:
    path = module.replace(".", "/")
    return dep in {f"{path}.py", path} or path.startswith(f"{dep}/")


def closure(start: str) -> set[str]:
    """Follow imports of our own modules, at the top and inside functions, from a module on."""
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        file = source_of(name)
        if name in found or file is None:
            continue
        found.add(name)
        if name in TELLING:
            continue
        waiting += imports(ast.parse(file.read_text(encoding="utf-8")))
    return found


def source_of(name: str) -> Path | None:
    path = ROOT / name.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imports(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ci":
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.split(".")[0] == "ci"]
    return names


def test_glossary_is_in_alphabetical_order_and_says_each_word_once() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(words) == len(set(words)) > 20


@pytest.mark.parametrize(
    "document", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name
)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_readme_commands_name_steps_and_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z]+)\b", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for step in re.findall(r"python -m steps\.([a-z_]+)", README):
        assert (ROOT / f"steps/{step}.py").exists(), step
