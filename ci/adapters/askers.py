"""The doors through which each packaging is asked: a container, a process with a wheel on its path, a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters import keys, registry
from ci.adapters.engine import Docker
from ci.adapters.process import run
from ci.errors import BadInput, Unavailable
from ci.packaging import archive
from ci.packaging.inside import ASK, python
from ci.packaging.oci import parts
from ci.packaging.smoke import HEALTHY, reason
from ci.packaging.ways import host, uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.packaging.asked import Asker
    from ci.packaging.engine import Container
    from ci.packaging.interface import Registry
    from ci.releases.record import Packaged, Release
    from ci.shared import Shared

_WAIT_S = 30.0
_LIMIT = 2 << 30  # bytes of a wheel
_PREDICT = """
import json, sys
model = __import__(sys.argv[1]).load()
print(json.dumps(model.predict(json.load(open(sys.argv[2]))).tolist()))
"""


def askers(shared: Shared) -> dict[str, Asker]:
    """Return who asks which packaging."""
    store = registry.found(shared.registry)
    return {"service": AskImage(shared, store), "embedded": AskWheel(store), "data": AskServer(shared, store)}


@dataclass(frozen=True)
class AskWheel:
    """Puts the wheel on the path of a process of its own; nothing is installed."""

    registry: Registry

    def ask(self, release: Release, packaged: Packaged, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Fetch the wheel, and ask it."""
        manifest = self.registry.pull_manifest(packaged.repository, packaged.digest)
        layer = parts(manifest.raw, release.name).document["layers"][0]
        with tempfile.TemporaryDirectory(prefix="slipway-ask-") as folder:
            wheel, given = Path(folder, "model.whl"), Path(folder, "rows.json")
            self.registry.save_blob(packaged.repository, layer["digest"], wheel, min(layer["size"], _LIMIT))
            given.write_text(json.dumps(rows), encoding="utf-8")
            command = [sys.executable, "-P", "-c", _PREDICT, f"{release.project}_model", str(given)]
            done = run(command, timeout_s=120, extra_environment={"PYTHONPATH": str(wheel)})
        if done.code:
            raise BadInput(f"{release.name}: the wheel does not work: {_last(done.err)}")
        found: list[Any] = json.loads(done.out.splitlines()[-1])
        return found


@dataclass(frozen=True)
class AskServer:
    """Starts a server that takes the bundle from the registry, by its signature."""

    shared: Shared
    registry: Registry

    def ask(self, release: Release, packaged: Packaged, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Start, ask, and end the server."""
        place = self.shared.registry
        if self.registry.resolve(packaged.repository, packaged.digest) is None:
            raise BadInput(
                f"{release.name}: {self.registry.place} has no {packaged.repository}@{packaged.digest[:19]}…"
            )
        trusted = ",".join(str(path) for path in keys.trusted_files(self.shared.signing))
        options = ["--model", uri(place, packaged), "--port", "0", "--trusted-keys", trusted]
        options += ["--registry-ca", place.ca] if place.ca else []
        named = registry.login(place)
        secret = {"SLIPWAY_SERVING_REGISTRY_LOGIN": ":".join(named)} if named else {}
        with subprocess.Popen(
            [sys.executable, "-m", "serving", *options],
            env={**os.environ, **secret}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace",
        ) as server:  # fmt: skip
            try:
                port = _port(server, release)
                _until_ready(server, port, release)
                return _predictions(port, rows, release)
            finally:
                server.send_signal(signal.SIGTERM)
                try:
                    server.wait(10)
                except subprocess.TimeoutExpired:
                    server.kill()


@dataclass(frozen=True)
class AskImage:
    """Runs the image, which is pulled by digest, read-only and without a network."""

    shared: Shared
    registry: Registry

    def ask(self, release: Release, packaged: Packaged, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Get the image, start it, and ask from inside: an engine may be far away."""
        place = self.shared.registry
        engine = Docker(self.shared.image.timeout_s, registry.login(place))
        if place.url:
            image = engine.pull(f"{host(place)}/{packaged.repository}@{packaged.digest}").id
        else:
            image = archive.fetch(self.registry, packaged.repository, packaged.digest, engine)
        with engine.started(image, user="", environment={}) as container:
            _wait(container, release)
            code, out = container.execute(python(ASK), stdin=json.dumps({"records": list(rows)}).encode())
        status, _, body = out.partition("\n")
        if code or status != "200":
            raise BadInput(f"{release.name}: the container answered {status[:60]}: {body[:200]}")
        found: list[Any] = json.loads(body)["predictions"]
        return found


def _wait(container: Container, release: Release) -> None:
    began = time.monotonic()
    while container.execute(HEALTHY)[0] != 0:
        if not container.running() or time.monotonic() - began > _WAIT_S:
            raise BadInput(f"{release.name}: the container is not ready: {reason(container.logs())}")
        time.sleep(0.05)


def _port(server: subprocess.Popen[str], release: Release) -> int:
    """Read the log until the server says where it listens."""
    last = "no word"
    for line in server.stdout or ():
        last = line
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and "listening" in told.values():
            return int(told["port"])
    raise BadInput(f"{release.name}: the server did not start: {_last(last)}")


def _until_ready(server: subprocess.Popen[str], port: int, release: Release) -> None:
    began = time.monotonic()
    while time.monotonic() - began < _WAIT_S and server.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    if server.poll() is None:
        raise BadInput(f"{release.name}: the server is not ready after {_WAIT_S:g} s")
    raise BadInput(f"{release.name}: the server ended: {reason(server.stdout.read() if server.stdout else '')}")


def _predictions(port: int, rows: Sequence[Mapping[str, Any]], release: Release) -> list[Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        connection.request(
            "POST", "/predict", json.dumps({"records": list(rows)}), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise Unavailable(f"{release.name}: the server on port {port} does not answer ({error})") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise BadInput(f"{release.name}: the server answered {answer.status}: {body[:200].decode('utf-8', 'replace')}")
    found: list[Any] = json.loads(body)["predictions"]
    return found


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no word"])[-1][:300]
