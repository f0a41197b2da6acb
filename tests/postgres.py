"""A PostgreSQL of the tests' own: on loopback, in a folder of its own, run by a user without rights."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "not-a-secret-of-anybody"  # noqa: S105
_USER = "nobody"


class Cluster:
    """One server, which can be stopped and started."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder, self._data = binaries, folder, str(folder / "data")
        who: dict[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to be run by root
            found = pwd.getpwnam(_USER)
            who = {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
            os.chown(folder, found.pw_uid, found.pw_gid)
        self._options: dict[str, Any] = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C"}, **who}
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        options = ("--auth=scram-sha-256", "--username=slipway", "--encoding=UTF8", "--no-sync")
        command = [binaries / "initdb", *options, f"--pwfile={folder}/password", "--pgdata", self._data]
        subprocess.run(command, check=True, capture_output=True, timeout=60, **self._options)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        place = ["-D", self._data, "-h", "127.0.0.1", "-p", str(self._port), "-k", "", "-c", "fsync=off"]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._binaries / "postgres", *place], stdout=log, stderr=log, **self._options
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._server.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, whoever is connected."""
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(30)

    def database(self) -> str:
        """Return the address of a new, empty database."""
        import psycopg

        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._address(name)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _address(self, name: str) -> str:
        return f"postgresql://slipway:{PASSWORD}@127.0.0.1:{self._port}/{name}"


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """Yield a running server; skips where there is none to be had."""
    pytest.importorskip("psycopg")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (make components)")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        found = Cluster(binaries, folder)
        try:
            yield found
        finally:
            found.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    places = [*versions, *([Path(on_path).parent] if on_path else [])]
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)
