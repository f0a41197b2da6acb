"""steps.package and steps.ask, as processes, on a machine without an engine: every end that they name."""

from __future__ import annotations

import json
import shutil

import pytest

from ci.model.bundle import digest
from tests.integration.conftest import ROOT, Checkout, new_checkout
from tests.unit.packaging import sealed
from tests.unit.serving import bundles


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with a judged bundle, and no engine in reach."""
    folder = tmp_path_factory.mktemp("package") / "clone"
    folder.mkdir()
    made = new_checkout(folder)
    shutil.copytree(ROOT / "serving", folder / "serving", ignore=shutil.ignore_patterns("__pycache__"))
    made.commit("a server")
    sealed.write(folder / "artifacts" / "shop", signature=bundles.signature() | {"project": "shop"})
    gate(made, "passed")
    return made


def gate(shop: Checkout, outcome: str) -> None:
    report = shop.path / "reports" / "shop" / "gate.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    judged = {"challenger": digest(shop.path / "artifacts" / "shop")}
    report.write_text(json.dumps({"outcome": outcome, "message": "auc is worse", "data": judged, "inputs": {}}))


def step(shop: Checkout, *arguments: str) -> tuple[int, str]:
    done = shop.run(*arguments, "--project", "shop", DOCKER_HOST=f"unix://{shop.path}/no.sock")
    return done.returncode, done.stderr


def test_what_nobody_released_cannot_be_asked(shop: Checkout) -> None:
    code, told = step(shop, "steps.ask")
    assert code == 2
    assert "shop: no such release" in told


def test_unknown_packaging_is_bad_input(shop: Checkout) -> None:
    code, told = step(shop, "steps.package", "--as", "service,tarball")
    assert code == 2
    assert "--as: 'tarball' is no packaging" in told


def test_what_is_asked_for_and_cannot_be_made_is_unavailable(shop: Checkout) -> None:
    code, told = step(shop, "steps.package", "--as", "service,data")
    assert code == 5
    assert "service: cannot be made here: docker: no engine answers" in told
    assert "ci/setup/docker" in told
    assert not (shop.path / ".slipway" / "registry").exists()


def test_a_gate_that_did_not_pass_rejects(shop: Checkout) -> None:
    gate(shop, "rejected")
    try:
        code, told = step(shop, "steps.package")
    finally:
        gate(shop, "passed")
    assert code == 3
    assert "rejected: auc is worse" in told


def test_without_an_engine_the_rest_is_released_and_all_answer_alike(shop: Checkout) -> None:
    code, told = step(shop, "steps.package")
    assert code == 0
    assert "released shop@v1.0.0 as embedded, data; not service" in told
    report = json.loads((shop.path / "reports/shop/package.json").read_text())
    (said,) = [check["message"] for check in report["checks"] if check["name"] == "service"]
    assert said.startswith("docker: no engine")
    assert (shop.path / "dist/shop_model-1.0.0-py3-none-any.whl").is_file()

    code, told = step(shop, "steps.package")
    assert code == 0
    assert "already released as shop@v1.0.0" in told

    code, told = step(shop, "steps.ask")
    assert code == 0, told
    assert "all as when it was sealed" in told
    report = json.loads((shop.path / "reports/shop/ask.json").read_text())
    assert report["data"]["embedded"] == pytest.approx(report["data"]["data"], abs=1e-7)

    asked_of_others(shop)


def asked_of_others(shop: Checkout) -> None:
    """Other golden answers are another model's; a registry that is silent is no pass."""
    golden = shop.path / "artifacts" / "shop" / "golden.json"
    before = golden.read_text()
    document = json.loads(before)
    golden.write_text(json.dumps(document | {"outputs": [value + 0.01 for value in document["outputs"]]}))
    code, told = step(shop, "steps.ask")
    golden.write_text(before)
    assert code == 3
    assert "NOT all as when it was sealed" in told

    params = shop.path / "params.yaml"
    params.write_text(params.read_text() + "registry: {url: 'http://127.0.0.1:9', timeout_s: 2}\n")
    code, told = step(shop, "steps.ask")
    assert code == 5, told
