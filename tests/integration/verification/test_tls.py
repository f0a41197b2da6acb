"""A real Prometheus behind TLS and a password, with a certificate of the test's own: who asks proves that, and never tells it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ci.adapters.monitoring.prometheus import Prometheus
from ci.errors import BadInput, StepError, Unavailable
from ci.params_verification import Http
from ci.verification.interface import CANARY, Query, Reading, Selector

PASSWORD = "c0rrect-horse"  # noqa: S105 # of a server that lives for ten seconds


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, plain))
    return cert, secret


@dataclass
class Guarded:
    url: str
    ca: Path
    other: Path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Start Debian's Prometheus, which scrapes nothing but itself, behind TLS and basic authentication."""
    for tool in ("prometheus", "htpasswd"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = certificate(folder, "here")
    hashed = subprocess.run(
        ["htpasswd", "-inBC", "4", "ci"], input=PASSWORD, capture_output=True, text=True, check=True
    )
    web = {"tls_server_config": {"cert_file": str(cert), "key_file": str(key)},
           "basic_auth_users": {"ci": hashed.stdout.strip().partition(":")[2]}}  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "password").write_text(PASSWORD)
    scrape = {"job_name": "self", "scheme": "https", "tls_config": {"ca_file": str(cert)},
              "basic_auth": {"username": "ci", "password_file": str(folder / "password")},
              "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}  # fmt: skip
    settings = {"global": {"scrape_interval": "500ms", "scrape_timeout": "400ms"}, "scrape_configs": [scrape]}
    (folder / "web.yml").write_text(json.dumps(web))
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    started = subprocess.Popen(
        ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
         f"--web.config.file={folder / 'web.yml'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield Guarded(f"https://127.0.0.1:{port}", cert, certificate(folder, "elsewhere")[0])
    finally:
        started.terminate()
        started.wait(15)


def ask(guarded: Guarded, **settings: Any) -> Reading:
    http = Http.model_validate({"url": guarded.url, "timeout_s": 2, "tries": 1, "username_env": "PROM_USER",
                                "password_env": "PROM_PASSWORD", "ca": str(guarded.ca), **settings})  # fmt: skip
    query = Query("up", CANARY, "prometheus", {"total": Selector("prometheus_http_requests_total")})
    now = time.time()
    return Prometheus(http, guarded.url).read([query], now - 30, now)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROM_USER", "ci")
    monkeypatch.setenv("PROM_PASSWORD", PASSWORD)


@pytest.mark.usefixtures("known")
def test_who_trusts_the_certificate_and_knows_the_password_gets_samples(guarded: Guarded) -> None:
    samples: Any = ()
    for _ in range(100):
        try:
            samples = ask(guarded).samples
        except StepError:  # not up yet
            samples = ()
        if samples:
            break
        time.sleep(0.2)
    assert samples
    assert {sample.metric for sample in samples} == {"up"}


@pytest.mark.usefixtures("known")
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(guarded: Guarded) -> None:
    for ca in (None, str(guarded.other)):
        with pytest.raises(Unavailable, match="its certificate is not trusted"):
            ask(guarded, ca=ca)


def test_a_wrong_password_or_none_is_refused_and_not_told(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROM_USER", "ci")
    monkeypatch.setenv("PROM_PASSWORD", "wr0ng-secret")
    with pytest.raises(BadInput, match="401") as refused:
        ask(guarded)
    assert "check the credentials" in str(refused.value.hint)
    assert "wr0ng" not in str(refused.value)
    with pytest.raises(BadInput, match="401"):
        ask(guarded, username_env=None, password_env=None)
    monkeypatch.delenv("PROM_PASSWORD")
    with pytest.raises(BadInput, match="PROM_PASSWORD: not set"):
        ask(guarded)
