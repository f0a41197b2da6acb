"""The budget of a test set, and the ledger that remembers what was spent."""

from __future__ import annotations

import threading

import pytest

from ci.adapters.comparisons import FolderComparisons
from ci.errors import BadInput, Unavailable
from ci.gate.budget import Comparison, Pair, overlap, remembered, settled, spent

SET = "a" * 64


def pair(number):
    return Pair(challenger=f"{number:064x}", champion="b" * 64, policy="c" * 64)


def comparison(number, who=1, **changes):
    given = {"project": "toy", "test_set": SET, "number": number, "alpha": 0.05, "pair": pair(who), "outcome": "passed"}
    return Comparison(**{**given, "judged": "2024-01-01T00:00:00+00:00", "message": "m", "result": {}, **changes})


@pytest.fixture
def store(tmp_path):
    return FolderComparisons(tmp_path / "ledger")


def test_what_is_spent_never_exceeds_alpha():
    assert spent(0, 0.05) == 0
    assert spent(1, 0.05) == pytest.approx(0.025)
    assert spent(200, 0.05) == pytest.approx(0.05 * (1 - 1 / 201))


def test_numbers_follow_each_other_and_pairs_are_remembered(store):
    made = [settled(store, "toy", SET, pair(who), lambda n, who=who: comparison(n, who)) for who in (1, 2, 1, 3)]
    assert [item.number for item in made] == [1, 2, 1, 3]
    assert [item.number for item in store.of("toy", SET)] == [1, 2, 3]
    assert remembered(store.of("toy", SET), pair(2)).number == 2
    assert remembered(store.of("toy", SET), pair(9)) is None


def test_another_test_set_starts_anew(store):
    store.add(comparison(1))
    other = settled(store, "toy", "d" * 64, pair(1), lambda n: comparison(n, test_set="d" * 64))
    assert other.number == 1
    assert [(item.test_set, count) for item, count in store.others("toy", SET)] == [("d" * 64, 1)]
    assert store.of("another", SET) == []


def test_a_number_is_given_once(store):
    assert store.add(comparison(1, 1)) is True
    assert store.add(comparison(1, 2)) is False
    assert store.of("toy", SET)[0].pair == pair(1)
    assert not list(store.root.rglob(".*")), "nothing half-written is left"


def test_who_loses_the_race_decides_again_with_the_next_number(store):
    asked = []

    def decide(number):
        asked.append(number)
        if number == 1:
            store.add(comparison(1, 7))  # somebody else was quicker
        return comparison(number)

    assert settled(store, "toy", SET, pair(1), decide).number == 2
    assert asked == [1, 2]


def test_losing_again_and_again_is_unavailable(store):
    class Unlucky(FolderComparisons):
        def add(self, comparison):
            return False

    with pytest.raises(Unavailable, match="others were quicker 8 times"):
        settled(Unlucky(store.root), "toy", SET, pair(1), comparison)


def test_many_at_once_share_no_number(store):
    threads = [
        threading.Thread(target=lambda who=who: settled(store, "toy", SET, pair(who), lambda n: comparison(n, who)))
        for who in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    past = store.of("toy", SET)
    assert [item.number for item in past] == [1, 2, 3, 4, 5, 6]
    assert len({item.pair.challenger for item in past}) == 6


def test_a_broken_line_is_named(store):
    store.add(comparison(1))
    (path,) = store.root.rglob("*.json")
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput, match=rf"comparisons ledger: toy/{SET}/000001.json: project: missing"):
        store.of("toy", SET)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (("2024-01-01", "2024-01-31"), 1.0),
        (("2024-01-16", "2024-03-01"), 0.5),
        (("2024-02-01", "2024-03-01"), 0),
        (None, 0),
    ],
)
def test_overlap_is_a_share_of_this_period(other, share):
    assert overlap(("2024-01-01", "2024-01-31"), other) == pytest.approx(share)
