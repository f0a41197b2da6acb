"""Real servers, real requests, real Prometheus: what `steps.verify` says of a good release and of bad ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters.monitoring.looking import verifier
from ci.errors import Unavailable
from ci.files import read_json, sha256
from ci.params_verification import Http, Rule, Verification
from ci.releases.record import Packaged, Release
from ci.rollout.interface import Answer, Arm, Question, Verdict
from ci.verification.verify import replay

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = ROOT / "artifacts" / "flights"
QUICK = {"window_s": 0.5, "lag_s": 0.1, "stale_s": 1.2, "deadline_s": 20.0, "patience_s": 2.0}

pytestmark = pytest.mark.skipif(not (BUNDLE / "manifest.json").exists(), reason="no bundle: run make run first")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(15)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{url} never answered")


@contextmanager
def server(version: str) -> Iterator[str]:
    port = free_port()
    options = ["--model", str(BUNDLE), "--port", str(port), "--release-version", version, "--log-level", "error"]
    with process(sys.executable, "-m", "serving", *options):
        wait_for(f"http://127.0.0.1:{port}/v2/health/ready")
        yield f"127.0.0.1:{port}"


@contextmanager
def load(*addresses: str, broken: str = "", every_s: float = 0.004) -> Iterator[None]:
    """Send golden rows to each address in turn; to `broken`, one request in ten that is refused."""
    rows = [json.dumps(row).encode() for row in read_json(BUNDLE / "golden.json")["rows"]]
    stop = threading.Event()

    def send() -> None:
        place = 0
        while not stop.wait(every_s):
            place += 1
            for address in addresses:
                body = b'{"no": 1}' if address == broken and place % 10 == 0 else rows[place % len(rows)]
                headers = {"Content-Type": "application/json"}
                request = urllib.request.Request(f"http://{address}/predict", body, headers)
                with suppress(OSError):
                    urllib.request.urlopen(request, timeout=2).read()

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)


def arm(version: str, address: str) -> Arm:
    nobody = Packaged(repository="x", digest="sha256:" + "0" * 64, size=0)
    digest = sha256(BUNDLE / "manifest.json")
    release = Release(project="flights", version=version, bundle=digest, data_version="x", recipe="0" * 64,
                      packagings={"data": nobody}, key="x")  # fmt: skip
    return Arm(release, f"flights-v{version}", [address])


def question(good: str, new: str) -> Question:
    since = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    return Question("flights", "here", arm("1.1.0", new), arm("1.0.0", good), 50, since, "", f"http://{new}")


def policy(**changes: Any) -> Verification:
    loose = {"errors": Rule(negligible=0.02), "slow": Rule(negligible=0.3, critical=False)}
    return Verification.model_validate({**QUICK, "slo_ms": 50, "metrics": loose, **changes})


def look(asked: Question, rules: Verification, folder: Path) -> tuple[Verdict, list[str]]:
    said: list[str] = []
    return verifier(rules, said.append, [BUNDLE], folder).verify(asked), said


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[str, str]]:
    with server("1.0.0") as good, server("1.1.0") as new:
        yield good, new


def test_equal_release_is_not_worse_and_its_evidence_replays(two: tuple[str, str], tmp_path: Path) -> None:
    with load(*two):
        verdict, _ = look(question(*two), policy(), tmp_path)
    assert verdict.answer is Answer.NOT_WORSE, verdict.message
    golden = next(check for check in verdict.checks if check.name == "golden rows")
    assert golden.outcome == "passed"
    ((path, digest),) = verdict.evidence.items()
    assert sha256(Path(path)) == digest
    judged, _ = replay(read_json(Path(path)), path)
    assert (judged.answer, judged.message) == (verdict.answer, verdict.message)


def test_release_that_refuses_what_the_other_takes_is_worse(two: tuple[str, str], tmp_path: Path) -> None:
    with load(*two, broken=two[1]):
        verdict, _ = look(question(*two), policy(), tmp_path)
    assert verdict.answer is Answer.WORSE, verdict.message
    assert verdict.message.startswith("worse in refused")


def test_without_traffic_there_is_never_a_pass(two: tuple[str, str], tmp_path: Path) -> None:
    verdict, _ = look(question(*two), policy(deadline_s=3.0), tmp_path)
    assert verdict.answer is Answer.NOT_ENOUGH
    assert verdict.checks


def test_another_version_than_intended_is_not_accepted(two: tuple[str, str], tmp_path: Path) -> None:
    good, new = two
    asked = Question("flights", "here", arm("1.2.0", new), arm("1.0.0", good), 50, "2026-01-01T00:00:00+00:00", "", "")
    verdict, _ = look(asked, policy(), tmp_path)
    assert verdict.answer is Answer.WORSE
    assert "serves 1.1.0" in verdict.message


def test_silent_server_is_unavailable_not_well(two: tuple[str, str], tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    asked = question(*two)
    rules = policy(source="prometheus", prometheus=Http(url=f"http://{nobody}", tries=1, timeout_s=1))
    with pytest.raises(Unavailable, match="cannot be reached"):
        look(asked, rules, tmp_path)


@contextmanager
def prometheus(folder: Path, *targets: str, jobs: int = 1, port: int = 0) -> Iterator[str]:
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed")
    port, file = port or free_port(), folder / "prometheus.yml"
    listed = [{"targets": list(targets)}]
    scrapes = [{"job_name": f"job{n}", "static_configs": listed} for n in range(jobs)]
    file.write_text(
        json.dumps({"global": {"scrape_interval": "500ms", "scrape_timeout": "400ms"}, "scrape_configs": scrapes})
    )
    command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with process(*command, f"--web.listen-address=127.0.0.1:{port}"):
        wait_for(f"http://127.0.0.1:{port}/-/ready")
        yield f"http://127.0.0.1:{port}"


def of_prometheus(url: str, **changes: Any) -> Verification:
    http = Http(url=url, tries=2, timeout_s=2)
    return policy(source="prometheus", prometheus=http, lag_s=0.7, stale_s=2.0, **changes)


def test_prometheus_tells_good_from_bad(two: tuple[str, str], tmp_path: Path) -> None:
    with prometheus(tmp_path, *two) as url, ExitStack() as stack:
        stack.enter_context(load(*two))
        good, _ = look(question(*two), of_prometheus(url), tmp_path)
        stack.close()
        assert good.answer is Answer.NOT_WORSE, good.message
        stack.enter_context(load(*two, broken=two[1]))
        bad, _ = look(question(*two), of_prometheus(url), tmp_path)
        assert bad.answer is Answer.WORSE, bad.message


def test_duplicate_series_make_it_invalid(two: tuple[str, str], tmp_path: Path) -> None:
    with prometheus(tmp_path, *two, jobs=2) as url, load(*two):
        time.sleep(1.5)
        verdict, _ = look(question(*two), of_prometheus(url), tmp_path)
    assert verdict.answer is Answer.INVALID
    assert "duplicate series" in verdict.message


def test_empty_vectors_and_misspelt_metrics_are_never_a_pass(two: tuple[str, str], tmp_path: Path) -> None:
    rule = Rule(bad='nothing_total{version="$version"}', total='nothing_total{version="$version"}')
    with prometheus(tmp_path, *two) as url, load(*two):
        rules = of_prometheus(url, standard=[], metrics={"mine": rule}, deadline_s=3.0)
        verdict, _ = look(question(*two), rules, tmp_path)
    assert verdict.answer is Answer.NOT_ENOUGH
    assert "no data" in verdict.message


def test_prometheus_that_dies_half_way_is_unavailable(two: tuple[str, str], tmp_path: Path) -> None:
    rules = of_prometheus("http://127.0.0.1:1").model_copy(update={"deadline_s": 30.0})
    with load(*two, every_s=0.05), ExitStack() as stack:
        url = stack.enter_context(prometheus(tmp_path, *two))
        rules = rules.model_copy(update={"prometheus": Http(url=url, tries=1, timeout_s=1)})
        threading.Timer(2.5, stack.close).start()
        tight = rules.model_copy(update={"metrics": {"errors": Rule(negligible=0.0001)}})
        with pytest.raises(Unavailable):
            look(question(*two), tight, tmp_path)


def test_prometheus_that_is_restarted_half_way_costs_windows_and_no_verdict(
    two: tuple[str, str], tmp_path: Path
) -> None:
    port, said = free_port(), list[str]()
    rules = of_prometheus(f"http://127.0.0.1:{port}", patience_s=15.0, deadline_s=60.0)
    rules = rules.model_copy(update={"metrics": {"errors": Rule(negligible=0.002)}, "standard": ["errors"]})
    with load(*two), ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        first.enter_context(prometheus(tmp_path, *two, port=port))

        def restart() -> None:
            first.close()
            time.sleep(4)  # longer than the door to it tries again by itself
            stack.enter_context(prometheus(tmp_path, *two, port=port))

        thread = threading.Timer(1.5, restart)
        thread.start()
        watch = verifier(rules, said.append, [BUNDLE], tmp_path)
        verdict = watch.verify(question(*two))
        thread.join()
    assert verdict.answer is Answer.NOT_WORSE, verdict.message
    assert any("asked again for" in line for line in said)
    assert watch.looking.evidence["unusable_windows"]["errors"] > 0


def test_prometheus_whose_clock_is_wrong_is_not_believed(
    two: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = SimpleNamespace(time=lambda: time.time() - 60, monotonic=time.monotonic, sleep=time.sleep)
    with prometheus(tmp_path, *two) as url, load(*two):
        monkeypatch.setattr("ci.adapters.monitoring.http.time", late)
        verdict, _ = look(question(*two), of_prometheus(url), tmp_path)
    assert verdict.answer is Answer.INVALID
    assert re.match(r"prometheus: its clock is \d+ s ahead of ours", verdict.message)


def step(*options: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "steps.verify", "--project", "flights", *options]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return ended.returncode, ended.stderr


def as_option(version: str, address: str) -> str:
    return f"{version}@{sha256(BUNDLE / 'manifest.json')}={address}"


def test_step_ends_with_4_without_traffic_and_its_evidence_replays_to_4(two: tuple[str, str]) -> None:
    code, said = step(
        "--candidate", as_option("1.1.0", two[1]), "--baseline", as_option("1.0.0", two[0]), "--deadline-s", "1"
    )
    assert code == 4, said
    (path,) = read_json(ROOT / "reports/flights/verify.json")["outputs"]
    assert step("--replay", path)[0] == 4


def test_step_ends_with_0_for_evidence_of_a_good_release_and_3_for_a_dead_one(
    two: tuple[str, str], tmp_path: Path
) -> None:
    with load(*two):
        verdict, _ = look(question(*two), policy(), tmp_path)
    code, said = step("--replay", next(iter(verdict.evidence)))
    assert code == 0, said
    code, said = step("--candidate", as_option("1.1.0", f"127.0.0.1:{free_port()}"))
    assert code == 3
    assert "does not answer" in said


def test_step_ends_with_2_for_altered_evidence_and_5_for_a_silent_door(two: tuple[str, str], tmp_path: Path) -> None:
    verdict, _ = look(question(*two), policy(deadline_s=0.5), tmp_path)
    document = read_json(Path(next(iter(verdict.evidence))))
    document["verdict"]["answer"] = "not worse"
    (tmp_path / "altered.json").write_text(json.dumps(document))
    code, said = step("--replay", str(tmp_path / "altered.json"))
    assert code == 2
    assert "but its windows say" in said
    door = f"http://127.0.0.1:{free_port()}"
    code, said = step("--candidate", as_option("1.1.0", two[1]), "--door", door)
    assert code == 5, said


def test_synthetic_requests_are_counted_apart(two: tuple[str, str]) -> None:
    row = json.dumps(read_json(BUNDLE / "golden.json")["rows"][0]).encode()
    headers = {"Content-Type": "application/json", "x-slipway-synthetic": "1"}
    urllib.request.urlopen(urllib.request.Request(f"http://{two[0]}/predict", row, headers), timeout=5).read()
    page = urllib.request.urlopen(f"http://{two[0]}/metrics", timeout=5).read().decode()
    assert 'version="1.0.0"' in next(x for x in page.splitlines() if x.startswith("slipway_synthetic_requests_total{"))
