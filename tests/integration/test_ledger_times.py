"""When something was true, as the ledger tells it: also where many events come within one second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ci.adapters.ledger import GitLedger, found
from ci.ledger.event import moment_of, spelled
from tests.integration.test_ledger import live, story, world  # noqa: F401  # a fixture


def test_what_many_did_within_one_second_is_true_at_once(world):  # noqa: F811
    now = datetime.now(UTC)
    ledger = GitLedger(found().refs, clock=lambda: now)
    history = story(ledger).trusted()
    ahead = (moment_of(history.events[-1].at) - now).total_seconds()
    assert ahead > len(history.events) - 2, "stamps run ahead, a second for each event: GTO orders by them"
    then = history.at(now)
    assert list(then.events) == list(history.events)
    assert (then.live("production").version, bool(then.bad("1.1.0"))) == ("1.0.0", True)
    assert list(history.at(now - timedelta(seconds=1)).events) == []
    assert world.gto("show", "--json")["flights"]["stage"]["production"] == "v1.0.0"
    later = GitLedger(ledger.refs, clock=lambda: now + timedelta(seconds=2))
    assert live(later, "1.1.0", "production").when == spelled(now + timedelta(seconds=2))
