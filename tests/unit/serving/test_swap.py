from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from serving import compat, loader, signature
from serving.errors import BadOption, BundleError
from serving.settings import Settings
from tests.unit.serving import bundles

if TYPE_CHECKING:
    from pathlib import Path


def parsed(**changes):
    inputs = [dict(spec) for spec in bundles.INPUTS]
    for name, members in changes.items():
        next(spec for spec in inputs if spec["name"] == name).update(members)
    return signature.parse(json.dumps(bundles.signature(inputs=inputs)).encode())


OLD = parsed()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"distance": {"maximum": 20000, "nullable": True}},
        {"carrier": {"max_length": None, "categories": ["AA"]}},
        {"origin": {"categories": [*bundles.ORIGINS, "BOS"]}},
        {"origin": {"unknown": "accept", "categories": ["BOS"]}},
        {"temp": {"description": "other", "quantiles": None, "example": 1}},
    ],
)
def test_wider_is_compatible(changes):
    compat.check(OLD, parsed(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distance": {"maximum": 9000}}, "distance has a narrower range"),
        ({"temp": {"nullable": False}}, "temp must no longer be null"),
        ({"carrier": {"max_length": 10}}, "carrier must be shorter"),
        ({"carrier": {"unknown": "reject"}}, "carrier refuses"),
        ({"origin": {"categories": ["JFK"]}}, "origin refuses"),
        ({"waterfront": {"type": "number"}}, "waterfront is a number"),
    ],
)
def test_narrower_is_not(changes, words):
    with pytest.raises(BundleError, match=words):
        compat.check(OLD, parsed(**changes))


def test_other_fields_or_another_project_are_not():
    fewer = bundles.signature(inputs=bundles.INPUTS[:-1]) | {
        "graph": {"numbers": bundles.NUMBERS, "texts": bundles.TEXTS}
    }
    small = signature.parse(json.dumps(fewer).encode())
    for old, new, words in [
        (OLD, small, "scheduled_departure is gone"),
        (small, OLD, "scheduled_departure is new"),
        (OLD, signature.parse(json.dumps(bundles.signature() | {"project": "x"}).encode()), "project is x"),
        (OLD, signature.parse(json.dumps(bundles.signature("regression")).encode()), "task is regression"),
    ]:
        with pytest.raises(BundleError, match=words) as caught:
            compat.check(old, new)
        assert caught.value.reason == "incompatible"


def replace(target: Path, source: Path) -> None:
    for path in source.iterdir():
        shutil.copy(path, target / path.name)


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    return bundles.write(tmp_path_factory.mktemp("bundles") / "other", seed=1)


ADMIN = ("--admin-loopback",)
LOAD = "/v2/repository/models/flights/load"


def test_load_takes_over(serve, fresh, other):
    async def scenario(service):
        old = (await service.predict(bundles.ROW)).json
        replace(fresh, other)
        body = json.dumps({"parameters": {"version": "1.5.0"}}).encode()
        assert (await service.ask("POST", LOAD, body)).json["outcome"] == "swapped"
        new = (await service.predict(bundles.ROW)).json
        assert (new["version"], new["bundle"] != old["bundle"]) == ("1.5.0", True)
        assert new["predictions"] != old["predictions"]
        again = await service.ask("POST", LOAD)
        assert (again.status, again.json["outcome"]) == (200, "unchanged")
        page = (await service.ask("GET", "/metrics")).body.decode()
        assert 'version="1.4.0"' in page  # what the old one did is still told
        assert 'version="1.5.0"' in page

    serve(scenario, *ADMIN, at=fresh)


def test_a_bundle_without_version_goes_by_its_digest(serve, fresh, other):
    async def scenario(service):
        replace(fresh, other)
        version = (await service.ask("POST", LOAD)).json["version"]
        assert len(version) == 12
        assert (await service.ask("GET", f"/v2/models/flights/versions/{version}")).status == 200

    serve(scenario, *ADMIN, at=fresh)


def spoil_file(folder):
    (folder / "MODEL_CARD.md").write_text("other")


def spoil_golden(folder):
    document = json.loads((folder / "golden.json").read_text())
    document["outputs"][0] += 0.5
    (folder / "golden.json").write_text(json.dumps(document))
    bundles.seal(folder)


def spoil_signature(folder):
    document = json.loads((folder / "signature.json").read_text())
    document["inputs"][1]["maximum"] = 9000
    (folder / "signature.json").write_text(json.dumps(document))
    bundles.seal(folder)


def spoil_all(folder):
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (spoil_file, "digest", "MODEL_CARD.md"),
        (spoil_golden, "golden", "row 0 scored"),
        (spoil_signature, "incompatible", "distance"),
        (spoil_all, "unreachable", "No such file"),
    ],
)
def test_whatever_is_wrong_the_old_model_goes_on(serve, fresh, spoil, reason, words):
    async def scenario(service):
        before = (await service.predict(bundles.ROW)).json
        spoil(fresh)
        answer = await service.ask("POST", LOAD)
        assert answer.status == 409
        assert reason in answer.json["detail"]
        assert words in answer.json["detail"]
        after = (await service.predict(bundles.ROW)).json
        assert {**after, "request_id": ""} == {**before, "request_id": ""}
        page = (await service.ask("GET", "/metrics")).body.decode()
        assert f'slipway_swaps_total{{outcome="refused",reason="{reason}"}} 1' in page
        assert "slipway_last_swap_refused 1" in page
        index = (await service.ask("POST", "/v2/repository/index")).json
        assert words in index[0]["reason"]
        assert (await service.ask("GET", "/v2/health/ready")).status == 200

    serve(scenario, *ADMIN, at=fresh)


def test_requests_under_way_are_answered_by_the_model_that_took_them(serve, fresh, other):
    async def scenario(service):
        old = service.state.repository.live
        waiting = [asyncio.create_task(service.predict(bundles.ROW)) for _ in range(10)]
        await asyncio.sleep(0)  # all are in a batch of the old model now
        replace(fresh, other)
        service.state.repository._take(service.state.repository._open(None))
        answers = [await task for task in waiting]
        assert {answer.json["bundle"] for answer in answers} == {old.model.release.short}
        assert {answer.headers["x-slipway-release"].encode() for answer in answers} == {old.header}

    serve(scenario, at=fresh)


@pytest.mark.parametrize(
    ("options", "caller", "status"),
    [
        ((), ("127.0.0.1", {}), 403),
        (("--admin-loopback",), ("127.0.0.1", {}), 200),
        (("--admin-loopback",), ("::1", {}), 200),
        (("--admin-loopback",), ("10.0.0.7", {}), 403),
        (("--admin-token-file", "TOKEN"), ("127.0.0.1", {}), 401),
        (("--admin-token-file", "TOKEN"), ("10.0.0.7", {"authorization": "Bearer wrong"}), 401),
        (("--admin-token-file", "TOKEN"), ("10.0.0.7", {"authorization": "Bearer s3cret"}), 200),
    ],
)
def test_who_may_swap(serve, tmp_path, options, caller, status):
    (tmp_path / "token").write_text("s3cret\n")
    options = [str(tmp_path / "token") if option == "TOKEN" else option for option in options]

    async def scenario(service):
        client, headers = caller
        assert (await service.ask("POST", LOAD, client=client, **headers)).status == status

    serve(scenario, *options)


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b'{"parameters": {"version": "a b"}}', b'{"parameters": {"version": 3}}']
)
def test_load_requests_that_are_none(serve, body):
    async def scenario(service):
        assert (await service.ask("POST", LOAD, body)).status == 400

    serve(scenario, *ADMIN)


def source(uri) -> loader.Source:
    return loader.source(Settings(model=str(uri)))


def test_addresses(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a b")
    for uri in (str(tmp_path / "a b"), (tmp_path / "a b").as_uri(), str(tmp_path / "link")):
        assert source(uri).locate().files == (tmp_path / "a b").resolve()
    (tmp_path / "file").touch()
    for uri in (str(tmp_path / "file"), str(tmp_path / "none")):
        with pytest.raises(BundleError) as caught:
            source(uri).locate()
        assert caught.value.reason == "unreachable"
    with pytest.raises(BadOption, match="cannot fetch s3://, only file, oci"):
        source("s3://x")


def test_a_fingerprint_tells_bundles_apart(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    link = tmp_path / "current"
    link.symlink_to("a")
    first = source(link).fingerprint()
    assert source(link).fingerprint() == first
    link.unlink()
    link.symlink_to("b")
    assert source(link).fingerprint() != first
