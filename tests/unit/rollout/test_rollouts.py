"""Rollouts in a world in memory: killed at every single instant, refused by every door, with clocks that jump."""

from __future__ import annotations

import pytest

from ci.errors import BadInput, Outcome, StepError, Unavailable
from ci.report import Found
from ci.rollout import moves
from ci.rollout.interface import Answer
from tests.unit.rollout.world import V1, V2, V3, Killed, Says, World, later, strategy

KINDS = ["rolling", "blue_green", "canary", "ab", "shadow"]
ALL = 10_000


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "RETURN_PAUSE_S", 0.0)


def made(live: str = "1.0.0") -> World:
    world = World()
    world.open().roll_out({"1.0.0": V1, "1.1.0": V2}[live], strategy("blue_green"), Says(), "ann")
    return world


def killed_at(world: World, instant: int, kind: str, answer: Answer) -> bool:
    """Roll out until the instant; return whether it was reached."""
    running = world.open()
    world.die_at = instant
    try:
        running.roll_out(V2, strategy(kind), Says(answer), "ann")
    except Killed:
        return True
    return False


def well(world: World) -> None:
    """Hold the world against its state."""
    actual = world.open().actual()
    assert (actual.held_by, list(actual.drift)) == (None, [])
    assert world.answering() == {f"flights-v{str(actual.live).replace('.', '-')}": ALL}


@pytest.mark.parametrize(
    ("answer", "after"),
    [(Answer.NOT_WORSE, after) for after in ("deploy", "another", "abort", "rollback", "reconcile")]
    + [(Answer.WORSE, "deploy"), (Answer.WORSE, "reconcile")],
)
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_instant_the_next_command_finds_its_way(kind: str, answer: Answer, after: str) -> None:
    instant = 0
    while True:
        world = made()
        if not killed_at(world, instant, kind, answer):
            break
        assert sum(world.answering().values()) == ALL  # whoever calls now is answered
        running = world.open()
        if after == "deploy":
            moved = running.roll_out(V2, strategy(kind), Says(), "bob")
            if moved.outcome is Outcome.INCONCLUSIVE:  # it rests
                world.open().abort("bob")
        elif after == "another":
            assert running.roll_out(V3, strategy("blue_green"), Says(), "bob").live == "1.2.0"
        elif after == "abort":
            assert running.abort("bob").outcome in {Outcome.PASSED, Outcome.ROLLED_BACK}
        elif after == "rollback":
            assert running.roll_back(V1, "bob").live == "1.0.0"
        else:
            later(world, seconds=61)
            if running.reconcile("cron").outcome is Outcome.PASSED and world.open().actual().held_by:
                world.open().abort("bob")  # it rests, which is nobody's to end but a person's
        well(world)
        instant += 1
    assert instant > 5


@pytest.mark.parametrize("instant", range(0, 40, 2))
def test_killed_while_it_goes_back_the_next_one_goes_back(instant: int) -> None:
    world = made()
    killed_at(world, 14, "rolling", Answer.NOT_WORSE)
    running = world.open()
    world.die_at = instant
    try:
        running.roll_back(V1, "bob")
    except Killed:
        assert sum(world.answering().values()) == ALL
        assert world.open().roll_back(V1, "bob").live == "1.0.0"
    well(world)


@pytest.mark.parametrize("what", ["write", "clusters", "routes", "start", "stop", "up"])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_door_is_shut_callers_are_answered_and_the_next_command_repairs_it(kind: str, what: str) -> None:
    world = made()
    running = world.open()
    world.refuse = {what: Unavailable("no space left on the device")}
    try:
        running.roll_out(V2, strategy(kind), Says(), "ann")
    except StepError as error:
        assert "no space left" in str(error)  # noqa: PT017
    assert sum(world.answering().values()) == ALL
    world.refuse = {}
    world.open().abort("bob")
    well(world)


def test_what_cannot_be_tidied_up_is_told_and_the_release_is_live() -> None:
    world = made()
    running = world.open()
    verifier = Says(meanwhile=lambda: world.refuse.update(clusters=Unavailable("Envoy is silent")))
    moved = running.roll_out(V2, strategy("blue_green"), verifier, "ann")
    assert (moved.outcome, moved.live) == (Outcome.PASSED, "1.1.0")
    assert moved.message == (
        "flights@v1.1.0 is live; not tidied up: Envoy is silent: python -m steps.reconcile goes on with it"
    )
    assert moved.checks[-1].outcome is Found.WARNED
    world.refuse = {}
    assert world.open().reconcile("cron").outcome is Outcome.PASSED
    well(world)


def test_a_bundle_that_cannot_be_had_changes_nothing() -> None:
    world = made()
    before = world.state
    world.refuse = {"prepare": BadInput("flights@v1.1.0: no folder holds the bundle")}
    with pytest.raises(BadInput, match="no folder holds"):
        world.open().roll_out(V2, strategy("canary"), Says(), "ann")
    assert world.state == before


def test_a_server_that_never_becomes_ready_gets_no_caller() -> None:
    world = made()
    world.never_ready = {"1.1.0"}
    with pytest.raises(BadInput, match=r"not ready after 0\.05 s: said nothing"):
        world.open().roll_out(V2, strategy("canary"), Says(), "ann")
    well(world)
    assert len(world.servers) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_release_whose_server_ends_by_itself_is_worse_whatever_verification_saw(kind: str) -> None:
    world = made()
    running = world.open()

    def ends() -> None:
        name = next(name for name, (version, _) in world.servers.items() if version == "1.1.0")
        world.restarts[name] = world.restarts.get(name, 0) + 1  # and is up again

    moved = running.roll_out(V2, strategy(kind), Says(meanwhile=ends), "ann")
    assert (moved.outcome, moved.live) == (Outcome.ROLLED_BACK, "1.0.0")
    assert moved.message == (
        "flights@v1.1.0: its servers ended by themselves 1 time while it was watched; 1.0.0 is live again"
    )
    well(world)


def test_what_a_warm_server_did_before_is_not_held_against_it() -> None:
    world = made()
    world.open().roll_out(V2, strategy("blue_green"), Says(), "ann")
    for name in world.servers:
        world.restarts[name] = 3
    assert world.open().roll_out(V1, strategy("canary"), Says(), "ann").live == "1.0.0"


def test_status_names_a_server_that_envoy_finds_ill() -> None:
    world = made()
    world.unhealthy = {next(iter(world.servers))}
    assert world.open().actual().drift == ["router: finds 1 of 2 servers of 1.0.0 healthy"]


def test_a_registry_that_does_not_answer_changes_nothing() -> None:
    world = made()
    before = world.state
    world.refuse = {"prepare": Unavailable("registry: does not answer")}
    with pytest.raises(Unavailable, match="does not answer"):
        world.open().roll_out(V2, strategy("canary"), Says(), "ann")
    assert world.state == before
    well(world)


def test_a_server_whose_port_is_taken_gets_another() -> None:
    world = made()
    world.taken = {30003, 30005}
    assert world.open().roll_out(V2, strategy("blue_green"), Says(), "ann").live == "1.1.0"
    assert not {port for _, port in world.servers.values()} & world.taken
    well(world)


def test_after_a_restart_of_the_machine_a_live_server_whose_port_is_gone_moves() -> None:
    world = made()
    world.taken = {port for _, port in world.servers.values()}
    world.servers, world.up = {}, False
    assert world.open().reconcile("cron").outcome is Outcome.PASSED
    well(world)


@pytest.mark.parametrize(("versions"), [(V1, V2), (V2, V1)])
def test_status_finds_no_drift_whatever_the_order_of_versions(versions: tuple) -> None:  # type: ignore[type-arg]
    world = World()
    for version in versions:
        world.open().roll_out(version, strategy("blue_green"), Says(), "ann")
    well(world)
    world.open().roll_back(versions[0], "bob")
    well(world)


def test_sticky_users_keep_to_their_side_however_the_state_was_read() -> None:
    world = made("1.1.0")
    world.open().roll_out(V1, strategy("ab"), Says(), "ann")  # the candidate is first in the alphabet
    assert world.wish is not None
    assert [share.cluster for share in world.wish.shares] == ["flights-v1-1-0", "flights-v1-0-0"]
    assert world.open().actual().drift == []


def test_a_runner_has_its_lease_however_late_in_a_stage_it_was_killed() -> None:
    world = made()
    running = world.open()
    long = strategy("canary").model_copy()
    with pytest.raises(Killed):
        running.roll_out(V2, long, Says(meanwhile=lambda: dies_after(world, hours=2)), "ann")
    assert world.open().actual().weights == {"1.0.0": 90.0, "1.1.0": 10.0}
    for _ in range(11):  # looked at every five seconds
        later(world, seconds=5)
        moved = world.open().reconcile("cron")
        assert (moved.outcome, moved.message) == (Outcome.PASSED, "1.1.0: its runner may still come back")
    later(world, seconds=10)
    assert world.open().reconcile("cron").message == ("flights@v1.1.0: its runner vanished; 1.0.0 is live again")
    well(world)


def dies_after(world: World, **span: float) -> None:
    """Let a stage last, with signs of life; then kill its runner."""
    later(world, **span)
    world.beat = world.clock
    world.dead = True


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_jumps_only_makes_it_be_undone_earlier(hours: int) -> None:
    world = made()
    assert killed_at(world, 9, "canary", Answer.NOT_WORSE)
    later(world, hours=hours)
    assert world.open().reconcile("cron").outcome is Outcome.ROLLED_BACK
    well(world)


def test_warm_releases_cool_also_when_the_clock_was_set_back() -> None:
    for hours in (1.1, -5):
        world = made()
        world.open().roll_out(V2, strategy("blue_green"), Says(), "ann")
        assert len(world.servers) == 4
        world.open().reconcile("cron")
        assert len(world.servers) == 4
        later(world, hours=hours)
        world.open().reconcile("cron")
        assert len(world.servers) == 2
        well(world)
