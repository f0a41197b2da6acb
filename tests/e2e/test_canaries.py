"""Good and bad releases under real traffic: the good goes in, each bad one is caught and rolled back by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci.adapters import environments
from ci.adapters.envoy import binary
from ci.errors import BadInput, Outcome
from ci.files import read_json
from ci.verification.verify import replay
from tests.e2e import bad
from tests.e2e.canaries import BUNDLE, ROOT, Canaries, exposed, prometheus

pytestmark = pytest.mark.slow


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canaries]:
    if not (BUNDLE / "manifest.json").is_file():
        pytest.skip("no bundle of flights: run `make run` first")
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(environments, "ProcessTarget", bad.FaultyTarget)
    monkeypatch.setattr(bad.FaultyTarget, "faults", {})  # not those of the test before
    made = Canaries(tmp_path / "place")
    assert made.deploy("1.0.0").outcome is Outcome.PASSED  # the first of all: health decides
    yield made
    made.open().stop("tests")
    assert not made.units.alive()


def test_a_good_release_goes_in_and_its_evidence_replays(canaries: Canaries, tmp_path: Path) -> None:
    moved, tally, took = canaries.try_out("1.1.0", bad.twin(BUNDLE, tmp_path / "twin"))
    assert (moved.outcome, moved.live) == (Outcome.PASSED, "1.1.0"), (moved.message, canaries.said[-3:])
    assert tally.failures == 0
    print(f"good: in after {took:.0f} s and {exposed(tally, '1.1.0')[0]} requests")
    stored = sorted((canaries.folder / "evidence").glob("*.json"))
    spent = []
    for path in stored:
        judged, _ = replay(read_json(path), str(path))
        assert judged.answer == "not worse"
        spent.append(read_json(path)["question"]["spends"])
    assert sorted(spent) == pytest.approx([1 / 6, 1 / 2])


BAD: dict[str, tuple[Callable[[Path, Path], Path] | None, tuple[float, float] | None, tuple[str, ...]]] = {
    "2 % answered with 500": (None, (0.02, 0.0), ("errors", "door_errors")),
    "50 ms slower": (None, (0.0, 0.05), ("slow",)),
    "a constant answer": (bad.constant, None, ("scores",)),
    "two features swapped": (bad.swapped, None, ("scores",)),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_release_is_caught_and_rolled_back(canaries: Canaries, how: str, tmp_path: Path) -> None:
    alter, fault, metrics = BAD[how]
    bundle = (alter or bad.twin)(BUNDLE, tmp_path / "bad")
    moved, tally, took = canaries.try_out("1.1.0", bundle, fault)
    assert (moved.outcome, moved.live) == (Outcome.ROLLED_BACK, "1.0.0"), (moved.message, canaries.said[-3:])
    assert moved.message.startswith(tuple(f"flights@v1.1.0: worse in {name}" for name in metrics)), moved.message
    assert moved.evidence
    n, failed = exposed(tally, "1.1.0")
    print(f"{how}: rolled back after {took:.0f} s; it had answered {n} requests, {failed} failed")
    assert n < 4000
    assert set(canaries.open().actual().weights) == {"1.0.0"}


def test_without_traffic_a_canary_is_held_and_does_not_pass(canaries: Canaries, tmp_path: Path) -> None:
    canaries.policy |= {"idle_s": 3}
    moved = canaries.deploy("1.1.0", bad.twin(BUNDLE, tmp_path / "twin"))
    assert (moved.outcome, moved.live) == (Outcome.INCONCLUSIVE, "1.0.0")
    assert "no traffic within 3 s" in moved.message


def test_prometheus_that_scrapes_envoy_tells_of_a_bad_release(canaries: Canaries, tmp_path: Path) -> None:
    where = 'envoy_cluster_external_upstream_rq_xx{envoy_cluster_name="$cluster"'
    web = {"bad": where + ',envoy_response_code_class="5"}', "total": where + "}", "negligible": 0.01,
           "heartbeat": 'envoy_cluster_membership_total{envoy_cluster_name="$cluster"}'}  # fmt: skip
    admin = canaries.open().question()
    assert admin
    with prometheus(tmp_path, admin.admin.removeprefix("http://"), path="/stats/prometheus") as url:
        canaries.policy |= {"source": "prometheus", "prometheus": {"url": url}, "standard": [], "lag_s": 1,
                            "metrics": {"web": web}}  # fmt: skip
        moved, tally, took = canaries.try_out("1.1.0", bad.twin(BUNDLE, tmp_path / "bad"), (0.02, 0.0))
    assert (moved.outcome, moved.live) == (Outcome.ROLLED_BACK, "1.0.0"), (moved.message, canaries.said[-3:])
    assert "worse in web" in moved.message
    print(f"by Prometheus: rolled back after {took:.0f} s and {exposed(tally, '1.1.0')[0]} requests")


@pytest.mark.parametrize(("alter", "outcome"), [(bad.swapped, Outcome.ROLLED_BACK), (bad.twin, Outcome.INCONCLUSIVE)])
def test_a_shadow_is_judged_by_the_pairs_of_answers(
    canaries: Canaries, tmp_path: Path, alter: Callable[[Path, Path], Path], outcome: Outcome
) -> None:
    """One that decides otherwise is taken away; one that decides alike is well, and rests: a shadow never goes in by itself."""
    rules = {"disagreement": {"required": True, "limit": 0.05, "margin": 2.0}}
    canaries.policy = {**canaries.policy, "metrics": {**canaries.policy["metrics"], **rules}}
    with canaries.load() as tally:
        moved = canaries.deploy("1.1.0", alter(BUNDLE, tmp_path / "altered"), kind="shadow", share=99.99)
    assert (moved.outcome, moved.live) == (outcome, "1.0.0"), (moved.message, canaries.said[-3:])
    assert exposed(tally, "1.1.0") == (0, 0)
    assert ("disagreement" in moved.message) == (outcome is Outcome.ROLLED_BACK), moved.message
    (evidence,) = (canaries.folder / "evidence").glob("*.json")
    judged, _ = replay(read_json(evidence), str(evidence))
    assert judged.answer == ("worse" if outcome is Outcome.ROLLED_BACK else "not worse")
    assert read_json(evidence)["windows"]["disagreement"]["arms"]
