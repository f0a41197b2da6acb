"""Pairs of answers: joined by request id, told apart, never made up."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ci.adapters.pairs import ServerPairs
from ci.errors import Unavailable
from ci.rollout.interface import Arm, Question
from ci.rollout.pairs import Answered, Heard, Pair, joined
from tests.releases import release

MARK = "0a1b2c3d"


def heard(name: str, second: int = 0, answer: Any = (0.5,), number: int = 1) -> Heard:
    at = f"2026-11-24T10:00:{second:02}.000+00:00"
    return Heard(number, name, Answered("flights@1.0.0", at, 200, list(answer)))


def test_pairs_come_in_the_shadows_order_and_nothing_else_is_paired() -> None:
    mine = [heard(name) for name in ("a", "b", "twice", "twice", "mine")]
    theirs = [heard(name, second) for name, second in (("b", 2), ("a", 1), ("twice", 3), ("theirs", 4))]
    found = joined(mine, theirs)
    assert [pair.request_id for pair in found.pairs] == ["a", "b"]
    assert (found.alone, found.ambiguous) == (2, 1)


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ([0.5], [0.5], 0.0),
        ([0.5, 0.1], [0.5, 0.4], 0.3),
        ([[0.1, 0.9]], [[0.4, 0.6]], 0.3),
        ([0.5], [0.5, 0.5], None),
        ([0.5], None, None),
        (["late"], ["late"], None),
    ],
)
def test_how_far_two_answers_are_apart(one: Any, other: Any, apart: float | None) -> None:
    pair = Pair("a", Answered("x", "", 200, one), Answered("y", "", 200, other))
    assert pair.apart() == (None if apart is None else pytest.approx(apart))


def question(**more: Any) -> Question:
    arms = [Arm(release(version), f"flights-v{version}", [address]) for version, address in (("1.1.0", "new"), ("1.0.0", "old"))]  # fmt: skip
    return Question("flights", "staging", arms[0], arms[1], 0, "", "", "", **{"shadow": MARK, **more})


class Servers:
    """Two servers that keep answers, and tell three at a time."""

    def __init__(self, **kept: list[dict[str, Any]]) -> None:
        self.kept, self.status = kept, 200

    def __call__(self, url: str) -> tuple[int, dict[str, str], bytes]:
        address, _, query = url.removeprefix("http://").partition("/v2/shadow?")
        mark, after = (part.split("=")[1] for part in query.split("&"))
        assert mark == MARK
        told = [item for item in self.kept[address] if item["number"] > int(after)][:3]
        return self.status, {}, b"".join(json.dumps(item).encode() + b"\n" for item in told)


def line(number: int, name: str, answer: Any, second: int = 0) -> dict[str, Any]:
    return {"number": number, "at": f"2026-11-24T10:00:{second:02}.000+00:00", "request_id": name, "status": 200,
            "release": "flights@1.0.0; bundle=sha256:0", "answer": answer}  # fmt: skip


def test_all_pages_of_all_servers_are_read_and_both_protocols_understood() -> None:
    tensors = {"outputs": [{"data": [0.25]}]}
    old = [line(number, f"id-{number}", {"predictions": [0.5]}, number) for number in range(1, 8)]
    new = [line(number, f"id-{number}", tensors, number) for number in range(1, 8)]
    pairs = ServerPairs(question(), Servers(old=old, new=new))
    found = list(pairs.since(datetime(2026, 11, 24, 10, 0, 3, tzinfo=UTC)))
    assert [pair.request_id for pair in found] == ["id-4", "id-5", "id-6", "id-7"]
    assert {(pair.baseline.answer[0], pair.shadow.answer[0], pair.apart()) for pair in found} == {(0.5, 0.25, 0.25)}  # type: ignore[index]
    assert found[0].baseline.release == "flights@1.0.0"


def test_a_refusal_and_an_answer_that_was_not_kept_are_told_as_such() -> None:
    old = [line(1, "a", {"predictions": [0.5]}), line(2, "b", {"predictions": [0.5]})]
    new = [line(1, "a", {"detail": "internal error"}), line(2, "b", None)]
    found = ServerPairs(question(), Servers(old=old, new=new)).now().pairs
    assert [(pair.shadow.answer, pair.shadow.said, pair.apart()) for pair in found] == [
        (None, "internal error", None),
        (None, "not kept: too long, or binary", None),
    ]


def test_a_server_that_keeps_nothing_is_named() -> None:
    servers = Servers(old=[], new=[])
    servers.status = 404
    with pytest.raises(Unavailable, match=r"flights@v1\.1\.0 at new: keeps no answers \(404\)"):
        ServerPairs(question(), servers).now()
    with pytest.raises(Unavailable, match="new: what it keeps of its answers cannot be read"):
        ServerPairs(question(), lambda _url: (200, {}, b"[]")).now()


def test_without_a_shadow_nobody_is_asked() -> None:
    def nobody(url: str) -> tuple[int, dict[str, str], bytes]:
        raise AssertionError(url)

    assert ServerPairs(question(shadow=""), nobody).now().pairs == []
