"""What people type into a build's parameters, given to the real steps as pipelines give it: as variables, never as text."""

from __future__ import annotations

import html
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.integration.test_release_manager import desk, live  # noqa: F401  # fixtures

HOSTILE = [
    "; rm -rf .",
    "$(touch owned)",
    "`touch owned`",
    "toy\ntoy",
    "ｔoy",
    "тоy",
    "../toy",
    "'\"\\",
    "--help",
    "%s${HOME}",
    "a b",
    "x" * 10_000,
    "toy\x1b[31m",
]
NAMES = {
    "promote": ("project", "release", "to", "strategy", "dry_run"),
    "rollback": ("project", "env", "to", "force", "dry_run"),
    "verify": ("project", "env"),
    "reconcile": ("project", "env"),
    "watch": ("project", "env", "dry_run"),
    "collect": ("project", "as_of", "dry_run"),
    "publish": ("project",),
    "check_data": ("project", "freshness_only"),
    "retrain": ("project", "as_of", "request", "wait", "dry_run", "here"),
}
RIGHT = {
    "promote": {
        "project": "toy",
        "release": "v1.1.0",
        "to": "production",
        "reason": "r",
        "approver": "bob",
        "actor": "ann",
    },
    "rollback": {"project": "toy", "env": "staging", "to": "v1.0.0", "reason": "r", "actor": "eve"},
    "verify": {"project": "toy", "env": "production"},
    "reconcile": {"project": "toy", "env": "production"},
    "watch": {"project": "toy", "env": "production"},
    "collect": {"project": "toy", "as_of": "2024-04-01"},
    "publish": {"project": "toy", "actor": "ann"},
    "check_data": {"project": "toy", "freshness_only": "true"},
    "retrain": {"project": "toy", "env": "production", "as_of": "2024-04-01", "reason": "r", "here": "true"},
}
NAMED = {"to": "environment|release", "env": "environment", "release": "release"}  # how messages name some options


def given(monkeypatch, step, **values):
    for name, value in (RIGHT[step] | values).items():
        monkeypatch.setenv(f"SLIPWAY_{step}_{name}".upper(), value)


def run(desk, step):  # noqa: F811
    return desk.step(step, project=None)


@pytest.mark.parametrize("step", NAMES)
def test_a_name_that_is_none_ends_in_2_and_nothing_was_done(live, monkeypatch, step):  # noqa: F811
    events, files = len(live.history.events), {path.name for path in Path().iterdir()} | {"reports"}
    for option in NAMES[step]:
        for text in HOSTILE:
            with monkeypatch.context() as there:
                given(there, step, **{option: text})
                assert run(live, step) == 2, (step, option, text[:40])
            if option != "project":  # a report about no project may lie elsewhere
                assert _named(live.report(step)["message"], option), (step, option, text[:40])
    assert len(live.history.events) == events
    assert live.running["production"].live == "1.0.0"
    assert live.running["staging"].live == "1.1.0"
    assert {path.name for path in Path().iterdir()} <= files


def _named(message, option):
    """Whether a message is about this option, and not about another fault that came first."""
    words = [*NAMED.get(option, option).split("|"), option.replace("_", "-")]
    return any(word in message.lower() for word in words)


def test_words_that_no_ledger_may_hold_end_in_2_before_anything_moves(live, monkeypatch):  # noqa: F811
    said = [(step, "reason") for step in ("promote", "rollback", "publish", "retrain")]
    for step, option in (*said, ("promote", "approver"), ("promote", "actor")):
        for text in ("x" * 10_000, "toy\x1b[31m", "a\x01b", "a\x85b", "\u202egood"):
            with monkeypatch.context() as there:
                given(there, step, **{option: text})
                assert run(live, step) == 2, (step, option)
    assert live.running["production"].live == "1.0.0"
    assert live.running["staging"].live == "1.1.0"


def test_words_that_look_like_commands_are_words(live, monkeypatch):  # noqa: F811
    text = (
        "; rm -rf . $(touch owned) `touch owned` 'it' \"was\" ｓlow, 5 % > 3 % <script>x</script> ]]> &amp; {{ 7 * 7 }}"
    )
    given(monkeypatch, "promote", reason=text)
    assert run(live, "promote") == 0
    assert live.history.live("production").reason == text
    assert not Path("owned").exists()
    assert live.step("history") == 0
    page = Path("reports/toy/history.html").read_text(encoding="utf-8")
    assert html.escape(text) in page.replace("&#34;", "&quot;").replace("&#39;", "&#x27;")
    assert "<script" not in page
    for suite in Path("reports").rglob("*.xml"):
        ET.parse(suite)
