"""`services` in params.yaml: names that are taken, and what an environment is to a service."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ci.errors import BadInput
from ci.params_environments import Environment
from ci.project import find
from ci.scaffold.wish import Wish
from ci.shared import Shared, chosen, deployed

CANARY = Environment(name="production", strategy={"kind": "canary"}, verification={"by": "statistics"}, instances=3)  # type: ignore[arg-type]


def test_no_project_may_have_the_name_of_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="collector is the name of a service"):
        Shared(projects=["flights", "collector"])
    with pytest.raises(BadInput, match="--name: collector is reserved"):
        Wish(name="collector", csv=Path("x.csv"), target="y").checked()
    monkeypatch.chdir(tmp_path)
    assert find("collector").path("artifacts") == Path("artifacts/collector")
    Path("projects/collector").mkdir(parents=True)
    with pytest.raises(BadInput, match="projects/collector: collector is the name of a service"):
        find("collector")


def test_a_service_is_looked_at_once_it_is_named() -> None:
    plain, named = Shared(projects=["flights"]), Shared(projects=["flights"], services={"collector": {}})  # type: ignore[arg-type]
    assert (plain.running, named.running) == (["flights"], ["flights", "collector"])
    assert deployed(plain, "collector") == ["collector"]
    assert chosen(named, None) == ["flights"], "nobody trains a service"
    with pytest.raises(BadInput, match="unknown project"):
        deployed(plain, "nobody")


def test_an_environment_has_another_strategy_for_a_service() -> None:
    shared = Shared(projects=["flights"], environments=[CANARY], services={"collector": {"instances": 2}})  # type: ignore[arg-type]
    (seen,) = shared.of("collector").environments
    assert (seen.strategy.kind, seen.verification.by, seen.instances) == ("blue_green", "health", 2)
    assert (seen.name, seen.approvals, seen.target) == (CANARY.name, CANARY.approvals, CANARY.target)
    assert shared.of("flights").environments == [CANARY]
    assert shared.of("collector").seen("collector", seen) == seen


def test_a_strategy_that_compares_answers_is_refused() -> None:
    with pytest.raises(ValidationError, match="strategy"):
        Shared(projects=["flights"], services={"collector": {"strategy": {"kind": "canary"}}})  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["ftp://x", "http://user:secret@x", "http://x y"])
def test_where_events_go_holds_no_password(url: str) -> None:
    with pytest.raises(ValidationError, match="url"):
        Environment(name="staging", events={"url": url})  # type: ignore[arg-type]
