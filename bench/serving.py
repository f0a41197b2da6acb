"""
Our server beside an echo on the same stack, and beside the servers that people use: one model, one core each.

    python bench/serving.py [--peers FOLDER] [--rounds 3] [--seconds 5] [--only ours,echo,…]

Each server runs one worker on core 0; `wrk` holds 16 keep-alive connections on core 1. All take turns in each round;
figures are medians over rounds. Peers get an environment each below --peers, made when it is missing, and their best
working setting; access logs are off everywhere (mlflow cannot: its log goes to /dev/null). Each must first answer
reference rows as our graph does. A peer that cannot be made, does not answer, answers something else or takes longer
than --limit is listed with the reason. Processor time per request is beside the rest because a busy machine disturbs
it least. Needs `make run` (data/, models/, artifacts/), wrk, taskset and uv. Writes bench/out/serving.json and
serving.md after each turn. Nothing here is a test.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving_peers import HERE, OUT, PINS, Server, bodies, make, reference, server

if TYPE_CHECKING:
    from collections.abc import Iterator

TOLERANCE = 1e-4  # of probabilities: the peers compute in double precision
FAULTS = (OSError, RuntimeError, ValueError, KeyError, subprocess.SubprocessError)
Figures = dict[str, float]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    options.add_argument("--peers", type=Path, default=OUT / "peers")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=5)
    options.add_argument("--limit", type=float, default=180, help="seconds that one server may take in one round")
    options.add_argument("--only", default="", help=f"some of: ours, echo, {', '.join(PINS)}")
    given = options.parse_args()
    wanted = [name for name in given.only.split(",") if name] or ["ours", "echo", *PINS]
    if unknown := set(wanted) - {"ours", "echo", *PINS}:
        options.error(f"--only: no such server: {', '.join(sorted(unknown))}")
    given.peers = given.peers.resolve()
    OUT.mkdir(parents=True, exist_ok=True)
    bodies()
    failed = {name: reason for name in wanted if name in PINS and (reason := make(name, given.peers))}
    found: dict[str, list[Figures]] = {}
    for number in range(given.rounds):
        for name in wanted:
            if name not in failed:
                turn(server(name, given.peers), given, found, failed)
            print(f"round {number + 1}: {name}: {failed.get(name, 'done')}", file=sys.stderr, flush=True)
            tell(found, failed, given)
    print((OUT / "serving.md").read_text("utf-8"))


def turn(made: Server, given: argparse.Namespace, found: dict[str, list[Figures]], failed: dict[str, str]) -> None:
    """Measure one server once, within its time."""
    try:
        with within(given.limit):
            for label, figures in measured(made, given.seconds).items():
                found.setdefault(label, []).append(figures)
    except FAULTS as error:
        failed[made.name] = " ".join(f"{type(error).__name__}: {error}".split())[:200]


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    def over(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds:g} s")

    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def measured(made: Server, seconds: float) -> dict[str, Figures]:
    """Start a server, measure each of its routes, stop it."""
    start, base = time.perf_counter(), f"http://127.0.0.1:{made.env['PORT']}"
    with (OUT / f"{made.name}.log").open("w") as file:
        log: Any = file if made.name != "mlflow" else subprocess.DEVNULL
        process = subprocess.Popen(
            ["taskset", "-c", "0", *made.command], env=made.env, cwd=made.cwd, stdout=log, stderr=log, start_new_session=True
        )  # fmt: skip
    try:
        up(base + made.ready, process)
        started = {"start_s": time.perf_counter() - start, "start_cpu_s": cpu(process.pid)}
        found = {}
        for label, path, one, many in made.routes:
            if made.name != "echo":
                check(base + path, OUT / one, 1)
                check(base + path, OUT / many, len(reference()))
            with contextlib.suppress(RuntimeError):  # warm it up; what fails here fails again below
                load(base, path, one, min(2.0, seconds))
            single, single_us = costed(process.pid, base, path, one, seconds)
            batch, batch_us = costed(process.pid, base, path, many, seconds)
            found[label] = {
                **single, "cpu_us": single_us, "batch_rps": batch["rps"], "batch_p99_ms": batch["p99_ms"],
                "batch_cpu_us": batch_us, **started, "memory_mb": memory(process.pid) / 1e6,
            }  # fmt: skip
        return found
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and whatever it started, politely first."""
    everyone = family(process.pid)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    for one in everyone:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    process.wait(10)


def up(url: str, process: subprocess.Popen[bytes], within_s: float = 170) -> None:
    deadline = time.monotonic() + within_s
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"it did not come up: exit {process.poll()}")


def check(url: str, requests: Path, n_rows: int) -> None:
    """Hold a server to the answers of our graph, so that no error page and no other model is measured."""
    body = requests.read_bytes().splitlines()[0]
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        got = numbers(json.load(answer))
    if len(got) == 2 * n_rows:
        got = got[1::2]  # probabilities of both classes
    worst = max((abs(a - b) for a, b in zip(got, reference(), strict=False)), default=1.0)
    if len(got) != n_rows or worst > TOLERANCE:
        raise RuntimeError(f"answered {len(got)} of {n_rows} rows, {worst:.2g} away from ours")


def numbers(document: Any) -> list[float]:
    """Return the numbers of an answer, in whichever of the forms they come."""
    if isinstance(document, dict):
        return numbers(document.get("predictions") or document["outputs"][0]["data"])
    return [number for item in document for number in (numbers(item) if isinstance(item, list) else [item])]


def costed(pid: int, base: str, path: str, requests: str, seconds: float) -> tuple[Figures, float]:
    """Load a route; returns the figures, and microseconds of processor time per request."""
    before = cpu(pid)
    figures = load(base, path, requests, seconds)
    return figures, (cpu(pid) - before) / figures.pop("requests") * 1e6


def load(base: str, path: str, requests: str, seconds: float) -> Figures:
    command = ["taskset", "-c", "1", "wrk", "-t1", "-c16", f"-d{seconds:g}s", "--timeout", "10s", "-s", str(HERE / "load.lua"),
               base, "--", path, str(OUT / requests)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    if bad := figures.pop("bad"):
        raise RuntimeError(f"{path}: {bad:.0f} answers that are no 2xx, or none")
    if not figures["requests"]:
        raise RuntimeError(f"{path}: no answer within {seconds:g} s")
    return figures


def family(pid: int) -> list[int]:
    """A process and all that came from it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def memory(pid: int) -> int:
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu(pid: int) -> float:
    """Seconds of processor time, by the scheduler's count in nanoseconds; clock ticks are too coarse for a start."""
    tasks = [task for one in family(pid) for task in Path(f"/proc/{one}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def tell(found: dict[str, list[Figures]], failed: dict[str, str], given: argparse.Namespace) -> None:
    """Write the table, and the ratios that were aimed at."""
    medians = {
        label: {key: statistics.median(f[key] for f in each) for key in each[0]} for label, each in found.items()
    }
    head = (
        "| server | 1 row: requests/s | p50 ms | p99 ms | processor µs | 100 rows: requests/s | p99 ms | processor µs | "
        "start-up s | of it processor s | memory MB |"
    )
    out = [head, "|---" + "|---:" * 10 + "|"]
    for label, f in medians.items():
        out.append(
            f"| {label} | {f['rps']:,.0f} | {f['p50_ms']:.1f} | {f['p99_ms']:.1f} | {f['cpu_us']:,.0f} | {f['batch_rps']:,.0f} | "
            f"{f['batch_p99_ms']:.1f} | {f['batch_cpu_us']:,.0f} | {f['start_s']:.2f} | {f['start_cpu_s']:.2f} | {f['memory_mb']:.0f} |"
        )
    out += ["", *(f"- {name}: not measured: {reason}" for name, reason in failed.items()), *goals(medians)]
    pins = sorted({pin for pins in PINS.values() for pin in pins})
    out.append(f"\n{dt.datetime.now(dt.UTC):%Y-%m-%d}, up to {given.rounds} rounds of {given.seconds:g} s, load average "
               f"{os.getloadavg()[1]:.1f} on {os.cpu_count()} cores; {', '.join(pins)}")  # fmt: skip
    (OUT / "serving.md").write_text("\n".join(out) + "\n", "utf-8")
    (OUT / "serving.json").write_text(json.dumps({"rounds": found, "failed": failed}, indent=1), "utf-8")


def goals(medians: dict[str, Figures]) -> list[str]:
    """Spell the ratios, by throughput and by processor time, beside what was aimed at."""
    sklearn = ["MLServer (sklearn)", "BentoML (sklearn)", "mlflow models serve (sklearn)"]
    aims = [("ours /predict", "echo", "rps", 0.5), ("ours /v2", "echo of /v2", "rps", 0.5)]
    for ours in ("ours /predict", "ours /v2"):
        aims += [(ours, peer, "rps", 20.0) for peer in sklearn] + [(ours, "BentoML (onnxruntime)", "rps", 4.0)]
        aims += [(ours, "MLServer (sklearn)", "batch_rps", 8.0)]
    out = []
    for ours, peer, key, aim in aims:
        if ours in medians and peer in medians:
            a, b, spent = medians[ours], medians[peer], key.replace("rps", "cpu_us")
            ratio, by_cpu = a[key] / b[key], b[spent] / a[spent]
            rows = "100 rows" if key == "batch_rps" else "1 row"
            out.append(f"- {ours} / {peer}, {rows}: {ratio:.2f}; by processor time {by_cpu:.2f} (aim {aim:g}){'' if min(ratio, by_cpu) >= aim else ' MISSED'}")  # fmt: skip
    mine = [f["p99_ms"] for label, f in medians.items() if label.startswith("ours")]
    peers = {label: f["p99_ms"] for label, f in medians.items() if not label.startswith(("ours", "echo"))}
    if mine and peers:
        better = [label for label, p99 in peers.items() if p99 <= max(mine)]
        out.append(f"- p99 of one row: {f'MISSED beside {better}' if better else 'below that of every peer measured'}")
    return out


if __name__ == "__main__":
    main()
