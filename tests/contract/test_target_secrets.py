"""What servers read from files: both targets give it to them, show it to nobody, and keep it for agents that lack it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from ci.adapters.environments import FolderBundles
from ci.adapters.targets.docker import DockerTarget, Images
from ci.adapters.targets.process import ProcessTarget
from ci.adapters.targets.servers import Server
from ci.adapters.targets.units import Units
from ci.adapters.wanted import _unsigned as unsigned
from ci.errors import BadInput
from ci.rollout.state import Instance
from tests.containers import BUNDLE, a_place, usable

pytestmark = pytest.mark.slow
SECRET = b"a-token-of-the-contract"
SETTINGS = {"EVENTS_URL": "http://127.0.0.1:9", "EVENTS_RATE": "1", "EVENTS_TOKEN_FILE": "{secrets}/events-token"}


def server(secret: bytes | None) -> Server:
    """A model's server with a token for its events; it does not start if it cannot read the file."""
    hints = {"events-token": "set EVENTS_TOKEN"}
    secrets = {"events-token": secret}
    return Server("serving", "--model", "SLIPWAY_SERVING_", settings=SETTINGS, secrets=secrets, hints=hints)


class SecretsContract(ABC):
    """Subclass it; `opened` is called again and again, as agents do."""

    @abstractmethod
    def opened(self, secret):
        """Open the target on an agent that knows the secret, or does not (None)."""

    @abstractmethod
    def release(self):
        """Return a release that can be had here."""

    @abstractmethod
    def told(self, instance):
        """Return all that can be seen of a server from outside."""

    def test_a_server_reads_what_nobody_else_is_shown(self):
        target, release = self.opened(SECRET), self.release()
        with pytest.raises(BadInput, match="has no events-token yet, and neither has this machine") as caught:
            self.opened(None).prepare(release)
        assert caught.value.hint == "set EVENTS_TOKEN"
        target.prepare(release)
        host, port = target.place(())
        instance = Instance(id="flights-v1-0-0-00000001", host=host, port=port)
        target.start(release, instance)
        until(lambda: self.opened(None).ready(release, instance))
        assert SECRET not in self.told(instance)
        self.opened(None).prepare(release)  # another agent: what is there is kept
        other = Instance(id="flights-v1-0-0-00000002", host=host, port=self.opened(None).place({(host, port)})[1])
        if other.port != port:
            self.opened(None).start(release, other)
            until(lambda: self.opened(None).ready(release, other))


class TestProcesses(SecretsContract):
    """Servers of this machine."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        usable()
        self.folder = tmp_path
        yield
        target = self.opened(None)
        target.stop(list(target.running()), 20)

    @property
    def units(self):
        return Units(self.folder / "environment" / "processes")

    def opened(self, secret):
        return ProcessTarget(self.units, FolderBundles(BUNDLE), self.folder, server=server(secret))

    def release(self):
        return unsigned("flights", "1.0.0", BUNDLE)

    def told(self, instance):
        place = Path("/proc", str(self.units.alive()[instance.id]))
        files = [path for path in self.units.folder.rglob("*") if path.is_file()]
        return b"".join(path.read_bytes() for path in [place / "cmdline", place / "environ", *files])


class TestContainers(SecretsContract):
    """Servers of an engine."""

    @pytest.fixture(autouse=True)
    def _place(self, image_layout):
        self.place = a_place(image_layout)
        yield
        self.place.sweep()
        self.place.engine.drop_volume(f"{self.place.base}-secrets")
        assert self.place.names() == []

    def opened(self, secret):
        images = Images(self.place.shared.registry)
        settings = self.place.environment.target
        return DockerTarget(self.place.engine, self.place.base, settings, images, server=server(secret))

    def release(self):
        return self.place.release("1.0.0")

    def told(self, instance):
        return str(self.place.engine.find(f"{self.place.base}-{instance.id}")).encode()


def until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)
