"""The image of the collection service: what it consists of, and how a built one is tried."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from ci.files import read_json
from ci.model.bundle import GOLDEN
from ci.packaging.image import TRIM, Kind
from ci.packaging.inside import SEND, python
from ci.packaging.smoke import Trial, tried
from ci.services.smoke import smoke

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ci.packaging.engine import Container, Engine, Found
    from ci.packaging.way import Order
    from ci.report import Check

LOCK = Path("requirements-collector.lock")
HEALTHY = ("python3", "-P", "-m", "collector.healthcheck")
PORT = "COLLECTOR_PORT"
# Of Arrow, what reads from clouds and speaks with other servers: the service writes Parquet files beside itself.
_ARROW = (
    "pyarrow/include", "pyarrow/src", "pyarrow/tests", "pyarrow/libarrow_flight.so*",
    "pyarrow/libarrow_python_flight.so*", "pyarrow/_flight*", "pyarrow/_pyarrow_cpp_tests*",
)  # fmt: skip
COLLECTOR = Kind(
    LOCK, "collector/runtime.Dockerfile.j2", "collector/Dockerfile.j2", "bundle", None, (*TRIM, *_ARROW), ("data",)
)


def as_a_collector(engine: Engine, built: Found, order: Order, labels: Mapping[str, str]) -> Iterator[Check]:
    """Start the image with a volume of its own, and hold it to what a collection service is for."""
    token = secrets.token_urlsafe(24)
    release = f"@{order.version}; bundle=sha256:{order.bundle[:12]}"
    data = {"tokens": senders(token)}

    def asked(container: Container) -> Iterator[Check]:
        def ask(
            method: str, path: str, body: bytes | None, headers: Mapping[str, str]
        ) -> tuple[int, Mapping[str, str], bytes]:
            text = None if body is None else body.decode()
            wish = {"port": PORT, "method": method, "path": path, "body": text, "headers": dict(headers)}
            code, out = container.execute(python(SEND), stdin=json.dumps(wish).encode())
            if code:
                return 0, {}, out.encode()
            status, told, answer = (*out.split("\n", 2), "", "")[:3]
            return int(status), json.loads(told), answer.encode()

        return smoke(ask, read_json(order.folder / GOLDEN), release, token)

    yield from tried(engine, built, labels, Trial(HEALTHY, asked, data))


def senders(token: str) -> bytes:
    """Return a tokens file in which one sender may do everything, for a trial."""
    return f"trial send,read,correct {sha256(token.encode()).hexdigest()}\n".encode()
