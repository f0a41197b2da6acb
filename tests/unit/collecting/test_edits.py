"""Edits of params: one line, and every other byte as it was."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ci.collecting import edits
from ci.errors import BadInput
from ci.params import parse
from ci.project import ProjectParams
from ci.yaml import mapping

FLIGHTS = Path(__file__).parents[3] / "projects" / "flights" / "params.yaml"
DAY = date(2013, 8, 1)


def changed(before: str, after: str) -> list[tuple[str, str]]:
    pairs = zip(before.splitlines(keepends=True), after.splitlines(keepends=True), strict=True)
    return [(old, new) for old, new in pairs if old != new]


def test_as_of_moves_and_nothing_else_does() -> None:
    text = edits.read(FLIGHTS)
    assert changed(text, edits.moved(text, DAY, "params.yaml")) == [('as_of: "2013-07-01"\n', 'as_of: "2013-08-01"\n')]


@pytest.mark.parametrize(
    "line",
    ['as_of: "2013-07-01"', "as_of: '2013-07-01'", 'as_of:   "2013-07-01"   # why', 'as_of:\t"2013-07-01"# x',
     'as_of: "2013-07-01"\r'],
)  # fmt: skip
def test_quotes_spaces_comments_and_line_ends_stay(line: str) -> None:
    text = f"# first\n{line}\nsource: {{}}\n"
    assert edits.moved(text, DAY, "p") == text.replace("2013-07-01", "2013-08-01")


@pytest.mark.parametrize(
    ("text", "said"),
    [("source: {}\n", "no line of its own"), ('as_of: "2013-07-01"\nas_of: "2013-07-02"\n', "no line of its own"),
     ('{as_of: "2013-07-01"}\n', "no line of its own"), ('as_of: "2013-02-31"\n', "is no date")],
)  # fmt: skip
def test_where_one_line_cannot_be_found_nothing_is_guessed(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        edits.moved(text, DAY, "params.yaml")


def test_the_service_takes_over_with_one_line_more() -> None:
    text = edits.read(FLIGHTS)
    after = edits.taken_over(text, DAY, "params.yaml")
    more = [line for line in after.splitlines() if line not in text.splitlines()]
    assert more == ['  collector: {since: "2013-08-01"}   # later rows come from the collection service']
    assert after.replace(more[0] + "\n", "") == text
    source = parse(ProjectParams, mapping(after, "p"), "p").source
    assert source.collector is not None
    assert source.collector.since == DAY


@pytest.mark.parametrize(
    "text",
    [
        "source:\n    period: month\n",
        "source: # why\n\n  # more\n  period: month\n",
        "a: 1\r\nsource:\r\n  period: month\r\n",
    ],
)
def test_the_line_is_indented_as_its_neighbours_are(text: str) -> None:
    after = edits.taken_over(text, DAY, "p")
    assert mapping(after, "p")["source"] == {"collector": {"since": "2013-08-01"}, "period": "month"}
    assert ("\r\n" in text) == ("service\r\n" in after)


def test_a_source_that_is_no_block_is_left_to_its_owner() -> None:
    with pytest.raises(BadInput, match="not written as a block") as problem:
        edits.taken_over("source: {period: month}\n", DAY, "p")
    assert 'collector: {since: "2013-08-01"}' in problem.value.hint


def test_an_edit_that_changes_more_is_refused() -> None:
    with pytest.raises(BadInput, match="line by line"):
        edits.nothing_else({"as_of": "a", "check": {"x": "a"}}, {"as_of": "b", "check": {"x": "b"}}, "p")
    edits.nothing_else({"as_of": "a", "source": {"p": 1}}, {"as_of": "b", "source": {"p": 1, "collector": {}}}, "p")


def test_bytes_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes('as_of: "2013-07-01"\r\n# Zürich\r\n'.encode())
    edits.write(path, edits.read(path))
    assert path.read_bytes() == 'as_of: "2013-07-01"\r\n# Zürich\r\n'.encode()
    path.write_bytes(b"as_of: \xff")
    with pytest.raises(BadInput, match="not UTF-8"):
        edits.read(path)
