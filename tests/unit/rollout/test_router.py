"""From weights to Envoy's resources; from strategies to stages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ci.params_environments import Strategy
from ci.rollout.router import Cluster, Door, Routes, Share, bootstrap, files_of, routes, shares, version_of, whole
from ci.rollout.state import Instance
from ci.rollout.strategies import stages

NAMES = {"1.0.0": "flights-v1-0-0", "1.1.0": "flights-v1-1-0", "1.2.0": "flights-v1-2-0"}


@given(st.dictionaries(st.sampled_from(sorted(NAMES)), st.floats(0, 100), min_size=1))
def test_shares_add_up_whatever_the_weights(weights: dict[str, float]) -> None:
    found = shares(weights, NAMES)
    assert sum(share.hundredths for share in found) == (10_000 if any(weights.values()) else 0)


def wish(**more: object) -> Routes:
    given = {"shares": shares({"1.0.0": 75, "1.1.0": 25}, NAMES), **more}
    return Routes(project="flights", **given)  # type: ignore[arg-type]


def test_only_scoring_is_tried_again() -> None:
    found = json.loads(routes(wish()))["resources"][0]["virtual_hosts"][0]["routes"]
    (tried,) = [item for item in found if "retry_policy" in item.get("route", {})]
    assert tried["match"]["headers"] == [{"name": ":method", "string_match": {"exact": "POST"}}]
    assert "predict" in tried["match"]["safe_regex"]["regex"]


def test_a_release_is_reached_by_its_exact_name() -> None:
    found = json.loads(routes(wish(direct={"1.0.0": NAMES["1.0.0"]})))["resources"][0]["virtual_hosts"][0]["routes"]
    (rule,) = [
        h
        for item in found
        for h in item["match"].get("headers", [])
        if h["name"] == "x-slipway-release" and "string_match" in h
    ]
    assert rule["string_match"]["safe_regex"]["regex"] == r"v?1\.0\.0"


def test_only_what_is_copied_is_marked_and_nobody_else_may_bear_the_mark() -> None:
    mirror = Share(cluster=NAMES["1.1.0"], hundredths=5000)
    for more in ({}, {"mirror": mirror, "mark": "0a1b2c3d"}):
        found = json.loads(routes(wish(direct={"1.0.0": NAMES["1.0.0"]}, **more)))["resources"][0]["virtual_hosts"][0]
        marked = [item for item in found["routes"] if "request_headers_to_add" in item]
        assert [item["request_headers_to_add"][0]["header"]["value"] for item in marked] == ["0a1b2c3d"] * bool(more)
        assert all("predict" in item["match"]["safe_regex"]["regex"] for item in marked)
        stripped = [item for item in found["routes"] if "route" in item and item not in marked]
        assert all(item["request_headers_to_remove"] == ["x-slipway-shadow"] for item in stripped)


def test_the_same_wish_has_the_same_version_and_another_wish_another() -> None:
    assert version_of(routes(wish())) == version_of(routes(wish()))
    assert version_of(routes(wish())) != version_of(routes(wish(sticky="x-user-id")))
    mirrored = wish(mirror=Share(cluster=NAMES["1.1.0"], hundredths=5000))
    assert version_of(routes(wish())) != version_of(routes(mirrored))


@pytest.mark.parametrize("name", ['x"}', "flights v1", "Flights-v1-0-0"])
def test_an_injection_dies_at_the_model(name: str) -> None:
    with pytest.raises(ValidationError):
        Cluster(name=name, version="1.0.0", instances=[])
    with pytest.raises(ValidationError):
        Instance(id=name, host="127.0.0.1", port=1)
    with pytest.raises(ValidationError):
        wish(sticky=name)


@pytest.mark.parametrize(
    ("kind", "weights"),
    [("rolling", [50, 100]), ("blue_green", [100]), ("canary", [5, 25, 50, 100]), ("ab", [50]), ("shadow", [0])],
)
def test_stages(kind: str, weights: list[float]) -> None:
    found = stages(Strategy(kind=kind), 2, first=False)  # type: ignore[arg-type]
    assert [stage.weight for stage in found] == weights
    assert [stage.stays for stage in found] == [kind in {"ab", "shadow"}] * len(found)
    assert [stage.weight for stage in stages(Strategy(kind=kind), 2, first=True)] == [100]  # type: ignore[arg-type]


def door(**more: object) -> Door:
    return Door(project="flights", environment="staging", host="127.0.0.1", port=8000, admin_host="127.0.0.1", admin_port=9901,
                folder="/router", **more)  # type: ignore[arg-type]  # fmt: skip


def test_statistics_get_a_door_of_their_own_only_where_it_is_asked_for() -> None:
    assert "static_resources" not in json.loads(bootstrap(door()))
    found = json.loads(bootstrap(door(stats_port=9902)))
    (listener,) = found["static_resources"]["listeners"]
    rules = listener["filter_chains"][0]["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    open_paths = {rule["match"]["path"]: rule["match"]["headers"][0]["string_match"]["exact"] for rule in rules[:-1]}
    assert open_paths == dict.fromkeys(("/stats", "/stats/prometheus", "/clusters", "/ready"), "GET")
    assert rules[-1]["direct_response"]["status"] == 403
    assert found["admin"]["address"]["socket_address"]["address"] == "127.0.0.1"
    whole_thing = json.loads(whole(door(stats_port=9902), [], wish(shares=[])))
    assert [item["name"] for item in whole_thing["static_resources"]["listeners"]] == ["door", "stats"]


def test_files_come_in_the_order_in_which_envoy_may_see_them() -> None:
    cluster = Cluster(name=NAMES["1.0.0"], version="1.0.0", instances=[])
    files, expected = files_of(door(), [cluster])
    assert list(files) == ["eds-flights-v1-0-0.json", "cds.json"]
    assert expected == {"cluster.flights-v1-0-0.version_text": version_of(files["eds-flights-v1-0-0.json"]),
                        "cluster_manager.cds.version_text": version_of(files["cds.json"])}  # fmt: skip
