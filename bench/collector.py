"""
How many records a second the collection service takes, in how much memory, and what a period costs to read.

    python bench/collector.py                      the rate alone: 200,000 records, batches of 1,000
    python bench/collector.py --records 10000000   the large one: memory and periods, too (about ten minutes, 5 GB)
    python bench/collector.py --store postgresql://…

Senders are processes of their own with bodies made beforehand, so that what is measured is the service: HTTP, the
token, validation against the contract of the flights, duplicates, and the flush of the disk before each answer. Each
record is a real column layout with made-up values; nothing is sent twice. The service's memory is bounded by the
system (RLIMIT_DATA) as well as measured, so that a bound which does not hold ends it.

Writes  bench/out/collector.json
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import random
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PERIODS = 12
START = datetime(2013, 1, 1)  # noqa: DTZ001 # as in contracts: a wall clock


def contract(folder: Path) -> Path:
    """Write the flights' contract, as the step does."""
    from ci.collecting.contracts import write
    from ci.project import find

    os.chdir(ROOT)
    write([find("flights")], folder)
    return folder


def body(start: int, size: int, total: int) -> bytes:
    """Make one batch: records in order of time, as a sender has them, spread over a year."""
    draw = random.Random(start)  # noqa: S311 # made-up values
    step = timedelta(days=365) / total
    rows = []
    for n in range(start, start + size):
        moment = START + step * n
        rows.append(
            {
                "scheduled_departure": moment.isoformat(timespec="microseconds"),
                "scheduled_arrival": draw.randrange(1440),
                "carrier": draw.choice(["UA", "AA", "DL", "B6", "EV"]),
                "origin": draw.choice(["EWR", "JFK", "LGA"]),
                "dest": draw.choice(["IAH", "MIA", "ATL", "ORD", "SFO", "BOS"]),
                "distance": draw.randrange(100, 3000),
                "plane_year": float(draw.randrange(1980, 2013)),
                "seats": float(draw.randrange(50, 400)),
                **{name: round(draw.uniform(0, 90), 2) for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed")},
                "wind_gust": None,
                "precip": 0.0,
                "pressure": round(draw.uniform(980, 1040), 1),
                "visib": 10.0,
                "flight": draw.randrange(1, 9999),
                "tailnum": f"N{draw.randrange(10000, 99999)}",
            }
        )
    return b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in rows)


def send(port: int, token: str, starts: list[int], size: int, total: int, ready, go, spent) -> None:
    """Send batches one after the other; what takes time to make is made before the clock starts, a part at a time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    ready.wait()
    go.wait()
    sending = 0.0
    slowest = 0.0
    for place in range(0, len(starts), 50):
        bodies = [body(start, size, total) for start in starts[place : place + 50]]
        ready.wait()  # all senders have made theirs: what is timed is sending alone
        for one in bodies:
            begin = time.perf_counter()
            while True:
                connection.request("POST", "/v1/flights/records", one, headers)
                answer = connection.getresponse()
                said = json.loads(answer.read())
                if answer.status != 503:
                    break
                time.sleep(0.05)
            took = time.perf_counter() - begin
            if answer.status != 200 or said["accepted"] != size:
                sys.exit(f"not taken: {answer.status} {said}")
            sending += took
            slowest = max(slowest, took)
        ready.wait()
    spent.put((sending, slowest))


class Service:
    """The service, with a bound on its memory."""

    def __init__(self, folder: Path, store: str, memory_mb: int) -> None:
        self.token = secrets.token_urlsafe(16)
        (folder / "tokens").write_text(f"bench send,read {sha256(self.token.encode()).hexdigest()}\n")
        environment = {
            **os.environ,
            "COLLECTOR_PORT": "0",
            "COLLECTOR_CONTRACTS": str(contract(folder / "contracts")),
            "COLLECTOR_TOKENS": str(folder / "tokens"),
            "COLLECTOR_STORE": store or f"sqlite:///{folder}/store.db",
            "COLLECTOR_WORK": str(folder / "parquet"),
            "COLLECTOR_COMPACT_EVERY_S": "0",
        }
        bound = memory_mb * 2**20
        self.process = subprocess.Popen(
            [sys.executable, "-m", "collector"], cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (bound, bound)),  # noqa: PLW1509 # the parent has one thread, and the bound must hold from the start
        )  # fmt: skip
        self.port = json.loads(self.process.stderr.readline())["port"]

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for something."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3600)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def peak_mb(self) -> float:
        """Return the most memory that it had resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024

    def stop(self) -> None:
        """End it."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)


def rate(service: Service, records: int, size: int, senders: int) -> dict[str, float]:
    """Send everything from several processes; the time is that in which somebody was sending."""
    total = records // (size * senders * 50) * (size * senders * 50) or size * senders * 50
    starts = list(range(0, total, size))
    barrier, go, spent = multiprocessing.Barrier(senders + 1), multiprocessing.Event(), multiprocessing.Queue()
    shares = [starts[n::senders] for n in range(senders)]
    workers = [
        multiprocessing.Process(target=send, args=(service.port, service.token, s, size, total, barrier, go, spent))
        for s in shares
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    go.set()
    elapsed, parts, last = 0.0, [], len(shares[0])
    for _ in range(0, last, 50):
        barrier.wait()
        begin = time.perf_counter()
        barrier.wait()
        elapsed += time.perf_counter() - begin
        parts.append(50 * size * senders / (time.perf_counter() - begin))
    slowest = max(spent.get()[1] for _ in workers)
    for worker in workers:
        worker.join()
    return {
        "records": total, "seconds": elapsed, "records_per_s": total / elapsed, "first_part_per_s": parts[0],
        "last_part_per_s": parts[-1], "slowest_batch_s": slowest,
    }  # fmt: skip


def reading(service: Service) -> list[dict[str, float]]:
    """Read the periods: the list, which compacts them, and then each once more."""
    found = []
    begin = time.perf_counter()
    status, raw = service.get("/v1/flights/periods")
    if status != 200:
        sys.exit(f"no periods: {status} {raw.decode()}")
    listed = time.perf_counter() - begin
    periods = json.loads(raw)["periods"]
    total = sum(period["rows"] for period in periods)
    print(f"all {len(periods)} periods compacted: {listed:.1f} s, {listed / total * 1e6:.1f} µs a row")
    for period in periods:
        begin = time.perf_counter()
        _, raw = service.get(f"/v1/flights/periods/{period['period']}/records.parquet")
        took = time.perf_counter() - begin
        found.append({"rows": period["rows"], "seconds": took, "mb": len(raw) / 2**20})
    return found


def linear(folder: Path, store: str) -> list[dict[str, float]]:
    """Compact stretches of one, two and four times the length: time and memory by rows."""
    code = (
        "import sys, time, resource, json; from pathlib import Path; from collector.contract import load;"
        "from collector.compact import compact; from collector.store.opening import opened;"
        "import msgspec; c = load(Path(sys.argv[2])); s = opened(sys.argv[1]); t = time.perf_counter();"
        "f = compact(s, msgspec.structs.replace(c, period=sys.argv[4]), sys.argv[3], Path(sys.argv[5]));"
        "print(json.dumps({'rows': f.rows, 'seconds': time.perf_counter() - t,"
        "'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))"
    )
    found = []
    for length, period in (("day", "2013-03-04"), ("week", "2013-W10"), ("month", "2013-03"), ("year", "2013")):
        command = [
            sys.executable,
            "-c",
            code,
            store or f"sqlite:///{folder}/store.db",
            str(folder / "contracts/flights.json"),
        ]
        out = subprocess.run(
            [*command, period, length, str(folder / "linear")], cwd=ROOT, capture_output=True, check=True, text=True
        )
        found.append({"period": length, **json.loads(out.stdout)})
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--memory-mb", type=int, default=1024)
    parser.add_argument("--store", default="", help="postgresql://… of an empty database; SQLite by default")
    parser.add_argument("--folder", help="where the store lies; a temporary folder by default")
    options = parser.parse_args()
    folder = Path(options.folder or tempfile.mkdtemp(prefix="collector-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    service = Service(folder, options.store, options.memory_mb)
    try:
        found = rate(service, options.records, options.batch, options.senders)
        print(f"{found['records']:,} records in {found['seconds']:.1f} s: {found['records_per_s']:,.0f} a second "
              f"(first part {found['first_part_per_s']:,.0f}, last {found['last_part_per_s']:,.0f}), "
              f"slowest batch {found['slowest_batch_s'] * 1000:.0f} ms")  # fmt: skip
        found["periods"] = reading(service)
        found["peak_mb"] = service.peak_mb()
        print(f"the service had at most {found['peak_mb']:,.0f} MB resident, of {options.memory_mb:,} MB allowed")
    finally:
        service.stop()
    found["linear"] = linear(folder, options.store)
    for one in found["linear"]:
        print(f"one {one['period']}: {one['rows']:,} rows in {one['seconds']:.2f} s, "
              f"{one['seconds'] / max(1, one['rows']) * 1e6:.1f} µs a row, {one['peak_mb']:,.0f} MB")  # fmt: skip
    (ROOT / "bench/out").mkdir(exist_ok=True)
    (ROOT / "bench/out/collector.json").write_text(json.dumps(found, indent=2) + "\n")
    if not options.folder:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
