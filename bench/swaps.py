"""
Hot swaps under load: fifty through a registry, fifty through a folder, and what the callers noticed of them.

    python bench/swaps.py [--swaps 50] [--clients 8] [--out bench/out/swaps.json]

Two models take turns under one tag; after each move the server is told to look. Every answer must come from exactly one
of the two: its score is compared with the model's own. Needs docker-registry for the half over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ci.adapters.registry import HttpRegistry, LayoutRegistry
from serving import bundle
from tests.integration import registry as registries
from tests.integration.serving.conftest import running
from tests.integration.serving.released import Shelf
from tests.integration.serving.test_swaps import ask
from tests.unit.serving import bundles

LOAD = "/v2/repository/models/flights/load"


async def caller(port: int, stop: asyncio.Event, answers: list) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(bundles.ROW).encode()
    while not stop.is_set():
        start = time.perf_counter()
        status, _, content = await ask(reader, writer, "POST", "/predict", body)
        answers.append((status, content, time.perf_counter() - start))
    writer.close()


async def swap(port: int, shelf: Shelf, packaged: list, n: int, clients: int) -> tuple[list, list, list]:
    stop, answers, spent, outcomes = asyncio.Event(), [], [], []
    callers = [asyncio.create_task(caller(port, stop, answers)) for _ in range(clients)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(1, n + 1):
        await asyncio.to_thread(shelf.tag, packaged[number % 2])
        start = time.perf_counter()
        status, _, content = await ask(reader, writer, "POST", LOAD)
        spent.append(time.perf_counter() - start)
        outcomes.append((status, json.loads(content).get("outcome")))
    stop.set()
    writer.close()
    await asyncio.gather(*callers)
    return answers, spent, outcomes


def measure(shelf: Shelf, folders: list[Path], place: Path, n: int, clients: int) -> dict:
    packaged = [shelf.push(folder) for folder in folders]
    digests = [bundle.read(folder).digest for folder in folders]
    scores = {d[:12]: float(bundles.predict(bundles.graph(s), [bundles.ROW])[0]) for s, d in enumerate(digests)}
    for found, digest in zip(packaged, digests, strict=True):
        shelf.sign(found, digest)
    shelf.tag(packaged[0])
    with running(shelf.uri, "--trusted-keys", shelf.key_file(place), "--admin-loopback") as server:
        answers, spent, outcomes = asyncio.run(swap(server.port, shelf, packaged, n, clients))
        ended = server.end()
    failed = sum(status != 200 for status, _, _ in answers)
    seen, strange = set(), 0
    for status, content, _ in answers:
        document = json.loads(content) if status == 200 else {"bundle": "sha256:", "predictions": [0]}
        digest = document["bundle"].removeprefix("sha256:")
        seen.add(digest)
        strange += abs(scores.get(digest, float("inf")) - document["predictions"][0]) > 1e-6
    times = sorted(seconds * 1000 for _, _, seconds in answers)
    return {
        "swaps": sum(outcome == (200, "swapped") for outcome in outcomes),
        "asked_for": n,
        "requests": len(answers),
        "failed": failed,
        "from_neither": strange,
        "models_seen": len(seen),
        "swap_ms_median": round(statistics.median(spent) * 1000, 1),
        "p50_ms": round(times[len(times) // 2], 2),
        "p99_ms": round(times[int(len(times) * 0.99)], 2),
        "max_ms": round(times[-1], 2),
        "exit_code": ended,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        place = Path(name)
        folders = [bundles.write(place / str(seed), seed=seed) for seed in (0, 1)]
        http = stack.enter_context(registries.running(place / "http"))
        shelves = {
            "registry": Shelf(HttpRegistry(http.url), f"oci+http://{http.host}/slipway/flights:live"),
            "layout": Shelf(LayoutRegistry(place / "r"), f"oci-layout://{place / 'r'}:slipway/flights:live"),
        }
        found = {
            kind: measure(shelf, folders, place, options.swaps, options.clients) for kind, shelf in shelves.items()
        }
    print(json.dumps(found, indent=2))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(found, indent=2) + "\n")
    good = all(
        one["swaps"] == options.swaps and not one["failed"] and not one["from_neither"] and one["models_seen"] == 2
        for one in found.values()
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
