"""steps.package with an engine and a registry: pushed, signed, found again by digest, and asked three ways."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ci.adapters.engine import Docker
from ci.adapters.keys import trusted
from ci.adapters.registry import found
from ci.model.bundle import digest
from ci.packaging import evidence
from ci.packaging.signing import Refused
from ci.params_packaging import Registry, Signing
from ci.releases.record import Release
from tests.integration import registry as registries
from tests.integration.conftest import ROOT, new_checkout
from tests.integration.engines import base_image
from tests.unit.packaging import sealed
from tests.unit.serving import bundles


@pytest.mark.slow
def test_the_whole_way(docker_engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base_image()
    (tmp_path / "clone").mkdir()
    shop = new_checkout(tmp_path / "clone")
    shutil.copytree(ROOT / "serving", shop.path / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    wheelhouse = ROOT / ".slipway" / "wheelhouse"  # whatever was downloaded before
    folder = sealed.write(shop.path / "artifacts" / "shop", signature=bundles.signature() | {"project": "shop"})
    report = shop.path / "reports" / "shop" / "gate.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({"outcome": "passed", "data": {"challenger": digest(folder)}, "inputs": {}}))
    with registries.running(tmp_path / "registry") as place:
        settings = f"registry: {{url: '{place.url}'}}\nimage: {{wheelhouse: '{wheelhouse}'}}\n"
        (shop.path / "params.yaml").write_text(f"projects: [shop]\n{settings}")
        shop.commit("a registry")
        done = shop.run("steps.package", "--project", "shop", "--json", DOCKER_HOST=docker_engine)
        if done.returncode == 5 and "wheel" in done.stderr:
            pytest.skip(done.stderr.splitlines()[-1])
        assert done.returncode == 0, done.stderr
        release = Release.model_validate(json.loads(done.stdout)["data"]["release"])
        assert set(release.packagings) == {"service", "embedded", "data"}

        store, service = found(Registry(url=place.url)), release.packagings["service"]
        assert store.resolve(service.repository, "1.0.0") == service.digest
        monkeypatch.chdir(shop.path)
        keys = trusted(Signing())
        for item in release.packagings.values():
            (statement,) = evidence.verify(store, item.repository, item.digest, keys)
            assert statement.parameters["version"] == "1.0.0"
        engine = Docker()
        reference = f"{place.host}/{service.repository}@{service.digest}"
        assert engine.pull(reference).labels["io.slipway.bundle"] == f"sha256:{release.bundle}"
        with pytest.raises(Refused, match="unsigned"):
            other = engine.push(engine.pull(reference).id, f"{place.host}/slipway/unsigned", "x")
            evidence.verify(store, "slipway/unsigned", other, keys)

        asked = shop.run("steps.ask", "--project", "shop", DOCKER_HOST=docker_engine)
        assert asked.returncode == 0, asked.stderr
        for kind in release.packagings:
            assert f"{kind} 0." in asked.stderr
        engine.remove(reference)
        engine.remove(f"{place.host}/slipway/unsigned:x")
