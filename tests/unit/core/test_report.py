"""Results, reports and pages: valid JSON, JUnit and HTML whatever is in them, and nothing that a CSP forbids."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from ci import pages
from ci.errors import BadInput, Outcome, Unavailable
from ci.report import Check, Found, Picture, Result, StepReport, Table, deciding, finite, worst

HOSTILE = """<script>alert("x")</script><img src=x onerror='y'> & ]]> \x1b[31m\x00 "quoted" {{ 7 * 7 }} {% raw %} javascript:z"""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


class Page(HTMLParser):
    """Collects tags, attributes and text, and complains about tags that do not match."""

    VOID = frozenset({"meta", "link", "img", "br", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def report(result: Result, **changes: Any) -> StepReport:
    given = {
        "step": "check_data",
        "project": "shop",
        "started": "2024-05-01T10:00:00.000+00:00",
        "finished": "2024-05-01T10:00:01.500+00:00",
    }
    return StepReport(result=result, **{**given, **changes})


def written(folder: Path, result: Result, **changes: Any) -> tuple[dict[str, Any], ET.Element, Page]:
    path = folder / "check_data.json"
    pages.write(report(result, **changes), path)
    page = Page(path.with_suffix(".html").read_text(encoding="utf-8"))
    return json.loads(path.read_bytes()), ET.parse(path.with_suffix(".xml")).getroot(), page


@pytest.fixture
def full(tmp_path: Path) -> Result:
    picture = tmp_path / "made" / "plot.png"
    picture.parent.mkdir()
    picture.write_bytes(PNG)
    return Result(
        HOSTILE,
        Outcome.REJECTED,
        HOSTILE,
        checks=[
            Check("calm", Found.PASSED, "fine"),
            Check(HOSTILE, Found.REJECTED, HOSTILE, 0.5, 0.1, (0.4, 0.6), 100, {"samples": [HOSTILE]}),
            Check("odd", Found.WARNED, "hm", HOSTILE, HOSTILE),
            Check("absent", Found.SKIPPED, HOSTILE),
            Check("unsure", Found.INCONCLUSIVE, "who knows", float("nan")),
        ],
        facts={HOSTILE: HOSTILE, "rows": 1234567},
        tables=[Table(HOSTILE, ("a", HOSTILE), [(1.5, HOSTILE), (None, True)], HOSTILE)],
        pictures=[Picture(picture, HOSTILE)],
        inputs={HOSTILE: "0" * 64},
        outputs={"data/x": "1" * 64},
        data={"infinite": math.inf, "numpy": np.float32(0.5)},
    )


def test_the_page_holds_nothing_that_a_strict_csp_forbids(tmp_path: Path, full: Result) -> None:
    _, _, page = written(tmp_path / "reports", full, build={"BUILD_URL": 'javascript:alert("x")'})
    allowed = {"html", "head", "meta", "title", "link", "body", "header", "main", "footer", "section", "h1", "h2", "p",
               "span", "dl", "div", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "code", "figure", "img",
               "figcaption", "pre"}  # fmt: skip
    assert {tag for tag, _ in page.tags} <= allowed
    for _, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href"):
            assert re.fullmatch(r"[A-Za-z0-9_./-]+", attributes.get(name) or "x"), attributes


def test_hostile_text_is_shown_as_it_is(tmp_path: Path, full: Result) -> None:
    _, _, page = written(tmp_path / "reports", full)
    assert '<script>alert("x")</script>' in page.words
    assert "{{ 7 * 7 }} {% raw %}" in page.words
    assert not [tag for tag, _ in page.tags if tag == "script"]


def test_files_of_the_page_lie_beside_it(tmp_path: Path, full: Result) -> None:
    folder = tmp_path / "reports"
    _, _, page = written(folder, full)
    links = [attributes.get("href") or attributes.get("src") for tag, attributes in page.tags if tag in {"link", "img"}]
    assert links == ["report.css", "check_data_files/1-plot.png"]
    assert all((folder / str(link)).is_file() for link in links)


def test_the_verdict_comes_first_and_then_what_decided_it(tmp_path: Path, full: Result) -> None:
    _, _, page = written(tmp_path / "reports", full)
    assert page.words.index("rejected") < page.words.index("1,234,567") < page.words.index("calm")
    order = [attributes["class"] for tag, attributes in page.tags if tag == "tr" and "class" in attributes]
    assert order == ["rejected", "inconclusive", "warned", "passed", "skipped"]


def test_columns_that_no_check_fills_are_left_out(tmp_path: Path) -> None:
    _, _, page = written(tmp_path, Result("fine", checks=[Check("one", Found.PASSED, "well", 3)]))
    assert [word for word in ("observed", "limit", "interval", "rows") if f"{word} " in page.words] == ["observed"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-11-24T19:40:58Z", True),
        ("2026-11-24T19:40:58.120+00:00", True),
        ("2026-11-24", True),
        ("flights@v1.0.0", False),
        (20261124, False),
        ("2026-11-24T19:40:58Z, by Ann", False),
    ],
)
def test_no_line_breaks_a_moment(tmp_path: Path, value: object, found: bool) -> None:
    _, _, page = written(tmp_path, Result("well", tables=[Table("What runs", ("name", "since"), [("x", value)])]))
    assert (("td", {"class": "when"}) in page.tags) is found
    assert "td.when { white-space: nowrap" in (tmp_path / "report.css").read_text()


def test_junit_counts_what_it_holds(tmp_path: Path, full: Result) -> None:
    _, suite, _ = written(tmp_path / "reports", full)
    cases = suite.findall("testcase")
    assert suite.tag == "testsuite"
    assert {name: suite.get(name) for name in ("name", "tests", "failures", "errors", "skipped", "time")} == {
        "name": "shop.check_data", "tests": "6", "failures": "2", "errors": "0", "skipped": "1", "time": "1.5"}  # fmt: skip
    assert len(cases) == 6
    assert len([case for case in cases if case.find("failure") is not None]) == 2
    assert [case.get("name") for case in cases if case.find("skipped") is not None] == ["absent"]


@pytest.mark.parametrize("error", [BadInput("a.csv: empty", hint="look"), Unavailable("remote: silent")])
def test_an_end_without_checks_is_an_error_in_junit(tmp_path: Path, error: BadInput | Unavailable) -> None:
    document, suite, page = written(tmp_path, Result.of_error(error))
    (case,) = suite.findall("testcase")
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    found = case.find("error")
    assert found is not None
    assert (found.get("type"), found.get("message")) == (error.outcome.value, str(error))
    assert (document["outcome"], document["exit_code"], document["hint"]) == (
        error.outcome,
        error.outcome.exit_code,
        error.hint,
    )
    assert str(error) in page.words


def test_json_has_no_nan_and_keeps_what_programs_need(tmp_path: Path, full: Result) -> None:
    document, _, _ = written(tmp_path / "reports", full, git_commit="a" * 40, params_digest="b" * 64)
    assert document["data"] == {"infinite": "inf", "numpy": 0.5}
    assert document["checks"][1]["interval"] == [0.4, 0.6]
    assert document["checks"][4]["observed"] == "nan"
    assert document["pictures"] == [{"file": "1-plot.png", "caption": HOSTILE}]
    assert (document["schema_version"], document["git_commit"]) == (1, "a" * 40)


def test_a_signal_sets_its_own_exit_code(tmp_path: Path) -> None:
    document, _, _ = written(tmp_path, Result("stopped by signal 15", Outcome.CRASHED), exit_code=143)
    assert (document["outcome"], document["exit_code"]) == ("crashed", 143)


def test_pictures_of_a_former_run_are_gone(tmp_path: Path, full: Result) -> None:
    folder = tmp_path / "reports"
    written(folder, full)
    written(folder, Result("fine"))
    assert not (folder / "check_data_files").exists()


@pytest.mark.parametrize(
    ("kinds", "outcome", "named"),
    [
        ([], Outcome.PASSED, None),
        ([Found.PASSED, Found.SKIPPED], Outcome.PASSED, None),
        ([Found.WARNED, Found.PASSED], Outcome.PASSED, 0),
        ([Found.WARNED, Found.INCONCLUSIVE], Outcome.INCONCLUSIVE, 1),
        ([Found.INCONCLUSIVE, Found.REJECTED, Found.REJECTED], Outcome.REJECTED, 1),
    ],
)
def test_the_worst_check_decides(kinds: list[Found], outcome: Outcome, named: int | None) -> None:
    checks = [Check(str(place), kind, "") for place, kind in enumerate(kinds)]
    assert worst(checks) is outcome
    assert deciding(checks) is (checks[named] if named is not None else None)


def test_finite_makes_anything_json() -> None:
    value = {1: (np.int64(2), float("-inf")), "when": Path("x"), "flag": np.bool_(True)}
    assert finite(value) == {"1": [2, "-inf"], "when": "x", "flag": True}
