"""
All stages of flights against a plain script, and what a run costs when nothing changed.

The two take turns on the whole of 2013, in a copy of this checkout; figures are medians of whole processes, and ratios
are taken pair by pair, because machines drift. Nothing here is a test.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STAGES = ("ingest", "check_data", "prepare", "train", "evaluate", "bundle")
FILES = ("flights.csv.zip", "weather.csv", "planes.csv")


def main(rounds: int = 3) -> None:
    with tempfile.TemporaryDirectory() as folder:
        checkout, carried = Path(folder, "checkout"), Path(folder, "carried")
        prepare(checkout, carried)
        pairs = []
        for _ in range(rounds):
            plain = timed([sys.executable, str(ROOT / "bench" / "plain.py"), str(carried)], checkout)
            shutil.rmtree(checkout / ".dvc" / "cache", ignore_errors=True)
            for name in ("data", "models", "artifacts", "dvc.lock"):
                shutil.rmtree(checkout / name, ignore_errors=True)
            (checkout / "dvc.lock").unlink(missing_ok=True)
            stages = timed(["dvc", "repro", "bundle@flights"], checkout)
            pairs.append((stages, plain))
            print(f"all stages {stages:6.1f} s   plain script {plain:6.1f} s   ratio {stages / plain:.2f}", flush=True)
        step(checkout)
        print(f"median ratio {statistics.median(a / b for a, b in pairs):.2f} (aim: at most 1.3)")
        nothing_changed(checkout)
        help_texts(checkout)


def step(checkout: Path) -> None:
    for name in STAGES:
        print(f"  {name:<11}{timed([sys.executable, '-m', f'steps.{name}', '--project', 'flights'], checkout):6.1f} s")


def nothing_changed(checkout: Path) -> None:
    timed([sys.executable, "-m", "steps.repro", "--project", "flights"], checkout)
    again, status = [], []
    for _ in range(5):
        again.append(timed([sys.executable, "-m", "steps.repro", "--project", "flights"], checkout))
        status.append(timed(["dvc", "status"], checkout))
    a, b = statistics.median(again), statistics.median(status)
    print(f"nothing changed: steps.repro {a:.2f} s, dvc status {b:.2f} s (aim: at most {2 * b + 1:.2f} s)")


def help_texts(checkout: Path) -> None:
    bare = statistics.median(timed([sys.executable, "-c", "import click"], checkout) for _ in range(9))
    for name in sorted(path.stem for path in (checkout / "steps").glob("*.py") if path.stem != "__init__"):
        command = [sys.executable, "-m", f"steps.{name}", "--help"]
        took = statistics.median(timed(command, checkout) for _ in range(9))
        print(f"  {name + ' --help':<20}{1000 * (took - bare):4.0f} ms beside import click (aim: at most 150)")


def prepare(checkout: Path, carried: Path) -> None:
    checkout.mkdir()
    for name in ("ci", "steps", "projects", "templates"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config"):
        (checkout / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, checkout / name)
    subprocess.run(["git", "init", "--quiet"], cwd=checkout, check=True)
    params = checkout / "projects/flights/params.yaml"
    params.write_text(params.read_text().replace('as_of: "2013-07-01"', 'as_of: "2014-01-01"'))
    timed([sys.executable, "-m", "steps.ingest", "--project", "flights"], checkout)
    timed([sys.executable, "-m", "compileall", "-q", "."], checkout)  # both are measured warm
    sys.path.insert(0, str(ROOT))
    from ci.adapters.fetch import cache_folder

    carried.mkdir()
    for name in FILES:
        (found,) = list((cache_folder() / "packages").glob(f"*/{name}"))
        shutil.copyfile(found, carried / name)


def timed(command: list[str], cwd: Path) -> float:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(cwd)}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}\n{done.stdout}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
