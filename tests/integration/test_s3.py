"""The remote on a real S3 server: shared results, altered objects, and a server that is gone."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import BIN, Checkout, free_port, new_checkout, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEED = BIN / "weed"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_EC2_METADATA_DISABLED": "true"}
pytestmark = [
    pytest.mark.skipif(not WEED.exists(), reason="no S3 server: `weed` is not installed (make dev)"),
    pytest.mark.xdist_group("s3"),
]


def low_port() -> int:
    """The server derives further ports by adding 10,000, so these must be low."""
    for _ in range(1000):
        port = 20_000 + secrets.randbelow(10_000)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


class Server:
    """An S3 server on loopback with one bucket; its data survives a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, attempts: int = 3) -> None:
        """Start it; a port may be lost between finding and using it, and then other ports are tried."""
        for _ in range(attempts):
            self.port = low_port()
            self._launch()
            with contextlib.suppress(AssertionError):
                wait_for(self._answers, 60)
                return
            self.stop()
        raise AssertionError((self.folder / "log").read_text(errors="replace")[-2000:])

    def _launch(self) -> None:
        ports = {name: str(low_port()) for name in ("master.port", "volume.port", "filer.port")}
        grpc = {f"{name}.grpc": str(low_port()) for name in (*ports, "s3.port")}
        options = [f"-{name}={value}" for name, value in {**ports, **grpc, "s3.port": str(self.port)}.items()]
        command = [str(WEED), "server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=50"]
        command += [f"-dir={self.folder}", f"-s3.config={self._credentials()}", *options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()  # it takes half a minute to say good-bye, and has nothing to save
            self._process.wait(20)
            self._process = None

    def client(self) -> object:
        from botocore.session import get_session

        return get_session().create_client("s3", endpoint_url=self.url, region_name="us-east-1",
                                           aws_access_key_id="test", aws_secret_access_key="test-secret")  # fmt: skip

    def _credentials(self) -> Path:
        path = self.folder / "s3.json"
        keys = {"accessKey": "test", "secretKey": "test-secret"}
        path.write_text(
            json.dumps(
                {"identities": [{"name": "test", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List"]}]}
            )
        )
        return path

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.url, timeout=1)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("s3"))
    made.start()
    try:
        made.client().create_bucket(Bucket="team")
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def built(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose results lie on the server; configuration alone made the difference."""
    path = tmp_path_factory.mktemp("built") / "clone"
    path.mkdir()
    made = new_checkout(path, remote="s3://team/slipway")
    for option, value in {"endpointurl": server.url, "verify": "true"}.items():
        made.command("dvc", "remote", "modify", "here", option, value)
    done = made.run("steps.repro", **KEYS)
    assert done.returncode == 0, done.stderr
    made.commit("built")
    return made


def test_a_colleague_takes_everything_from_the_server(built: Checkout, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone")
    done = clone.run("steps.repro", **KEYS)
    assert done.returncode == 0, done.stderr
    rows = json.loads((clone.path / "reports/all/repro.json").read_text())["tables"][0]["rows"]
    assert {row[1] for row in rows} <= {"came from the run cache", "skipped, nothing changed"}
    assert (clone.path / "artifacts/shop/manifest.json").read_bytes() == (
        built.path / "artifacts/shop/manifest.json"
    ).read_bytes()


def test_an_altered_object_is_never_taken_for_the_right_one(server: Server, built: Checkout, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone")
    client = server.client()
    model = (built.path / "artifacts/shop/model.onnx").read_bytes()
    listed = client.list_objects_v2(Bucket="team", Prefix="slipway/files/md5/")["Contents"]
    (key,) = [
        item["Key"] for item in listed
        if item["Size"] == len(model) and client.get_object(Bucket="team", Key=item["Key"])["Body"].read() == model
    ]  # fmt: skip
    client.put_object(Bucket="team", Key=key, Body=model[:-1] + b"\x00")
    try:
        done = clone.run("steps.repro", **KEYS)
        got = clone.path / "artifacts/shop/model.onnx"
        assert done.returncode != 0 or got.read_bytes() == model, "an altered object was taken"
        if done.returncode:
            assert done.returncode == 5, done.stderr
    finally:
        client.put_object(Bucket="team", Key=key, Body=model)


def test_a_server_that_is_gone_ends_in_time_with_five(built: Checkout, tmp_path: Path) -> None:
    clone = built.clone(tmp_path / "clone")
    clone.edit("params.yaml", "timeout_s: 60", "timeout_s: 5")
    clone.command("dvc", "remote", "modify", "--local", "here", "endpointurl", f"http://127.0.0.1:{free_port()}")
    done = clone.run("steps.repro", "--locked", **KEYS)
    assert done.returncode == 5, done.stderr
    assert "within 5 s" in done.stderr or "dvc status" in done.stderr


def test_secrets_stay_out_of_logs_and_reports(built: Checkout) -> None:
    written = "".join(
        path.read_text(errors="replace") for path in (built.path / "reports").rglob("*") if path.is_file()
    )
    assert KEYS["AWS_SECRET_ACCESS_KEY"] not in written
    assert os.environ.get("AWS_SECRET_ACCESS_KEY") is None
