"""Hot swaps out of real registries: under load nothing is lost, and what nobody trusted has signed is not taken."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ci.adapters.registry import HttpRegistry, LayoutRegistry
from ci.packaging import evidence
from ci.packaging.interface import STATEMENT
from ci.packaging.oci import digest_of, parts
from ci.packaging.signing import Signer, enveloped
from serving import bundle
from tests.integration import registry as registries
from tests.integration.serving.conftest import ROOT, running
from tests.integration.serving.released import Shelf
from tests.integration.serving.test_swaps import ask, client
from tests.unit.serving import bundles

ROW, LOAD = bundles.ROW, "/v2/repository/models/flights/load"
SWAPS, CLIENTS = 12, 4  # bench/swaps.py does fifty, under more


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # lock files


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    with registries.running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(params=["layout", "http"])
def shelf(request, tmp_path):
    """A repository of its own, in a folder or behind HTTP."""
    name = f"slipway/flights-{abs(hash(request.node.name))}"
    if request.param == "layout":
        return Shelf(LayoutRegistry(tmp_path / "r"), f"oci-layout://{tmp_path / 'r'}:{name}:live", name)
    found = request.getfixturevalue("http")
    return Shelf(HttpRegistry(found.url, timeout_s=20), f"oci+http://{found.host}/{name}:live", name)


@pytest.fixture
def live(shelf, made, tmp_path):
    """A shelf with both bundles pushed and signed, the first of them live; and the options to serve it."""
    packaged = [shelf.push(folder) for folder in made]
    for number, (found, folder) in enumerate(zip(packaged, made, strict=True)):
        shelf.sign(found, bundle.read(folder).digest, f"1.{number}.0")
    shelf.tag(packaged[0])
    return shelf, packaged, ["--trusted-keys", shelf.key_file(tmp_path), "--admin-loopback"]


def test_swaps_under_load_lose_nothing(live, made):
    shelf, packaged, options = live
    digests = [bundle.read(folder).digest[:12] for folder in made]
    scores = {digest: bundles.predict(bundles.graph(seed), [ROW])[0] for seed, digest in enumerate(digests)}
    answers: list[tuple[int, str, bytes]] = []

    async def scenario(port: int) -> None:
        stop = asyncio.Event()
        clients = [asyncio.create_task(client(port, stop, answers)) for _ in range(CLIENTS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(1, SWAPS + 1):
            await asyncio.to_thread(shelf.tag, packaged[number % 2])
            status, _, content = await ask(reader, writer, "POST", LOAD)
            assert (status, json.loads(content)["outcome"]) == (200, "swapped"), content
        stop.set()
        writer.close()
        await asyncio.gather(*clients)

    with running(shelf.uri, *options) as server:
        asyncio.run(scenario(server.port))
        assert server.end() == 0
        assert not [line for line in server.lines if line["level"] == "error"]
    versions = dict(zip(digests, ["1.0.0", "1.1.0"], strict=True))
    assert len(answers) > 100
    for status, release, content in answers:
        document = json.loads(content)
        digest = document["bundle"].removeprefix("sha256:")
        assert (status, document["version"]) == (200, versions[digest])  # the version is the one that was signed
        assert release == f"flights@{versions[digest]}; bundle=sha256:{digest}"
        assert document["predictions"][0] == pytest.approx(scores[digest], abs=1e-6)
    assert {json.loads(content)["bundle"][7:] for _, _, content in answers} == set(digests)


def unsigned(shelf, folder, tmp_path):
    shelf.tag(shelf.push(folder))


def wrong_key(shelf, folder, tmp_path):
    found = shelf.push(folder)
    shelf.sign(found, bundle.read(folder).digest, signer=Signer(Ed25519PrivateKey.generate()))
    shelf.tag(found)


def tampered_statement(shelf, folder, tmp_path):
    """A statement that was altered after a trusted key had signed it."""
    found = shelf.push(folder)
    document = json.loads(enveloped(STATEMENT, b'{"honest": true}', shelf.signer))
    document["payload"] = "eyJmb3JnZWQiOiB0cnVlfQ=="
    evidence.attach(shelf.registry, shelf.repository, found.digest, STATEMENT, json.dumps(document).encode())
    shelf.tag(found)


def of_another_subject(shelf, folder, tmp_path):
    """An honest statement about the live bundle, hung on another one."""
    found = shelf.push(folder)
    of_live = shelf.registry.resolve(shelf.repository, "live")
    referrer = next(d for d, kind in shelf.registry.referrers(shelf.repository, of_live) if kind == STATEMENT)
    raw = shelf.registry.pull_manifest(shelf.repository, referrer).raw
    layer = parts(raw, "").document["layers"][0]
    envelope = shelf.registry.pull_blob(shelf.repository, layer["digest"], layer["size"])
    evidence.attach(shelf.registry, shelf.repository, found.digest, STATEMENT, envelope)
    shelf.tag(found)


def of_another_bundle(shelf, folder, tmp_path):
    found = shelf.push(folder)
    shelf.sign(found, "0" * 64)
    shelf.tag(found)


def signed_and_tagged(shelf, folder):
    found = shelf.push(folder)
    shelf.sign(found, bundle.read(folder).digest)
    shelf.tag(found)


def non_matching(shelf, folder, tmp_path):
    """A bundle whose callers would have to send something else."""
    inputs = [{**item, "maximum": 9000} if item["name"] == "distance" else item for item in bundles.INPUTS]
    signed_and_tagged(shelf, bundles.write(tmp_path / "narrow", seed=1, inputs=inputs))


def wrong_answers(shelf, folder, tmp_path):
    signed_and_tagged(shelf, bundles.write(tmp_path / "wrong", seed=1, outputs=[0.5] * 20))


def corrupt(shelf, folder, tmp_path):
    """The bytes of the model changed where they lie."""
    signed_and_tagged(shelf, folder)
    wanted = digest_of((folder / "model.onnx").read_bytes())[7:]
    for path in corrupt.where.rglob(f"{wanted}*"):  # type: ignore[attr-defined]
        file = path / "data" if path.is_dir() else path
        if file.is_file():
            file.write_bytes(b"x" * file.stat().st_size)


def no_bundle(shelf, folder, tmp_path):
    found = evidence.attach(shelf.registry, shelf.repository, shelf.push(folder).digest, "text/plain", b"x")
    shelf.registry.copy(shelf.repository, shelf.repository, found, ["live"])


@pytest.fixture(scope="module", params=["layout", "http"])
def served(request, made, tmp_path_factory, http):
    """A server of a signed bundle, for all the others that it must not take; and where their bytes lie."""
    folder = tmp_path_factory.mktemp("served")
    if request.param == "layout":
        shelf = Shelf(LayoutRegistry(folder / "r"), f"oci-layout://{folder / 'r'}:slipway/flights:live")
    else:
        shelf = Shelf(HttpRegistry(http.url, timeout_s=20), f"oci+http://{http.host}/slipway/flights:live")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        signed_and_tagged(shelf, made[0])
    with running(shelf.uri, "--trusted-keys", shelf.key_file(folder), "--admin-loopback") as server:
        yield server, shelf, http.storage if request.param == "http" else folder / "r"
        assert server.end() == 0


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (unsigned, "unsigned", "nothing that was signed refers to it"),
        (wrong_key, "signature", "no trusted key has signed this"),
        (tampered_statement, "signature", "no trusted key has signed this"),
        (of_another_subject, "signature", "the statement is about other things"),
        (of_another_bundle, "signature", "signed for 000000000000"),
        (non_matching, "incompatible", "distance has a narrower range"),
        (wrong_answers, "golden", "the bundle says 0.5"),
        (corrupt, "digest", "wanted sha256:"),
        (no_bundle, "format", "not a model bundle"),
    ],
)
def test_what_must_not_be_taken_is_refused_by_name(served, made, tmp_path, spoil, reason, words):
    server, shelf, corrupt.where = served  # type: ignore[attr-defined]
    other = bundles.write(tmp_path / "other", seed=3 if spoil is corrupt else 2)
    (other / "MODEL_CARD.md").write_text(f"# {spoil.__name__}\n")  # so that each case has a bundle of its own
    bundles.seal(other)
    before = server.ask("POST", "/predict", ROW)[1]
    live = shelf.registry.resolve(shelf.repository, "live")
    spoil(shelf, other, tmp_path)
    status, answer = server.ask("POST", LOAD)
    assert (status, reason in answer["detail"], words in answer["detail"]) == (409, True, True), answer
    after = server.ask("POST", "/predict", ROW)[1]
    assert {**after, "request_id": ""} == {**before, "request_id": ""}
    assert f'slipway_swaps_total{{outcome="refused",reason="{reason}"}}' in server.ask("GET", "/metrics")[1]
    shelf.registry.copy(shelf.repository, shelf.repository, live, ["live"])
    assert server.ask("POST", LOAD)[1]["outcome"] == "unchanged"


def test_polling_takes_a_bundle_once_it_is_signed(live, made, tmp_path):
    shelf, packaged, options = live
    other = bundles.write(tmp_path / "other", seed=2)
    with running(shelf.uri, *options, "--poll-s", "0.1") as server:
        server.wait_for("bundle swapped")
        found = shelf.push(other, "live")
        assert server.wait_for("bundle refused")["reason"] == "unsigned"
        time.sleep(0.5)
        assert sum(line["event"] == "bundle refused" for line in server.lines) == 1
        shelf.sign(found, bundle.read(other).digest, "2.0.0")
        server.wait_for("bundle swapped")
        assert server.ask("POST", "/predict", ROW)[1]["version"] == "2.0.0"
        shelf.tag(packaged[1])
        server.wait_for("bundle swapped")
        server.signal(signal.SIGHUP)
        server.wait_for("bundle unchanged")
        assert server.ask("POST", "/predict", ROW)[1]["version"] == "1.1.0"


def test_a_registry_that_is_away_for_a_while(tmp_path, made):
    """Polling outlives it, the old model goes on, and what is new is found afterwards."""
    with registries.running(tmp_path / "r") as found:
        shelf = Shelf(HttpRegistry(found.url, timeout_s=20), f"oci+http://{found.host}/slipway/flights:live")
        signed_and_tagged(shelf, made[0])
        options = ("--trusted-keys", shelf.key_file(tmp_path), "--poll-s", "0.1", "--admin-loopback")
        server = stack = running(shelf.uri, *options)
        server = stack.__enter__()
    try:
        time.sleep(0.3)
        assert server.ask("POST", "/predict", ROW)[0] == 200
        assert "unreachable" in server.ask("POST", LOAD)[1]["detail"]
        assert server.ask("GET", "/v2/health/ready")[0] == 200
    finally:
        stack.__exit__(None, None, None)


@pytest.mark.parametrize(("auth", "tls"), [("basic", True), ("token", False)])
def test_credentials_and_a_ca_of_ones_own(tmp_path, made, auth, tls):
    with registries.running(tmp_path / "r", auth, tls=tls) as found:
        registry = HttpRegistry(found.url, login=(registries.USER, registries.PASSWORD), ca=found.ca, timeout_s=20)
        shelf = Shelf(registry, f"oci{'' if tls else '+http'}://{found.host}/slipway/flights:live")
        signed_and_tagged(shelf, made[0])
        (tmp_path / "login").write_text(f"{registries.USER}:{registries.PASSWORD}\n")
        options = ["--trusted-keys", shelf.key_file(tmp_path), "--cache", str(tmp_path / "cache")]
        options += ["--registry-ca", found.ca] if tls else []
        with running(shelf.uri, *options, "--registry-login-file", str(tmp_path / "login")) as server:
            assert server.ask("POST", "/predict", ROW)[1]["version"] == "1.0.0"
            assert registries.PASSWORD not in json.dumps(server.lines)
        kept = list((tmp_path / "cache").iterdir())
        assert {digest_of(path.read_bytes())[7:] for path in kept} == {path.name for path in kept}
        assert len(kept) > len(list(made[0].iterdir()))
        done = serve(shelf.uri, *options, env={"SLIPWAY_SERVING_REGISTRY_LOGIN": "deploy:wrong"})
        assert done.returncode == 2
        assert "unreachable" in done.stderr
        assert "wrong" not in done.stderr.replace("went wrong", "")


def serve(uri: str, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving", "--model", uri, "--port", "0", *options],
        capture_output=True, text=True, cwd=ROOT, timeout=30, check=False, env={"PATH": "/usr/bin", **(env or {})},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "options", "words"),
    [
        ("oci://localhost/a", [], "--trusted-keys: missing"),
        ("oci://localhost/a", ["--trusted-keys", "/none"], "--trusted-keys: /none: No such file"),
        ("oci://localhost/A", ["--allow-unsigned"], "--model: oci://localhost/A: not oci://HOST"),
        ("oci://user:secret@localhost/a", ["--allow-unsigned"], "--model"),
        ("oci-layout://relative:a", ["--allow-unsigned"], "--model"),
        ("oci-layout:///none:a/b:1", ["--allow-unsigned"], "/none/a/b: No such file"),
        ("oci+http://127.0.0.1:1/a", ["--allow-unsigned"], "ConnectionRefusedError"),
    ],
)
def test_what_cannot_start_ends_with_2_and_says_why(uri, options, words):
    done = serve(uri, *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_keys_a_server_may_be_told_to_take_anything(shelf, made):
    shelf.push(made[0], "live")
    with running(shelf.uri, "--allow-unsigned") as server:
        assert server.ask("POST", "/predict", ROW)[0] == 200


def test_by_digest_out_of_a_folder_with_odd_letters(made, tmp_path):
    registry = LayoutRegistry(tmp_path / "a b:c")
    shelf = Shelf(registry, "")
    found = shelf.push(made[0])
    shelf.sign(found, bundle.read(made[0]).digest)
    place = str(tmp_path / "a b:c").replace(" ", "%20")
    uri = f"oci-layout://{place}:{shelf.repository}@{found.digest}"
    with running(uri, "--trusted-keys", shelf.key_file(tmp_path)) as server:
        assert server.ask("POST", "/predict", ROW)[1]["version"] == "1.0.0"
