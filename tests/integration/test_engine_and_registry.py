"""
The engine's own push and pull, at a registry with TLS, a CA of its own, and a password or tokens.

An engine trusts 127.0.0.0/8 without looking, so that the registry is at the address of its bridge here: of this machine,
reached by nobody else than its containers, and as strange to the engine as any other host.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci.adapters import registry as door
from ci.adapters.engine import Docker
from ci.errors import BadInput, Unavailable
from ci.packaging import tars
from ci.params_packaging import Registry as Settings
from tests.integration import registry as registries
from tests.integration.registry import PASSWORD, USER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.packaging.engine import Found

CERTS = Path("/etc/docker/certs.d")
REPOSITORY = "slipway/tiny"
LOGIN = {"REGISTRY_USER": USER, "REGISTRY_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def bridge(docker_engine: str) -> str:
    """The address of the engine's own network on this machine."""
    if not docker_engine.startswith("unix://") or os.geteuid() != 0:
        pytest.skip("what an engine trusts lies in /etc/docker: this needs root, and an engine of this machine")
    found = Docker(60)._client.api.inspect_network("bridge")["IPAM"]["Config"][0]
    if "Gateway" not in found:
        pytest.skip("the engine's bridge has no address here")
    return str(found["Gateway"])


@pytest.fixture
def tiny(docker_engine: str) -> Iterator[Found]:
    engine = Docker(60)
    files: dict[str, tars.Contents] = {"Dockerfile": b"FROM scratch\nCOPY one/ /\n", "one/a": b"a" * 70_000}
    yield engine.build(io.BytesIO(tars.pack(files, 0)), "slipway/test:guarded")
    engine.remove("slipway/test:guarded")


@contextlib.contextmanager
def trusted(host: str, ca: str) -> Iterator[None]:
    """Let the engine trust a registry's CA, as its administrator would; it needs no restart."""
    place = CERTS / host
    place.mkdir(parents=True)
    try:
        shutil.copyfile(ca, place / "ca.crt")
        yield
    finally:
        shutil.rmtree(place)


def at(place: registries.Running) -> str:
    return f"{place.host}/{REPOSITORY}"


@pytest.fixture(params=["basic", "token"])
def guarded(request: pytest.FixtureRequest, bridge: str, tmp_path: Path) -> Iterator[registries.Running]:
    with registries.running(tmp_path / "registry", request.param, tls=True, at=bridge) as place:
        yield place


def test_pushed_found_by_our_own_door_and_pulled_by_digest(guarded: registries.Running, tiny: Found) -> None:
    assert guarded.ca
    engine = Docker(60, (USER, PASSWORD))
    with trusted(guarded.host, guarded.ca):
        digest = engine.push(tiny.id, at(guarded), "bundle")
        assert engine.push(tiny.id, at(guarded), "again") == digest
        store = door.found(
            Settings(url=guarded.url, ca=guarded.ca, username_env="REGISTRY_USER", password_env="REGISTRY_PASSWORD"),
            LOGIN,
        )
        assert store.pull_manifest(REPOSITORY, digest).digest == digest
        engine.remove("slipway/test:guarded")
        engine.remove(f"{at(guarded)}@{digest}")
        assert engine.image(tiny.id) is None
        try:
            assert engine.pull(f"{at(guarded)}@{digest}").id == tiny.id
            with pytest.raises(BadInput, match="the registry has none"):
                engine.pull(f"{at(guarded)}@sha256:{'0' * 64}")
        finally:
            engine.remove(f"{at(guarded)}@{digest}")


@pytest.mark.parametrize("login", [(USER, "not-the-Passw0rd"), None], ids=["wrong", "none"])
def test_who_has_no_password_is_told_in_one_line(
    guarded: registries.Running, tiny: Found, login: tuple[str, str] | None
) -> None:
    assert guarded.ca
    with trusted(guarded.host, guarded.ca):
        for act in (
            lambda: Docker(60, login).push(tiny.id, at(guarded), "bundle"),
            lambda: Docker(60, login).pull(f"{at(guarded)}@{tiny.id}"),
        ):
            with pytest.raises(BadInput, match="does not let us in") as refused:
                act()
            told = f"{refused.value}{refused.value.hint}"
            assert "registry.password_env" in told
            assert not any(secret in told for secret in ("not-the-Passw0rd", PASSWORD, "\n"))


@pytest.mark.parametrize("whose", ["nobody's", "another's"])
def test_a_registry_whose_ca_the_engine_does_not_know_gets_nothing(
    bridge: str, tiny: Found, tmp_path: Path, whose: str
) -> None:
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(registries.running(tmp_path / "registry", "basic", tls=True, at=bridge))
        if whose == "another's":
            other = tmp_path / "other"
            other.mkdir()
            stack.enter_context(trusted(place.host, registries.certificates(other, bridge)[0]))
        engine = Docker(60, (USER, PASSWORD))
        for act in (
            lambda: engine.push(tiny.id, at(place), "bundle"),
            lambda: engine.pull(f"{at(place)}@{tiny.id}"),
        ):
            with pytest.raises(BadInput, match="the engine does not trust the registry") as refused:
                act()
            assert "certs.d" in refused.value.hint
            assert "\n" not in str(refused.value)


def test_a_layer_that_was_altered_in_the_registry_is_refused(bridge: str, tiny: Found, tmp_path: Path) -> None:
    with registries.running(tmp_path / "registry", "basic", tls=True, at=bridge) as place:
        assert place.ca
        engine = Docker(60, (USER, PASSWORD))
        with trusted(place.host, place.ca):
            digest = engine.push(tiny.id, at(place), "bundle")
            engine.remove("slipway/test:guarded")
            engine.remove(f"{at(place)}@{digest}")
            assert engine.image(tiny.id) is None
            for blob in place.storage.rglob("data"):
                raw = blob.read_bytes()
                if not raw.startswith(b"{"):  # neither the manifest nor the configuration
                    blob.write_bytes(raw[:-9] + bytes([raw[-9] ^ 1]) + raw[-8:])
            with pytest.raises((BadInput, Unavailable)) as refused:
                engine.pull(f"{at(place)}@{digest}")
            assert engine.image(tiny.id) is None
    assert "digest" in str(refused.value)
    assert isinstance(refused.value, BadInput)
