"""Debian's docker-registry on a free port of 127.0.0.1: open, behind a password, behind tokens, with TLS."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import http.server
import ipaddress
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK = "127.0.0.1"
USER, PASSWORD = "deploy", "Secret-Passw0rd"
SERVICE = "test-registry"


@dataclass
class Running:
    """A registry that runs; `ca` is the file to trust, `tokens` what its token server was asked for."""

    url: str
    ca: str | None = None
    tokens: list[dict[str, list[str]]] = field(default_factory=list)
    storage: Path = Path()

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc


@contextlib.contextmanager
def running(folder: Path, auth: str = "none", *, tls: bool = False, at: str = LOOPBACK) -> Iterator[Running]:
    """Start a registry with `auth` none, basic or token; skip where the program is missing, or `at` is not ours."""
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed (apt-get install docker-registry)")
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(3):  # a free port may be taken by somebody else meanwhile
        with contextlib.ExitStack() as stack:
            found = stack.enter_context(_running(folder, auth, tls, at, last=attempt == 2))
            if found is not None:
                yield found
                return


@contextlib.contextmanager
def _running(folder: Path, auth: str, tls: bool, at: str, *, last: bool) -> Iterator[Running | None]:
    port = _free_port(at)
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "storage")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"{at}:{port}", "secret": "of-a-test"},
    }
    found = Running(f"{'https' if tls else 'http'}://{at}:{port}", storage=folder / "storage")
    with contextlib.ExitStack() as stack:
        if tls:
            found.ca, chain, key = certificates(folder, at)
            config["http"]["tls"] = {"certificate": chain, "key": key}
        if auth == "basic":
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(_htpasswd(folder))}}
        if auth == "token":
            realm = stack.enter_context(_token_server(folder, found.tokens, at, (chain, key) if tls else None))
            config["auth"] = {
                "token": {
                    "realm": realm,
                    "service": SERVICE,
                    "issuer": "test",
                    "rootcertbundle": str(folder / "token.pem"),
                }
            }
        (folder / "config.yml").write_text(json.dumps(config))
        log = stack.enter_context((folder / "log").open("w"))
        process = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            started = _answers(found, process)
            if not started and last:
                raise AssertionError(f"docker-registry did not start: {(folder / 'log').read_text()[-2000:]}")
            yield found if started else None
        finally:
            process.terminate()
            process.wait(10)


def _answers(found: Running, process: subprocess.Popen[bytes]) -> bool:
    context = ssl.create_default_context(cafile=found.ca) if found.ca else None
    end = time.monotonic() + 15
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{found.url}/v2/", timeout=2, context=context):
                return process.poll() is None
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            time.sleep(0.05)
    return False


def _free_port(at: str) -> int:
    with socket.socket() as found:
        try:
            found.bind((at, 0))
        except OSError as error:
            pytest.skip(f"{at} is no address of this machine ({error.strerror})")
        return int(found.getsockname()[1])


def _htpasswd(folder: Path) -> Path:
    if not shutil.which("htpasswd"):
        pytest.skip("htpasswd is not installed (apt-get install apache2-utils)")
    done = subprocess.run(["htpasswd", "-Bbn", "-C", "4", USER, PASSWORD], capture_output=True, text=True, check=True)
    (folder / "htpasswd").write_text(done.stdout)
    return folder / "htpasswd"


def certificate(
    name: str, issuer: tuple[x509.Certificate, Any] | None = None, at: str = LOOPBACK
) -> tuple[x509.Certificate, Any]:
    """Make a certificate for an address, signed by itself (a CA) or by `issuer`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(at))]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer[1] if issuer else key).public_key()), False
        )
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return made, key


def certificates(folder: Path, at: str = LOOPBACK) -> tuple[str, str, str]:
    """Write a CA, a server certificate and its key; return the three paths."""
    ca = certificate("test CA")
    leaf = certificate(at, ca, at)
    paths = [folder / name for name in ("ca.pem", "server.pem", "server.key")]
    paths[0].write_bytes(ca[0].public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(leaf[0].public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(_private(leaf[1]))
    return str(paths[0]), str(paths[1]), str(paths[2])


def _private(key: Any) -> bytes:
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(pem, form, serialization.NoEncryption()))


@contextlib.contextmanager
def _token_server(
    folder: Path, asked: list[dict[str, list[str]]], at: str, tls: tuple[str, str] | None
) -> Iterator[str]:
    """Hand out JSON Web Tokens as the distribution project describes them, for the right name and password only."""
    made, key = certificate("token server")
    (folder / "token.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    chain = base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()
    wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked.append(query)
            good = self.headers.get("Authorization") == wanted
            body = json.dumps({"token": _jwt(query, chain, key), "expires_in": 60} if good else {}).encode()
            self.send_response(200 if good else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer((at, 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://{at}:{server.server_port}/token"
    finally:
        server.shutdown()
        server.server_close()


def _jwt(query: dict[str, list[str]], chain: str, key: Any) -> str:
    access = []
    for scope in query.get("scope", []):
        kind, name, actions = scope.split(":")
        access.append({"type": kind, "name": name, "actions": actions.split(",")})
    now = int(time.time())
    claims = {"iss": "test", "sub": USER, "aud": query["service"][0], "nbf": now - 5, "iat": now, "exp": now + 60}
    parts = [{"typ": "JWT", "alg": "ES256", "x5c": [chain]}, claims | {"jti": str(now), "access": access}]
    signed = ".".join(_b64(json.dumps(part).encode()) for part in parts)
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{_b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
