"""Registries in trouble, or with something in mind: slow, busy, lying, and asking for passwords."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ci.adapters.registry import HttpRegistry, LayoutRegistry, found
from ci.errors import BadInput, Unavailable
from ci.packaging.interface import MANIFEST
from ci.packaging.oci import EMPTY_BLOB, artifact, digest_of
from ci.params_packaging import Registry as Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOGIN = ("deploy", "Secret-Passw0rd")
DIGEST = digest_of(b"x")


class Fake:
    """A server whose answers a test gives: (status, headers, body) for each request."""

    def __init__(self, answer: Callable[[Any], tuple[int, dict[str, str], bytes]]) -> None:
        self.seen: list[tuple[str, str, str]] = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                fake.seen.append((self.command, self.path, self.headers.get("Authorization", "")))
                status, headers, body = answer(self)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    with contextlib.suppress(OSError):
                        self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def fake() -> Iterator[Callable[..., Fake]]:
    made: list[Fake] = []

    def make(answer: Any) -> Fake:
        made.append(Fake(answer))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


def test_what_may_be_repeated_is_and_what_may_not_is_not(fake):
    busy = [503, 429, 200]

    def answer(request):
        if request.command == "POST":
            return 503, {}, b""
        return (busy.pop(0) if busy else 200), {"Retry-After": "0"}, b"x"

    server = fake(answer)
    registry = HttpRegistry(server.url)
    assert registry.pull_blob("a", DIGEST, 10) == b"x"
    assert len(server.seen) == 3
    with pytest.raises(Unavailable, match="503"):
        registry._wire.expect(registry._ask("POST", "a", "blobs/uploads/", "push", repeat=False), {202}, "upload")
    assert [seen[0] for seen in server.seen].count("POST") == 1


def test_a_registry_that_stays_busy_is_unavailable(fake):
    server = fake(lambda _: (502, {}, b'{"errors": [{"code": "BUSY", "message": "come back"}]}'))
    with pytest.raises(Unavailable, match="502 BUSY: come back"):
        HttpRegistry(server.url).pull_blob("a", DIGEST, 10)
    assert len(server.seen) == 4


def test_nobody_there_is_unavailable():
    with pytest.raises(Unavailable, match="does not answer"):
        HttpRegistry("http://127.0.0.1:1", timeout_s=2).resolve("a", "b")


def test_a_silent_registry_is_unavailable(fake):
    server = fake(lambda _: time.sleep(1.5) or (200, {}, b""))  # type: ignore[func-returns-value]
    registry = HttpRegistry(server.url, timeout_s=0.3)
    with pytest.raises(Unavailable, match="in time"):
        registry._wire.ask("GET", "/v2/", "", repeat=False)


def test_lies_are_refused(fake):
    big = fake(lambda _: (200, {"Content-Type": MANIFEST}, b" " * (5 << 20)))
    with pytest.raises(BadInput, match="larger than"):
        HttpRegistry(big.url).pull_manifest("a", "tag")
    other = fake(lambda _: (200, {"Content-Type": MANIFEST, "Docker-Content-Digest": DIGEST}, b"other"))
    for reference in (DIGEST, "tag"):
        with pytest.raises(BadInput, match="wanted sha256"):
            HttpRegistry(other.url).pull_manifest("a", reference)
    old = fake(lambda _: (200, {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}, b"{}"))
    with pytest.raises(BadInput, match="not a manifest"):
        HttpRegistry(old.url).pull_manifest("a", "tag")


def test_a_registry_with_the_referrers_api_is_asked_by_it(fake):
    listed = {"schemaVersion": 2, "manifests": [{"digest": DIGEST, "size": 1, "artifactType": "a/b"}]}
    kind = {"Content-Type": "application/vnd.oci.image.index.v1+json"}

    def answer(request):
        if "/referrers/" in request.path:
            return 200, kind, json.dumps(listed).encode()
        return (201, {"OCI-Subject": DIGEST}, b"") if request.command == "PUT" else (404, {}, b"")

    server = fake(answer)
    registry = HttpRegistry(server.url)
    assert list(registry.referrers("a", DIGEST)) == [(DIGEST, "a/b")]
    subject = {"mediaType": MANIFEST, "digest": DIGEST, "size": 1}
    registry.push_manifest("a", artifact("a/b", [], {}, subject), MANIFEST)
    assert not [path for _, path, _ in server.seen if "sha256-" in path]  # no list is kept beside the API's


def test_a_password_goes_to_the_registry_alone(fake):
    elsewhere = fake(lambda _: (200, {}, b"x"))

    def answer(request):
        if not request.headers.get("Authorization"):
            return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
        return 307, {"Location": f"{elsewhere.url.replace('127.0.0.1', 'localhost')}/blob"}, b""

    server = fake(answer)
    assert HttpRegistry(server.url, login=LOGIN).pull_blob("a", DIGEST, 10) == b"x"
    assert [header for *_, header in elsewhere.seen] == [""]
    assert server.seen[-1][2].startswith("Basic ")


@pytest.mark.parametrize(
    "challenge", ['Basic realm="x"', 'Bearer realm="{url}/token",service="s"', "Bearer", "Negotiate", ""]
)
def test_a_wrong_password_is_named_but_not_shown(fake, challenge):
    def answer(request):
        url = f"http://127.0.0.1:{request.server.server_port}"
        said = b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}'
        return 401, {"WWW-Authenticate": challenge.format(url=url)}, said

    server = fake(answer)
    with pytest.raises(BadInput) as caught:
        HttpRegistry(server.url, login=LOGIN).pull_blob("a", DIGEST, 10)
    assert LOGIN[1] not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert len(server.seen) < 6


def test_a_token_is_kept_as_long_as_it_lives(fake):
    def answer(request):
        if request.path.startswith("/token"):
            return 200, {}, b'{"access_token": "T", "expires_in": 300}'
        if request.headers.get("Authorization") == "Bearer T":
            return 200, {}, b"x"
        realm = f"http://127.0.0.1:{request.server.server_port}/token"
        return 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s",scope="ignored"'}, b""

    server = fake(answer)
    registry = HttpRegistry(server.url)
    for _ in range(3):
        registry.pull_blob("a/b", DIGEST, 10)
    assert sum("/token" in path for _, path, _ in server.seen) == 1
    assert any("scope=repository%3Aa%2Fb%3Apull" in path for _, path, _ in server.seen)


def test_what_params_say_is_checked_before_anything_is_asked(tmp_path):
    settings = Settings(url="https://registry.example.org", username_env="U", password_env="P")
    with pytest.raises(BadInput, match="U: not set"):
        found(settings, {})
    with pytest.raises(BadInput, match="P: not set"):
        found(settings, {"U": "x", "P": ""})
    with pytest.raises(BadInput, match=r"registry\.ca: .*none: no such file"):
        found(Settings(url="https://registry.example.org", ca=str(tmp_path / "none")), {})
    assert isinstance(found(Settings(layout=str(tmp_path))), LayoutRegistry)
    assert not list(tmp_path.iterdir())


def test_certificates_that_nobody_knows_are_not_trusted(tmp_path):
    from tests.integration import registry as registries

    with registries.running(tmp_path / "r", tls=True) as running:
        with pytest.raises(BadInput, match="not trusted") as caught:
            HttpRegistry(running.url, timeout_s=10).resolve("a", "b")
        assert "registry.ca" in caught.value.hint
        registry = HttpRegistry(running.url, ca=running.ca, timeout_s=10)
        assert registry.push_blob("a", EMPTY_BLOB) == digest_of(EMPTY_BLOB)
