"""
What one new month costs: `python bench/collect.py [months …] [--service]`.

Real flights, shifted so that one month follows another; each history is collected first, then `steps.collect` of the
next month is timed as a process, then once more when nothing is new. With `--service` both come from the real
collection service, over HTTP. Prints seconds and peak memory by length of history: what grows from line to line is
what the history costs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import pandas as pd

from ci.adapters.collector import Client
from ci.contract import load_contract, plain
from ci.files import sha256_of
from tests.integration.collecting.running import TOKEN, Running

RAW = ROOT / "data" / "flights" / "raw"
CONTRACT = ROOT / "projects" / "flights" / "contract.yaml"
TIME = "scheduled_departure"
FIRST = datetime(2001, 1, 1)  # noqa: DTZ001 # wall clocks are what the contract counts
BATCH = 5000
PARAMS = """\
as_of: "{as_of}"
source:
  period: month
  lateness_days: 0
  eras:
    - name: shifted
      start: "2001-01-01"
      tables:
        flights: {table}
check: {{}}
split: {{}}
train: {{}}
evaluate: {{}}
"""
FILES, SERVICE = "{kind: file, path: months, time: scheduled_departure}", "{kind: collector}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("months", nargs="*", type=int, default=[6, 24, 96])
    parser.add_argument("--service", action="store_true", help="From the collection service instead of files.")
    given = parser.parse_args()
    print(
        f"{'history':>8} {'rows':>10} {'new month s':>12} {'of it CPU':>10} {'nothing new s':>14} {'of it CPU':>10} {'peak MB':>8}"
    )
    for months in given.months:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), months, service=given.service)


def measure(root: Path, months: int, *, service: bool) -> None:
    lay_out(root)
    running = Running(root / "service")
    more, rows = served(root, running, months + 1) if service else ({}, filed(root, months + 1))
    try:
        write_params(root, begin(0), service=service)
        collect(root, begin(months), more)
        new = collect(root, begin(months + 1), more)
        nothing = collect(root, begin(months + 1), more)
    finally:
        running.kill()
    print(
        f"{months:>8} {rows:>10,} {new[0]:>12.2f} {new[1]:>10.2f} {nothing[0]:>14.2f} {nothing[1]:>10.2f} {new[2]:>8.0f}",
        flush=True,
    )


def lay_out(root: Path) -> None:
    project = root / "projects" / "flights"
    project.mkdir(parents=True)
    (root / "months").mkdir()
    for name in ("ci", "steps", "templates"):
        (root / name).symlink_to(ROOT / name)
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "params.yaml").write_text("projects: [flights]\n")
    (project / "contract.yaml").write_bytes(CONTRACT.read_bytes())
    for name in ("source.py", "features.py", "model.py", "__init__.py"):
        (project / name).touch()
    (root / "projects" / "__init__.py").touch()


def write_params(root: Path, as_of: datetime, *, service: bool) -> None:
    text = PARAMS.format(as_of=f"{as_of:%Y-%m-%d}", table=SERVICE if service else FILES)
    (root / "projects" / "flights" / "params.yaml").write_text(text)


def begin(place: int) -> datetime:
    return (pd.Timestamp(FIRST) + pd.DateOffset(months=place)).to_pydatetime()


def month_of(place: int) -> pd.DataFrame:
    files = sorted(RAW.glob("*.parquet"))
    frame = pd.read_parquet(files[place % len(files)])
    first = frame[TIME].min().normalize().replace(day=1)
    moved = frame.assign(**{TIME: frame[TIME] - first + pd.Timestamp(begin(place))})
    return moved[moved[TIME] < pd.Timestamp(begin(place + 1))]


def filed(root: Path, months: int) -> int:
    """Lay a file for each month; nothing of them stays in memory, or every process started here would seem as large."""
    rows = 0
    for place in range(months):
        frame = month_of(place)
        frame.to_parquet(root / "months" / f"{begin(place):%Y-%m}.parquet", index=False)
        rows += len(frame)
    return rows


def served(root: Path, running: Running, months: int) -> tuple[dict[str, str], int]:
    from ci.collecting.spelling import _spelled as spelled
    from ci.project import Project

    write_params(root, begin(0), service=True)
    contract = load_contract(CONTRACT)
    running.knows(Project("flights", root / "projects" / "flights"))
    running.start()
    client = Client(running.url, "flights", TOKEN, contract=sha256_of(plain(contract)), patience_s=60)
    rows, names = 0, list(contract.columns)
    for place in range(months):
        frame = month_of(place)
        for start in range(0, len(frame), BATCH):
            client.send("records", spelled(frame.iloc[start : start + BATCH], names))
        rows += len(frame)
    last = frame.tail(1).assign(**{TIME: pd.Timestamp(begin(months))})  # settles the last month
    client.send("records", spelled(last, names))
    client.periods()  # compacts: the service's own work, once for each month
    return running.variables, rows


def collect(root: Path, until: datetime, more: dict[str, str]) -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak memory of one run."""
    command = [sys.executable, "-m", "steps.collect", "--project", "flights", "--as-of", f"{until:%Y-%m-%d}"]
    environment = {**os.environ, "SLIPWAY_CACHE": str(root / "cache"), **more}
    began = time.monotonic()
    done = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.PIPE, text=True)
    said = done.stderr.read() if done.stderr else ""
    _, code, used = os.wait4(done.pid, 0)
    done.returncode = code
    if code:
        sys.exit(said)
    return time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
