"""steps.gate as a process: every exit code that its docstring names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.unit.gate import toy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path):
    toy.checkout(tmp_path)
    toy.bundle(tmp_path / "artifacts" / "toy", (1.5, 0.8))
    toy.bundle(tmp_path / "poor", (0.4, 0.8))
    return tmp_path


def gate(checkout, *arguments, **environment):
    command = [sys.executable, "-m", "steps.gate", "--project", "toy", *arguments]
    given = {**os.environ, "PYTHONPATH": str(ROOT), "GIT_CEILING_DIRECTORIES": str(checkout.parent), **environment}
    return subprocess.run(command, cwd=checkout, env=given, capture_output=True, text=True, timeout=120)


def report(checkout):
    return json.loads((checkout / "reports/toy/gate.json").read_text(encoding="utf-8"))


def test_passed_is_0_and_the_report_tells_why(checkout):
    done = gate(checkout, "--champion", "poor")
    assert done.returncode == 0, done.stderr
    assert "gate: passed: better auc: " in done.stderr
    told = report(checkout)
    assert told["outcome"] == "passed"
    assert told["data"]["release_needed"] is True
    suite = ET.parse(checkout / "reports/toy/gate.xml").getroot()
    cases = [case.get("name") for case in suite.iter("testcase")]
    assert [check["name"] for check in told["checks"]] == cases[1:]
    page = (checkout / "reports/toy/gate.html").read_text(encoding="utf-8")
    assert "better auc: " in page.split("</header>")[0]
    files = [picture["file"] for picture in told["pictures"]]
    assert len(files) == 2
    for file in files:
        assert f"gate_files/{file}" in page
        assert (checkout / "reports/toy/gate_files" / file).read_bytes().startswith(b"\x89PNG")
    assert (checkout / "reports/toy/MODEL_CARD.md").is_file()


def test_rejected_is_3(checkout):
    done = gate(checkout, "--challenger", "poor", "--champion", "artifacts/toy")
    assert done.returncode == 3
    assert "gate: rejected: better auc: worse: " in done.stderr


def test_inconclusive_is_4(checkout):
    few = toy.frame()
    few[few["at"].dt.day < 6].to_parquet(checkout / "data/toy/prepared/test.parquet", index=False)
    done = gate(checkout, "--champion", "poor")
    assert done.returncode == 4
    assert "gate: inconclusive: clusters: 5 are too few" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "policy", "message"),
    [
        (("--champion", "nowhere"), "{}", "nowhere: neither a folder nor a Git revision"),
        (("--challenger", "nowhere"), "{}", "nowhere: not a bundle"),
        (("--champion", "none"), "{min_gian: 1}", "gate.min_gian: unknown key (did you mean min_gain?)"),
        (("--champion", "none"), "{metrics: {auc: {floor: 1}}}", "gate.metrics.auc.floor: can never pass"),
        (("--comparisons", "params.yaml"), "{}", "params.yaml: a file, not a folder"),
        (("--champions", "x"), "{}", "no such option"),
    ],
)
def test_bad_input_is_2_in_one_line(checkout, arguments, policy, message):
    toy_params = checkout / "projects/toy/params.yaml"
    toy_params.write_text(toy.PARAMS % policy, encoding="utf-8")
    done = gate(checkout, *arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert not (checkout / "reports/toy/MODEL_CARD.md").exists()


def test_a_silent_ledger_is_5(checkout):
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    subprocess.run(["git", "remote", "add", "origin", str(checkout / "gone.git")], cwd=checkout, check=True)
    done = gate(checkout, "--champion", "poor")
    assert done.returncode == 5
    assert "origin: does not answer" in done.stderr
    assert gate(checkout, "--champion", "poor", "--comparisons", "local").returncode == 0


def test_without_a_champion_it_says_that_nobody_named_one(checkout):
    done = gate(checkout)
    assert done.returncode == 0
    assert "first release" in done.stderr
    (check,) = [item for item in report(checkout)["checks"] if item["name"] == "champion"]
    assert check["outcome"] == "warned"
    assert "no release ledger yet" in check["message"]


def test_the_champion_may_come_from_the_environment(checkout):
    done = gate(checkout, SLIPWAY_GATE_CHAMPION="artifacts/toy")
    assert done.returncode == 0
    assert "nothing to decide, no release needed" in done.stderr
    assert report(checkout)["data"]["release_needed"] is False


def test_explain_judges_nothing_and_tells_the_budget(checkout):
    assert "0 comparisons on this test set" in gate(checkout, "--explain").stderr
    gate(checkout, "--champion", "poor")
    gate(checkout, "--champion", "poor")
    done = gate(checkout, "--explain")
    assert done.returncode == 0
    assert "1 comparisons on this test set; 0.025 of the error budget 0.05 is left" in done.stderr
    told = json.loads((checkout / "reports/toy/gate_explain.json").read_text(encoding="utf-8"))
    assert told["data"]["next"] == pytest.approx(0.05 / 6)
    assert report(checkout)["data"]["release_needed"] is True, "the verdict is still there"


def test_an_anchor_is_named_on_the_command_line(checkout):
    done = gate(checkout, "--champion", "poor", "--anchor", "artifacts/toy")  # back to the anchor: nothing lost
    assert done.returncode == 0, done.stderr
    toy.bundle(checkout / "better", (1.5, 0.85))
    between = toy.bundle(checkout / "between", (1.0, 0.8))
    done = gate(checkout, "--challenger", str(between), "--champion", "poor", "--anchor", "better")
    told = {check["name"]: check for check in report(checkout)["checks"]}
    assert told["better auc"]["outcome"] == "passed"
    assert told["anchor auc"]["limit"] < 0
    assert "anchor" in report(checkout)["facts"]
    assert gate(checkout, "--champion", "poor", "--anchor", "nowhere").returncode == 2


def test_the_verdict_is_the_same_in_another_process(checkout):
    said = [gate(checkout, "--champion", "poor", "--comparisons", f"ledger{i}").stderr.splitlines()[1] for i in (1, 2)]
    assert said[0] == said[1]
