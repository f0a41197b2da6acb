"""Traffic returns by and by to a baseline that was scaled down: its servers were started a moment ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ci.errors import Outcome
from ci.rollout import moves
from ci.rollout.interface import Answer
from tests.unit.rollout.world import V1, V2, Envoy, Killed, Says, World, strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.rollout.router import Routes


class Noting(Envoy):
    """Remembers each share that the baseline had, and how many servers were listed for it then."""

    def __init__(self, world: World, seen: list[tuple[float, int]]) -> None:
        super().__init__(world)
        self.seen = seen

    def routes(self, routes: Routes) -> None:
        super().routes(routes)
        shares = {share.cluster: share.hundredths / 100 for share in routes.shares}
        self.seen.append((shares.get("flights-v1-0-0", 0), len(self.world.listed.get("flights-v1-0-0", []))))


def aborted(monkeypatch: pytest.MonkeyPatch, kind: str, die_at: int) -> list[tuple[float, int]]:
    """Kill a rollout, abort it, and return what the baseline got on the way back."""
    monkeypatch.setattr(moves, "RETURN_PAUSE_S", 0.0)
    world, seen = World(), list[tuple[float, int]]()
    world.open().roll_out(V1, strategy("blue_green"), Says(), "ann")
    running = world.open()
    world.die_at = die_at
    with pytest.raises(Killed):
        running.roll_out(V2, strategy(kind), Says(Answer.NOT_WORSE), "ann")
    running = world.open()
    running._moves.converge._router = Noting(world, seen)
    assert running.abort("bob").outcome in {Outcome.PASSED, Outcome.ROLLED_BACK}
    return seen


def rises(seen: Sequence[tuple[float, int]]) -> list[float]:
    return list(dict.fromkeys(share for share, _ in seen))


def test_by_and_by_as_far_as_it_was_scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = []
    for die_at in range(40):
        try:
            seen = aborted(monkeypatch, "rolling", die_at)
        except pytest.fail.Exception:  # the rollout was over by then
            break
        ways.append(rises(seen))
        assert seen[-1] in {(100.0, 2), (0, 0)}, "all of it, or the candidate was live already"
        assert all(servers >= 2 for share, servers in seen if share), "traffic waits for its servers"
    ways = [way for number, way in enumerate(ways) if way not in ways[:number]]
    assert ways == [[100.0], [75.0, 100.0], [25.0, 50.0, 75.0, 100.0], [0]]


def test_at_once_where_all_its_servers_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rises(aborted(monkeypatch, "canary", 9)) == [100.0]
