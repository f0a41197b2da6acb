"""Reports: pictures that are called alike, Jenkins's policy, hostile text, JUnit."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from ci import pages
from ci.errors import Outcome
from ci.report import Check, Found, Picture, Result, StepReport, Table, deciding, finite, worst

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = "<script>alert('x')</script> & \"quotes\" ☃"


def written(tmp_path: Path, result: Result) -> Path:
    report = StepReport("gate", "flights", result, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:02+00:00")
    pages.write(report, tmp_path / "gate.json")
    return tmp_path


def checks() -> list[Check]:
    return [
        Check("fine", Found.PASSED, "as it should be", 1.0, 2.0, (0.5, 1.5), 10),
        Check(HOSTILE, Found.REJECTED, HOSTILE, float("nan"), "x"),
        Check("unsure", Found.INCONCLUSIVE, "too few", n=3),
        Check("left out", Found.SKIPPED, "the period is open"),
        Check("odd", Found.WARNED, "look"),
    ]


def test_page_obeys_the_policy_of_jenkins_and_escapes_what_it_shows(tmp_path: Path) -> None:
    written(
        tmp_path,
        Result(HOSTILE, Outcome.REJECTED, HOSTILE, checks(), {HOSTILE: HOSTILE}, [Table("t", ["a"], [[HOSTILE]])]),
    )
    page = (tmp_path / "gate.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r"\sstyle=|\son\w+=|data:|https?://", page)
    assert "&lt;script&gt;" in page
    assert (tmp_path / "report.css").is_file()


def test_what_is_wrong_comes_first(tmp_path: Path) -> None:
    assert [check.outcome for check in pages.ordered(checks())][:3] == [
        Found.REJECTED,
        Found.INCONCLUSIVE,
        Found.WARNED,
    ]


def test_junit_has_one_case_per_check_and_one_for_the_step(tmp_path: Path) -> None:
    written(tmp_path, Result("no", Outcome.REJECTED, checks=checks()))
    suite = ET.parse(tmp_path / "gate.xml").getroot()
    assert suite.attrib["tests"] == str(len(suite.findall("testcase"))) == "6"
    assert suite.attrib["failures"] == str(len(suite.findall("testcase/failure"))) == "2"
    assert suite.attrib["errors"] == "0"
    assert len(suite.findall("testcase/skipped")) == 1


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.BAD_INPUT, Outcome.UNAVAILABLE])
def test_an_end_without_checks_is_an_error_in_junit(tmp_path: Path, outcome: Outcome) -> None:
    written(tmp_path, Result("it ended", outcome))
    (error,) = ET.parse(tmp_path / "gate.xml").getroot().findall("testcase/error")
    assert error.attrib == {"type": outcome.value, "message": "it ended"}


def test_json_is_valid_and_names_what_is_not_a_number(tmp_path: Path) -> None:
    written(tmp_path, Result("no", Outcome.REJECTED, checks=checks()))
    report = json.loads((tmp_path / "gate.json").read_text(encoding="utf-8"))
    assert report["exit_code"] == 3
    assert report["checks"][1]["observed"] == "nan"


def test_pictures_that_are_called_alike_stay_apart(tmp_path: Path) -> None:
    made = []
    for name in ("flights", "houses"):
        path = tmp_path / "from" / name / "curve.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(name.encode())
        made.append(Picture(path, name))
    written(tmp_path, Result("two", pictures=made))
    shown = re.findall(r'<img src="([^"]+)"', (tmp_path / "gate.html").read_text(encoding="utf-8"))
    assert [(tmp_path / name).read_bytes() for name in shown] == [b"flights", b"houses"]


def test_rejected_weighs_more_than_inconclusive_more_than_passed() -> None:
    by_kind = {check.outcome: check for check in checks()}
    assert worst(by_kind.values()) is Outcome.REJECTED
    assert worst([by_kind[Found.INCONCLUSIVE], by_kind[Found.PASSED]]) is Outcome.INCONCLUSIVE
    assert worst([by_kind[Found.WARNED], by_kind[Found.SKIPPED]]) is Outcome.PASSED
    assert deciding([by_kind[Found.PASSED], by_kind[Found.WARNED]]) is by_kind[Found.WARNED]
    assert deciding([by_kind[Found.PASSED]]) is None


def test_finite_makes_plain_values() -> None:
    assert finite({"a": (1, float("inf")), 2: [None, True]}) == {"a": [1, "inf"], "2": [None, True]}
