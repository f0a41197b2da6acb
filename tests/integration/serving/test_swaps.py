"""Hot swap: under load, and with what must not be taken."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from serving import bundle
from tests.integration.serving.conftest import running
from tests.unit.serving import bundles

ROW = bundles.ROW
SWAPS, CLIENTS = 50, 8
LOAD = "/v2/repository/models/flights/load"


def switch(link: Path, target: Path) -> None:
    """Let a link point elsewhere, in one step."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


async def ask(reader, writer, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def client(port: int, stop: asyncio.Event, answers: list[tuple[int, str, bytes]]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(ROW).encode()
    while not stop.is_set():
        status, headers, content = await ask(reader, writer, "POST", "/predict", body)
        answers.append((status, headers["x-slipway-release"], content))
    writer.close()


def test_fifty_swaps_under_load_lose_nothing(made, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(made[0])
    digests = [bundle.read(folder).digest[:12] for folder in made]
    scores = {digest: bundles.predict(bundles.graph(seed), [ROW])[0] for seed, digest in enumerate(digests)}
    answers: list[tuple[int, str, bytes]] = []

    async def scenario(port: int) -> None:
        stop = asyncio.Event()
        clients = [asyncio.create_task(client(port, stop, answers)) for _ in range(CLIENTS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(1, SWAPS + 1):
            switch(link, made[number % 2])
            status, _, content = await ask(reader, writer, "POST", LOAD)
            assert (status, json.loads(content)["outcome"]) == (200, "swapped")
            await asyncio.sleep(0.01)
        stop.set()
        writer.close()
        await asyncio.gather(*clients)

    with running(link, "--admin-loopback") as server:
        asyncio.run(scenario(server.port))
        assert server.end() == 0
        assert not [line for line in server.lines if line["level"] == "error"]
    assert len(answers) > 500
    seen = set()
    for status, release, content in answers:
        assert status == 200
        document = json.loads(content)
        digest = document["bundle"].removeprefix("sha256:")
        assert release.endswith(digest)
        assert document["predictions"][0] == pytest.approx(scores[digest], abs=1e-6)
        seen.add(digest)
    assert seen == set(digests)


def test_sighup_looks_and_refuses_what_is_corrupt(made, folder):
    with running(folder) as server:
        before = server.ask("POST", "/predict", ROW)[1]
        (folder / "model.onnx").write_bytes((made[1] / "model.onnx").read_bytes())
        server.signal(signal.SIGHUP)
        refused = server.wait_for("bundle refused")
        assert refused["message"].startswith("model.onnx")
        assert server.ask("POST", "/predict", ROW)[1]["predictions"] == before["predictions"]
        assert 'slipway_swaps_total{outcome="refused",reason="digest"} 1' in server.ask("GET", "/metrics")[1]
        shutil.copytree(made[1], folder, dirs_exist_ok=True)
        server.signal(signal.SIGHUP)
        server.wait_for("bundle swapped")
        assert server.ask("POST", "/predict", ROW)[1]["bundle"] != before["bundle"]


def test_polling_takes_what_is_whole_and_tries_nothing_twice(made, folder):
    with running(folder, "--poll-s", "0.05") as server:
        before = server.ask("POST", "/predict", ROW)[1]["bundle"]
        (folder.parent / "beside").write_text("{}")
        (folder.parent / "beside").replace(
            folder / "golden.json"
        )  # in one step, or it is looked at twice: empty, and full
        server.wait_for("bundle refused")
        time.sleep(0.3)
        assert sum(line["event"] == "bundle refused" for line in server.lines) == 1
        shutil.copytree(made[1], folder, dirs_exist_ok=True)
        os.utime(folder / "manifest.json")
        server.wait_for("bundle swapped")
        assert server.ask("POST", "/predict", ROW)[1]["bundle"] != before


def test_swaps_do_not_leak(made, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(made[0])

    def resident(pid: int) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with running(link, "--admin-loopback") as server:
        sizes = []
        for number in range(1, 41):
            switch(link, made[number % 2])
            assert server.ask("POST", LOAD)[1]["outcome"] == "swapped"
            sizes.append(resident(server.process.pid))
        assert sizes[-1] - sizes[9] < 20_000_000
        assert server.ask("GET", "/metrics")[1].count("slipway_batch_rows_count") <= 4
