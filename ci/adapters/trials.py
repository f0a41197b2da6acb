"""The collection service of a bundle, started here for its smoke test: with a store of its own, which goes with it."""

from __future__ import annotations

import http.client
import os
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.targets.process import free_port
from ci.errors import Unavailable
from ci.report import Check, Found
from ci.services import CODE
from ci.services.image import senders
from ci.services.smoke import smoke

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ci.services.bundle import ServiceBundle
    from ci.services.smoke import Ask

_START_S, _STOP_S = 30.0, 10.0
_LIMIT = 1 << 20  # bytes of an answer
_VERSION = "0.0.0"  # it has none yet


def tried(bundle: ServiceBundle) -> list[Check]:
    """Start the service, and hold it to what it is for; one that does not start is rejected with its last word."""
    token = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="slipway-trial-") as folder, _started(bundle, Path(folder), token) as port:
        if isinstance(port, str):
            return [Check("start", Found.REJECTED, port)]
        started = Check("start", Found.PASSED, "ready, from the bundle alone")
        release = f"@{_VERSION}; bundle=sha256:{bundle.digest[:12]}"
        return [started, *smoke(_asker(port), bundle.golden, release, token)]


@contextmanager
def _started(bundle: ServiceBundle, folder: Path, token: str) -> Iterator[int | str]:
    """Yield the port on which it answers, or why it does not."""
    port, log = free_port(()), folder / "log"
    (folder / "tokens").write_bytes(senders(token))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    settings = {
        "HOST": "127.0.0.1", "PORT": str(port), "BUNDLE": str(bundle.folder.resolve()), "TOKENS": str(folder / "tokens"),
        "STORE": f"sqlite:///{folder / 'collector.db'}", "WORK": str(folder / "parquet"), "MIN_FREE_MB": "0",
        "RELEASE_VERSION": _VERSION, "HASH_KEY": secrets.token_hex(32),
    }  # fmt: skip
    code = str((bundle.folder / CODE).resolve())
    variables = {**kept, "PYTHONPATH": code, **{f"COLLECTOR_{name}": value for name, value in settings.items()}}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "collector"], cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=out,
            stderr=out,
        )  # fmt: skip
    try:
        yield port if _ready(process, port) else _last_word(log)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _START_S
    ask = _asker(port)
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(Unavailable):
            if ask("GET", "/v2/health/ready", None, {})[0] == 200:
                return True
        time.sleep(0.05)
    return False


def _last_word(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines() or ["it said nothing"]
    return f"does not become ready: {lines[-1][:300]}"


def _asker(port: int) -> Ask:
    def ask(
        method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read(_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{path}: does not answer ({error})") from error
        finally:
            connection.close()

    return ask
