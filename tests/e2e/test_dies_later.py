"""
A server that dies two minutes after it was started, long after its release was promoted; on request, for it takes five.

Given v0.1.0 live and v0.2.0 promoted over it, whose servers die after two real minutes, each time that they are started,
when `steps.watch` looks every 40 seconds, as a schedule has it, while callers call,
then the release is taken back and marked bad, and not one request of the former release fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench.rollouts import Load
from ci.adapters import floors, keys, registry
from ci.adapters.envoy import binary
from ci.errors import BadInput
from ci.ledger.interface import By
from ci.model.bundles import Bundle
from ci.packaging import data, evidence
from ci.packaging.provenance import Made
from ci.shared import shared
from tests.releases import release
from tests.steps.checkout import ROOT, Checkout
from tests.steps.conftest import built, built_checkout, new_checkout  # noqa: F401  # fixtures

if TYPE_CHECKING:
    from collections.abc import Iterator

BUNDLE = Path("artifacts/shop")  # of the checkout in which one is
DIES_S, LOOKS_S, LONGEST_S = 120, 40, 900
PARAMS = """\
projects: [shop]
environments: [{{name: production, root: "{root}"}}]
watching: {{k: 2, n: 3}}
"""
MORTAL = "import os, sys, threading\nif '0.2.0' in sys.argv: threading.Timer({dies_s}, os._exit, [1]).start()\n"
LINEAGE = {"data": {"version": "d" * 64}, "params": "e" * 64, "code": {}}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("SLIPWAY_TEST_LONG"), reason="takes five minutes: SLIPWAY_TEST_LONG=1"),
]


@pytest.fixture
def checkout(built: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:  # noqa: F811
    try:
        binary()
    except BadInput as error:
        pytest.skip(str(error))
    (built.root / "serving").symlink_to(ROOT / "serving")
    (built.root / "params.yaml").write_text(PARAMS.format(root=tmp_path / "environments"))
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "params.yaml", "dvc.yaml", "projects"], ["commit", "-qm", "begin"]):
        subprocess.run(["git", *identity, *command], cwd=built.root, check=True)
    monkeypatch.chdir(built.root)
    yield built
    built.run("stop", "--env", "production")


def registered(version: str, champion: str | None) -> str:
    """Package and sign the bundle once more under a version; return its digest."""
    store, signer = registry.found(shared().registry), keys.signer(shared().signing, lambda _: None)
    packaged, digest = data.push(store, "slipway/shop", BUNDLE), Bundle(BUNDLE).digest
    evidence.publish(store, {"data": packaged}, Made("shop", version, digest, "b" * 64, LINEAGE), b"{}", signer)
    gate = {"outcome": "passed", "report": "f" * 64, "champion": champion}
    record = release(version, project="shop", bundle=digest, packagings={"data": packaged}, key=signer.fingerprint, gate=gate)  # fmt: skip
    floors.ledger(shared()).register(record, By("ci"))
    return digest


def step(checkout: Checkout, name: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    ended = checkout.run(name, *arguments)
    assert "Traceback" not in ended.err, ended.err
    return ended.code, checkout.report(name)


def test_a_server_that_dies_after_two_minutes_is_taken_back_by_the_watch(checkout: Checkout, tmp_path: Path) -> None:
    first = registered("0.1.0", None)
    assert step(checkout, "deploy", "--env", "production", "--release", "v0.1.0")[0] == 0
    (program,) = (tmp_path / "environments/servers").glob("*/serving/__main__.py")
    program.write_text(
        program.read_text().replace("if __name__ ==", MORTAL.format(dies_s=DIES_S) + "if __name__ ==", 1)
    )
    registered("0.2.0", first)
    door = json.loads((tmp_path / "environments/shop/production/state.json").read_text())["door"]
    row = json.dumps(json.loads((checkout.root / "artifacts/shop/golden.json").read_text())["rows"][0]).encode()
    with Load(f"http://127.0.0.1:{door}", row, callers=2, pause_s=0.05) as seen:
        code, told = step(checkout, "deploy", "--env", "production", "--release", "v0.2.0")
        assert code == 0, told["message"]
        began, looks = time.monotonic(), []
        while not looks or (looks[-1][1] != 6 and time.monotonic() - began < LONGEST_S):
            code, told = step(checkout, "watch", "--env", "production", "--actor", "watch")
            looks.append((round(time.monotonic() - began), code))
            time.sleep(0 if code == 6 else LOOKS_S)
        back = sum(seen.versions.values())
        time.sleep(2)
    print(f"looks (seconds after the promotion, code): {looks}; {seen.sent} requests, {len(seen.failures)} of v0.2.0 failed"
          f" ({sorted(set(seen.failures))}), {seen.sent - back} after the way back")  # fmt: skip
    assert [code for at, code in looks if at < DIES_S - LOOKS_S] == [0] * sum(at < DIES_S - LOOKS_S for at, _ in looks)
    assert (looks[0][1], looks[-1][1]) == (0, 6)
    assert looks[-1][0] > DIES_S, "two real minutes"
    assert "its servers ended by themselves" in told["message"] or "example row" in told["message"]
    assert seen.faults_of("shop@0.1.0") == 0
    assert len(seen.failures) < seen.sent / 20
    history = floors.ledger(shared()).history("shop").trusted()
    assert (history.live("production").version, bool(history.bad("0.2.0"))) == ("0.1.0", True)
    assert seen.last["shop@0.1.0"] > seen.last["shop@0.2.0"], "callers get the former release"
