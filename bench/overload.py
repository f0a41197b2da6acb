"""
What happens when more is asked than can be answered: four times as many callers at once as the server lets in.

    python bench/overload.py [--limit 64] [--seconds 5]

The server runs on core 0 with `--max-concurrency LIMIT`, the callers on core 1, each on a connection of its own; they
ask again at once, also after a 503, which is the worst that callers do. Accepted and refused requests are told apart.
Needs artifacts/flights (`make run`) and taskset. Writes bench/out/overload.md. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import uvloop
from serving_peers import BUNDLE, OUT, ROOT, bodies, free


class Caller(asyncio.Protocol):
    """Asks, waits, asks again; keeps the latency of each answer by its status."""

    def __init__(self, request: bytes, until: float, found: dict[int, list[float]], errors: Counter[str]) -> None:
        self.request, self.until, self.found, self.errors = request, until, found, errors
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        now, status = time.perf_counter(), int(head[9:12])
        self.found.setdefault(status, []).append(now - self.sent)
        if status == 503 and b"retry-after" not in head.lower():
            self.errors["503 without Retry-After"] += 1
        self.buffer = b""
        if now < self.until:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if time.perf_counter() < self.until:
            self.errors[f"connection lost: {exc}"] += 1
        if not self.done.done():
            self.done.set_result(None)


async def called(port: int, callers: int, seconds: float) -> tuple[dict[int, list[float]], Counter[str]]:
    body = (OUT / "one.predict").read_bytes().splitlines()[0]
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    found: dict[int, list[float]] = {}
    errors: Counter[str] = Counter()
    until, loop = time.perf_counter() + seconds, asyncio.get_running_loop()

    async def one() -> None:
        try:
            _, caller = await loop.create_connection(
                lambda: Caller(head.encode() + body, until, found, errors), "127.0.0.1", port
            )
            await asyncio.wait_for(caller.done, seconds + 10)
        except (OSError, TimeoutError) as error:
            errors[type(error).__name__] += 1

    await asyncio.gather(*(one() for _ in range(callers)))
    return found, errors


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    options.add_argument("--limit", type=int, default=64)
    options.add_argument("--seconds", type=float, default=5)
    given = options.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    bodies()
    port = free()
    command = [sys.executable, "-m", "serving", "--model", str(BUNDLE), "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen(["taskset", "-c", "0", *command, "--max-concurrency", str(given.limit)], cwd=ROOT)
    os.sched_setaffinity(0, {1})
    try:
        out = [
            "| callers | accepted/s | p50 ms | p99 ms | refused/s | p99 ms | errors |",
            "|---:|---:|---:|---:|---:|---:|---|",
        ]
        wait(port)
        for callers in (given.limit // 4, given.limit, 4 * given.limit):
            found, errors = uvloop.run(called(port, callers, given.seconds))
            accepted, refused = found.pop(200, []), found.pop(503, [])
            errors.update({f"status {status}": len(each) for status, each in found.items()})
            said = ", ".join(f"{what}: {n}" for what, n in errors.items()) or "none"
            out.append(
                f"| {callers} | {len(accepted) / given.seconds:,.0f} | {part(accepted, 50)} | {part(accepted, 99)} | "
                f"{len(refused) / given.seconds:,.0f} | {part(refused, 99)} | {said} |"
            )
        out.append(
            f"\n--max-concurrency {given.limit}, {given.seconds:g} s each, load average {os.getloadavg()[1]:.1f}"
        )
        (OUT / "overload.md").write_text("\n".join(out) + "\n", "utf-8")
        print("\n".join(out))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def part(seconds: list[float], percent: int) -> str:
    return f"{statistics.quantiles(seconds, n=100)[percent - 1] * 1e3:.1f}" if len(seconds) > 1 else "–"


def wait(port: int) -> None:
    for _ in range(600):
        try:
            if 200 in uvloop.run(called(port, 1, 0))[0]:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("the server did not come up")


if __name__ == "__main__":
    main()
