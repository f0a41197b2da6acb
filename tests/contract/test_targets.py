"""What rollouts rely on of whatever runs servers: processes and containers keep the same contract."""

from __future__ import annotations

import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)] if str(ROOT) not in sys.path else []

from ci.adapters.environments import FolderBundles  # noqa: E402
from ci.adapters.targets.process import ProcessTarget  # noqa: E402
from ci.adapters.targets.units import Units  # noqa: E402
from ci.adapters.wanted import _unsigned as unsigned  # noqa: E402
from ci.errors import BadInput  # noqa: E402
from ci.params_packaging import Registry  # noqa: E402
from ci.rollout.state import Instance  # noqa: E402
from tests.containers import BUNDLE, a_place, usable  # noqa: E402
from tests.integration import registry as registries  # noqa: E402

pytestmark = pytest.mark.slow


def until(what, seconds=40):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


class TargetContract(ABC):
    """Subclass it; `opened` is called again and again, as agents do."""

    @abstractmethod
    def opened(self):
        """Open the target once more."""

    @abstractmethod
    def release(self, version):
        """Return a release that can be had here."""

    @abstractmethod
    def spoilt(self):
        """Return a release whose bundle is not the one that comes."""

    @abstractmethod
    def kill(self, instance):
        """SIGKILL a server."""

    def started(self, version="1.0.0", taken=()):
        target, release = self.opened(), self.release(version)
        target.prepare(release)
        host, port = target.place(taken)
        instance = Instance(id=f"flights-v{version.replace('.', '-')}-{len(taken):08x}", host=host, port=port)
        target.start(release, instance)
        return release, instance

    def test_a_server_is_seen_by_any_agent_from_start_to_stop(self):
        release, instance = self.started()
        until(lambda: self.opened().ready(release, instance))
        other = self.opened()
        assert not other.ready(self.release("1.0.1"), instance), "another release at this address"
        other.start(release, instance)  # again: nothing happens
        assert {name: (seen.alive, seen.restarts) for name, seen in other.running().items()} == {instance.id: (True, 0)}
        other.stop([instance.id, "flights-v9-9-9-00000000"], 20)
        assert self.opened().running() == {}
        assert not other.ready(release, instance)

    def test_addresses_are_apart(self):
        _, first = self.started()
        taken = {(first.host, first.port)}
        for _ in range(5):
            place = self.opened().place(taken)
            assert place not in taken
            taken.add(place)

    def test_what_is_killed_comes_back_at_its_address_and_says_how_often(self):
        release, instance = self.started()
        until(lambda: self.opened().ready(release, instance))
        self.kill(instance)
        until(lambda: self.opened().running()[instance.id].restarts == 1)
        until(lambda: self.opened().ready(release, instance))
        assert self.opened().tail(instance.id)

    def test_what_is_not_what_its_digest_says_is_not_run(self):
        with pytest.raises(BadInput, match=r"flights@v3\.0\.0: "):
            self.opened().prepare(self.spoilt())

    def test_what_is_here_needs_no_registry(self):
        release = self.release("1.0.0")
        self.opened().prepare(release)
        self.opened().forget([release.bundle])
        self.closed()
        self.opened().prepare(release)

    @abstractmethod
    def closed(self):
        """Take away where releases come from."""


class TestProcesses(TargetContract):
    """Servers of this machine."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        usable()
        self.folder, self.bundles = tmp_path, FolderBundles(BUNDLE)
        yield
        self.opened().stop(list(self.opened().running()), 20)

    def opened(self):
        return ProcessTarget(Units(self.folder / "processes"), self.bundles, self.folder)

    def closed(self):
        self.bundles = FolderBundles()

    def release(self, version):
        return unsigned("flights", version, BUNDLE)

    def spoilt(self):
        return self.release("3.0.0").model_copy(update={"bundle": "3" * 64})

    def kill(self, instance):
        os.kill(Units(self.folder / "processes").alive()[instance.id], signal.SIGKILL)


class TestContainers(TargetContract):
    """Servers of an engine."""

    @pytest.fixture(autouse=True)
    def _place(self, image_layout):
        self.place = a_place(image_layout)
        yield
        self.place.sweep()
        assert self.place.names() == []

    def opened(self):
        return self.place.target()

    def closed(self):
        self.place.shared = self.place.shared.model_copy(
            update={"registry": self.place.shared.registry.model_copy(update={"layout": "/nowhere"})}
        )

    def release(self, version):
        return self.place.release(version)

    def spoilt(self):
        return self.release("3.0.0").model_copy(update={"bundle": "3" * 64})

    def kill(self, instance):
        self.place.kill(f"{self.place.base}-{instance.id}")

    def test_a_container_gets_as_little_as_it_can_be_given(self):
        _, instance = self.started()
        told = self.place.engine.find(f"{self.place.base}-{instance.id}")
        host, config = told["HostConfig"], told["Config"]
        assert (host["ReadonlyRootfs"], host["Privileged"], host["CapDrop"]) == (True, False, ["ALL"])
        assert host["SecurityOpt"] == ["no-new-privileges"]
        assert (host["Memory"], host["NanoCpus"], host["RestartPolicy"]["Name"]) == (512 << 20, 10**9, "unless-stopped")
        assert (host["Binds"] or [], host["PortBindings"], told["Mounts"]) == ([], {}, []), "no host path, no port"
        assert int(config["User"].split(":")[0]) > 0
        assert list(told["NetworkSettings"]["Networks"]) == [self.place.base]
        wanted = {"io.slipway.environment": self.place.base, "io.slipway.project": "flights",
                  "io.slipway.instance": instance.id, "io.slipway.release": "1.0.0"}  # fmt: skip
        assert {name: config["Labels"][name] for name in wanted} == wanted

    def test_without_a_service_image_it_is_refused(self):
        with pytest.raises(BadInput, match="has no service packaging"):
            self.opened().prepare(unsigned("flights", "1.0.0", BUNDLE))

    def test_an_image_of_a_registry_is_pulled_by_digest(self, tmp_path):
        release, engine = self.release("1.0.0"), self.place.engine
        self.opened().prepare(release)
        (tag,) = engine.named_images(self.place.base)
        with registries.running(tmp_path) as there:
            name = f"{there.host}/slipway/flights"
            digest = engine.push(engine.image(tag).id, name, "x")
            engine.remove(tag)
            self.place.shared = self.place.shared.model_copy(update={"registry": Registry(url=there.url)})
            packaged = {"service": release.packagings["service"].model_copy(update={"digest": digest})}
            self.opened().prepare(release.model_copy(update={"packagings": packaged}))
            assert [word.partition(":")[2] for word in engine.named_images(self.place.base)] == [
                digest.replace(":", "-")
            ]
            missing = packaged["service"].model_copy(update={"digest": "sha256:" + "0" * 64})
            with pytest.raises(BadInput, match="the registry has none"):
                self.opened().prepare(release.model_copy(update={"packagings": {"service": missing}}))
            engine.remove(f"{name}@{digest}")
