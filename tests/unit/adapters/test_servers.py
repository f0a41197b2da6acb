"""What targets are told of servers: settings in the open, secrets in files, and nothing new for models without events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.adapters.targets.process import _MODELS
from ci.adapters.targets.servers import Server, server_of
from ci.params_environments import Environment
from ci.shared import Shared

URL = "http://127.0.0.1:24001"


def server(project: str, *, services: Any = None, **more: Any) -> Server:
    shared = Shared(projects=["flights"], services=services or {})
    return server_of(project, Environment(name="staging", **more), shared)


def test_models_without_events_are_started_as_ever() -> None:
    found = server("flights")
    assert found == _MODELS
    assert (found.variables("/d", "/s"), found.secrets, found.keeps_data) == ({}, {}, False)


def test_events_name_a_file_and_never_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTS_TOKEN", "very-secret\n")
    found = server("flights", events={"url": URL, "token_env": "EVENTS_TOKEN", "rate": 0.25})
    assert found.secrets == {"events-token": b"very-secret"}
    assert found.variables("/d", "/s") == {
        "SLIPWAY_SERVING_EVENTS_URL": URL,
        "SLIPWAY_SERVING_EVENTS_RATE": "0.25",
        "SLIPWAY_SERVING_EVENTS_TOKEN_FILE": "/s/events-token",
    }


def test_the_server_takes_these_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from serving.settings import parse

    monkeypatch.setenv("EVENTS_TOKEN", "very-secret")
    found = server("flights", events={"url": URL, "token_env": "EVENTS_TOKEN"})
    (tmp_path / "events-token").write_bytes(found.secrets["events-token"] or b"")
    settings = parse(["--model", "/m"], found.variables("/d", str(tmp_path)))
    assert (settings.events_url, settings.events_rate, settings.events_token) == (URL, 1.0, "very-secret")


def test_an_unset_variable_is_a_secret_that_is_not_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENTS_TOKEN", raising=False)
    found = server("flights", events={"url": URL, "token_env": "EVENTS_TOKEN"})
    assert found.secrets == {"events-token": None}
    said = found.lacking("events-token", "/s")
    assert str(said) == "/s: has no events-token yet, and neither has this machine"
    assert said.hint == "set EVENTS_TOKEN, which `events` of staging in params.yaml names"


def test_the_collector_keeps_its_store_with_the_environment(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("a send 00\n")
    found = server("collector", services={"collector": {"tokens": str(tmp_path / "tokens"), "max_disk_mb": 5}})
    told = found.variables("/e/data", "/e/secrets")
    assert told["COLLECTOR_STORE"] == "sqlite:////e/data/collector.db"
    assert (told["COLLECTOR_TOKENS"], told["COLLECTOR_MAX_DISK_MB"]) == ("/e/secrets/tokens", "5")
    assert (found.secrets, found.keeps_data, found.code) == ({"tokens": b"a send 00\n"}, True, "code.zip")


def test_the_collector_takes_these_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from collector.settings import parse

    url = "postgresql://slipway:pass-word@db.example.org/slipway"
    monkeypatch.setenv("DB", url)
    monkeypatch.setenv("KEY", "k" * 32)
    wished = {"store_env": "DB", "hash_key_env": "KEY", "keep_predictions_days": 90, "keep_quarantine_days": 0.5}
    found = server("collector", services={"collector": wished})
    for name, raw in found.secrets.items():
        (tmp_path / name).write_bytes(raw or b"x")
    told = found.variables("/d", str(tmp_path))
    assert "pass-word" not in str(told)
    settings = parse(["--bundle", "/b"], told)
    assert (settings.store, settings.hash_key, settings.bundle) == (url, "k" * 32, "/b")
    assert (settings.keep_predictions_days, settings.keep_quarantine_days) == (90, 0.5)


def test_events_are_of_models_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = server("collector", events={"url": URL})
    assert not [name for name in found.settings if "EVENTS" in name]


def test_the_environment_of_a_step_names_other_senders_and_an_empty_file_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "senders").write_text("front-door send 00\n")
    (tmp_path / "empty").write_text("\n")
    named = {"collector": {"tokens": str(tmp_path / "empty")}}
    assert server("collector", services=named).secrets["tokens"] is None
    monkeypatch.setenv("COLLECTOR_TOKENS", str(tmp_path / "senders"))
    assert server("collector", services=named).secrets["tokens"] == b"front-door send 00\n"
