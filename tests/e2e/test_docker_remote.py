"""An engine that is reached over TCP: none of its networks, none of its folders is this machine's, as far as steps can tell."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from bench.rollouts import Load
from ci.adapters.containers import Containers
from ci.errors import Outcome
from tests.containers import BUNDLE, a_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.containers import DockerPlace

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("SLIPWAY_TEST_LONG"), reason="takes half a minute: SLIPWAY_TEST_LONG=1 runs it"
    ),
]


def relayed(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def over_tcp(path: str) -> Iterator[str]:
    """Relay connections to a socket of this machine; yield the address to which they are made."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    near, _ = server.accept()
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(path)
                    for pair in ((near, far), (far, near)):
                        threading.Thread(target=relayed, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_a_release_goes_in_and_back_over_tcp(image_layout: Path) -> None:
    place = a_place(image_layout)
    if not place.engine.local:
        pytest.skip("the engine is a remote one already")
    with over_tcp(place.engine.place.removeprefix("unix://")) as host:
        place.settings["target"] = {"kind": "docker", "prefix": place.prefix, "host": host}
        try:
            assert not Containers(60, host=host).local
            assert place.deploy("1.0.0").outcome is Outcome.PASSED
            row = json.dumps(json.loads((BUNDLE / "golden.json").read_text())["rows"][0]).encode()
            with Load(str(place.open().actual().door), row, callers=2) as seen:
                assert place.deploy("1.1.0", kind="canary").live == "1.1.0"
                assert place.open().roll_back(place.release("1.0.0"), "tests").live == "1.0.0"
            assert (seen.failures, place.answer()) == ([], (200, "flights@1.0.0"))
            assert place.open().actual().drift == []
            assert [mount for name in place.names() for mount in mounts(place, name) if mount["Type"] != "volume"] == []
            assert place.open().stop("tests").outcome is Outcome.PASSED
        finally:
            place.sweep()


def mounts(place: DockerPlace, name: str) -> list[dict[str, str]]:
    told = place.engine.find(name)
    return list(told["Mounts"]) if told else []
