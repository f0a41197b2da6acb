"""What the smoke test refuses, and why."""

from __future__ import annotations

from typing import Any

import pytest

from ci.packaging.engine import Found
from ci.packaging.smoke import agrees, smoke, unwanted
from ci.report import Found as Said
from tests.unit.packaging.fakes import FakeEngine

GOLDEN: dict[str, Any] = {"rows": [{"a": "x" * 30_000}] * 5, "outputs": [0.1, 0.2, 0.3, 0.4, 0.5], "tolerance": 1e-5}
CONFIG: dict[str, Any] = {"User": "65532:65532", "Healthcheck": {"Test": []}, "Labels": {"io.slipway.bundle": "b"}}


def found(config: dict[str, Any] | None = None, **container: Any) -> dict[str, tuple[Said, str]]:
    engine = FakeEngine(golden=GOLDEN, container=container)
    checks = smoke(engine, Found("sha256:1", "amd64", (), 1, config or CONFIG), GOLDEN, {"io.slipway.bundle": "b"})
    return {check.name: (check.outcome, check.message) for check in checks}


def test_a_good_image_passes_everything_as_two_users() -> None:
    engine = FakeEngine(golden=GOLDEN)
    checks = list(smoke(engine, Found("sha256:1", "amd64", (), 1, CONFIG), GOLDEN, {"io.slipway.bundle": "b"}))
    assert [check.outcome for check in checks] == [Said.PASSED] * 6
    assert engine.users[1] == ""
    assert 20_000 <= int(engine.users[0].split(":")[0]) < 60_000


@pytest.mark.parametrize(
    ("container", "name", "said"),
    [
        ({"alive": False}, "start", "ended at once: the last word"),
        ({"names": ["/usr/bin/gcc-12"]}, "contents", "a compiler: /usr/bin/gcc-12"),
        ({"keys": ["/model/x.pem"]}, "contents", "a private key: /model/x.pem"),
        ({"writable": "/tmp"}, "confinement", "can write to /tmp"),
        ({"shift": 1e-3}, "golden rows", "not as when the bundle was sealed"),
        ({"status": "500"}, "golden rows", "answered 500"),
    ],
)
def test_each_fault_has_its_check(container: dict[str, Any], name: str, said: str) -> None:
    outcome, message = found(**container)[name]
    assert outcome is Said.REJECTED
    assert said in message


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"User": ""}, "user is root"),
        ({"User": "0:0"}, "user is 0"),
        ({"User": "nobody"}, "user is nobody"),
        ({"Healthcheck": None}, "no health check"),
        ({"Labels": None}, "io.slipway.bundle is None"),
    ],
)
def test_the_image_must_describe_itself_rightly(changed: dict[str, Any], said: str) -> None:
    outcome, message = found({**CONFIG, **changed})["description"]
    assert outcome is Said.REJECTED
    assert said in message


@pytest.mark.parametrize(
    "name",
    ["/usr/bin/x86_64-linux-gnu-gcc-12", "/usr/bin/cc", "/usr/bin/ld", "/usr/bin/pip3.11", "/usr/bin/apt-get", "/model/m.pkl",
     "/usr/lib/python3/dist-packages/pip/__init__.py", "/root/.netrc", "/root/.ssh/id_ed25519", "/x/.git/config",
     "/usr/lib/python3.11/ensurepip/__init__.py"],
)  # fmt: skip
def test_what_no_image_should_hold(name: str) -> None:
    assert unwanted(["/usr/bin/python3", name])


@pytest.mark.parametrize(
    "name", ["/usr/bin/cat", "/usr/bin/bash", "/usr/lib/python3.11/pickle.py", "/etc/ssl/certs/a.pem", "/usr/bin/ldd"]
)
def test_what_may_be_there(name: str) -> None:
    assert not unwanted([name])


def test_no_answers_are_no_agreement() -> None:
    assert agrees([], {"outputs": [], "tolerance": 1e-5})[0] is False
    assert agrees([float("nan")], {"outputs": [0.1], "tolerance": 1e-5})[0] is False
    assert agrees([[0.1, 0.9]], {"outputs": [[0.1, 0.9]], "tolerance": 1e-5}) == (True, 0.0)
    assert agrees([100.0005], {"outputs": [100.0], "tolerance": 1e-5})[0] is True  # relative for large answers
