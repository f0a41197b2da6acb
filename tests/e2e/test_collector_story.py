"""The collection service by the same steps as models: package, deploy, promote, roll back, status, stop; and who is refused."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256

import pytest

from ci.adapters import registry
from ci.adapters.envoy import binary
from ci.errors import StepError
from ci.packaging.interface import STATEMENT
from ci.params_packaging import Registry
from tests.integration.conftest import ROOT, new_checkout

pytestmark = pytest.mark.slow

PARAMS = """\
projects: [shop]
ledger: {remote: null}
environments:
  - name: staging
  - name: production
    strategy: {kind: canary, steps: [{weight: 50, pause_s: 0}]}
    verification: {by: statistics}
services:
  collector: {min_free_mb: 0}
"""
TOKEN = "the-token-of-the-story"  # noqa: S105


@pytest.fixture
def shop(tmp_path):
    """A checkout with a contract, a token for a sender, and nothing released yet."""
    try:
        binary()
    except StepError as error:
        pytest.skip(str(error))
    folder = tmp_path / "clone"
    folder.mkdir()
    made = new_checkout(folder)
    shutil.copytree(ROOT / "serving", folder / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "params.yaml").write_text(PARAMS)
    (folder / ".slipway" / "collector").mkdir(parents=True)
    line = f"door send,read {sha256(TOKEN.encode()).hexdigest()}\n"
    (folder / ".slipway" / "collector" / "tokens").write_text(line)
    made.commit("a service")
    yield made
    for environment in ("staging", "production"):
        done = step(made, "stop", "--env", environment)
        assert done.returncode == 0, done.stderr


def step(shop, name, *arguments, project="collector"):
    return shop.run(f"steps.{name}", *(["--project", project] if project else []), *arguments)


def said(shop, name):
    return json.loads((shop.path / "reports" / "collector" / f"{name}.json").read_text())


def passed(done):
    assert done.returncode == 0, done.stderr
    return done


def test_the_story(shop):
    passed(step(shop, "package", "--as", "data"))
    report = said(shop, "package")
    release = report["data"]["release"]
    assert (release["version"], list(release["packagings"])) == ("1.0.0", ["data"])
    assert set(release["evidence"]) == {"sbom", "provenance"}
    assert release["gate"]["report"] == sha256((shop.path / "reports/collector/smoke.json").read_bytes()).hexdigest()
    assert "shop: golden record" in [check["name"] for check in said(shop, "smoke")["checks"]]
    passed(step(shop, "deploy", "--env", "staging", "--release", "v1.0.0"))
    (verdict,) = [check for check in said(shop, "deploy")["checks"] if check["name"] == "smoke test"]
    assert verdict["message"] == f"passed (report {release['gate']['report'][:12]})"
    passed(step(shop, "verify", "--env", "staging", "--record"))
    assert "not worse: collector-v1-0-0: no 5xx in" in said(shop, "verify")["message"]
    passed(step(shop, "promote", "--to", "production", "--reason", "it takes records"))

    shop.edit("projects/shop/contract.yaml", "[Köln, Łódź, York]", "[Köln, Łódź, York, Bonn]")
    shop.commit("a contract patch, accepted")
    passed(step(shop, "package", "--as", "data"))
    assert said(shop, "package")["data"]["release"]["version"] == "2.0.0"
    passed(step(shop, "deploy", "--env", "staging", "--release", "v2.0.0"))
    status = passed(step(shop, "status", project=None))
    lines = [line.split()[:4] for line in status.stderr.splitlines()]
    assert ["collector", "staging", "v2.0.0", "v2.0.0"] in lines
    assert ["collector", "production", "v1.0.0", "v1.0.0"] in lines

    passed(step(shop, "rollback", "--env", "staging", "--reason", "the senders are not there yet"))
    assert "staging is back at collector@v1.0.0" in said(shop, "rollback")["message"]

    unsigned(shop, release["packagings"]["data"])
    passed(step(shop, "stop", "--env", "staging"))
    done = step(shop, "deploy", "--env", "staging", "--release", "v1.0.0")
    assert done.returncode == 3
    assert "signature: collector@v1.0.0: " in done.stderr
    assert "unsigned: no signed provenance refers to it" in done.stderr


def unsigned(shop, packaged):
    """Take the signed provenance of a packaging away, as somebody might who swaps what a registry holds."""
    store = registry.found(Registry(layout=str(shop.path / ".slipway" / "registry")))
    for digest, kind in list(store.referrers(packaged["repository"], packaged["digest"])):
        if kind == STATEMENT:
            store.delete(packaged["repository"], digest)
