"""The step contract, seen from outside: size, help, options, environment, JSON, reports."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.steps.checkout import OUTS, ROOT, STAGES, Checkout

STEPS = sorted(path for path in (ROOT / "steps").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_a_step_is_short_and_says_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(text)) or ""
    assert len(text.splitlines()) <= 60
    assert [word for word in ("Reads", "Writes", "Exits") if f"\n{word}  " not in f"\n{said}"] == []


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.stem)
def test_help_fits_on_a_screen_and_names_the_environment(path: Path, fresh: Checkout) -> None:
    done = fresh.run(path.stem, "--help", project=None)
    assert done.code == 0, done.err
    assert 5 < len(done.out.splitlines()) < 60
    assert done.out.startswith(f"Usage: python -m steps.{path.stem} ")
    assert f"SLIPWAY_{path.stem.upper()}_" in done.out
    assert not (fresh.root / "reports").exists()


@pytest.mark.parametrize("spelling", ["module", "file"])
def test_a_step_runs_as_module_and_as_file(fresh: Checkout, spelling: str) -> None:
    how = ["-m", "steps.ingest"] if spelling == "module" else ["steps/ingest.py"]
    done = subprocess.run(
        [sys.executable, *how, "--project", "shop"],
        cwd=fresh.root,
        env=fresh.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ingest: passed: 1,200 rows in 4 periods" in done.stderr


def test_a_step_runs_from_a_folder_below(fresh: Checkout) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "steps/ingest.py", "--project", "shop"], cwd=fresh.root / "projects" / "shop", env=fresh.environment(), capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (fresh.root / "data/shop/raw/manifest.json").is_file()


def test_options_may_come_from_the_environment(fresh: Checkout) -> None:
    done = fresh.run("ingest", project=None, SLIPWAY_INGEST_PROJECT="shop", SLIPWAY_INGEST_JSON="true")
    assert done.code == 0, done.err
    assert json.loads(done.out) == fresh.report("ingest")


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_passed_leaves_a_report_for_everybody(built_checkout: Checkout, stage: str) -> None:
    document = built_checkout.report(stage)
    assert (document["step"], document["project"], document["outcome"], document["exit_code"]) == (
        stage,
        "shop",
        "passed",
        0,
    )
    assert document["message"]
    assert document["started"] <= document["finished"]
    suite = ET.parse(built_checkout.root / f"reports/shop/{stage}.xml").getroot()
    assert (suite.get("name"), suite.get("failures"), suite.get("errors")) == (f"shop.{stage}", "0", "0")
    page = (built_checkout.root / f"reports/shop/{stage}.html").read_text(encoding="utf-8")
    assert document["message"].split(" [")[0] in page
    assert built_checkout.files(OUTS[stage])


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_run_again_makes_the_same_bytes(built: Checkout, stage: str) -> None:
    before = built.files(OUTS[stage])
    done = built.run(stage, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["outcome"] == "passed"
    assert built.files(OUTS[stage]) == before
    assert built.leftovers() == []


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("arguments", "project", "said", "hint"),
    [
        ((), "shpo", "shpo: unknown project", "did you mean shop?"),
        ((), None, "--project: missing", "python -m steps.{stage} --help"),
        (("--jsson",), "shop", "--jsson: no such option (did you mean --json?)", "python -m steps.{stage} --help"),
    ],
    ids=["unknown project", "no project", "wrong option"],
)
def test_a_wrong_command_line_is_bad_input(
    fresh: Checkout, stage: str, arguments: tuple[str, ...], project: str | None, said: str, hint: str
) -> None:
    done = fresh.run(stage, *arguments, project=project)
    assert (done.code, done.said) == (2, f"{stage}: bad input: {said}")
    assert f"  hint: {hint.format(stage=stage)}\n" in done.err
    assert fresh.report(stage, project or "all")["exit_code"] == 2


@pytest.mark.parametrize("stage", STAGES)
def test_a_misspelt_parameter_is_bad_input_and_spoils_nothing(built: Checkout, stage: str) -> None:
    before = built.files(*OUTS.values())
    params = built.root / "projects/shop/params.yaml"
    params.write_text(params.read_text().replace("test_days:", "tets_days:"))
    done = built.run(stage)
    assert (done.code, done.said) == (
        2,
        f"{stage}: bad input: projects/shop/params.yaml: split.tets_days: unknown key (did you mean test_days?)",
    )
    assert built.files(*OUTS.values()) == before


def test_outside_of_a_checkout_there_is_nothing_to_do(fresh: Checkout) -> None:
    (fresh.root / "dvc.yaml").unlink()
    done = fresh.run("ingest")
    assert done.code == 2
    assert done.err == "slipway: bad input: not inside a checkout: no params.yaml beside a dvc.yaml here or above\n"
