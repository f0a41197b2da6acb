"""
How ingest, check_data and prepare grow: flights repeated with shifted dates, to 3, 10 and 30 million rows.

Prints wall time and peak memory of each step as a process of its own. `python bench/scale.py 3 10` runs two sizes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import resource

    import pandas as pd

LIMIT_MB = 2048
STEPS = ("ingest", "check_data", "prepare")
YEAR = "2013"
PARAMS = """\
as_of: "{as_of}"
source:
  period: month
  eras:
    - name: repeated
      start: "{start}"
      tables:
        flights: {{kind: file, path: rows.parquet, time: scheduled_departure}}
check: {{max_age_days: 3, min_rows: 1000, rows_factor: 5}}
split: {{strategy: time, test_days: 30}}
train: {{seed: 1}}
evaluate: {{}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("millions", nargs="*", type=int, default=[3, 10, 30])
    parser.add_argument("--folder", type=Path, help="Where to work; a temporary folder if not given.")
    parser.add_argument("--dense", action="store_true", help="All in one year: few large periods instead of many.")
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make(given.folder, given.make, dense=given.dense)
        return
    print(f"{'million rows':>12}  {'step':<11} {'seconds':>8} {'s per million':>14} {'peak MB':>8}")
    worst = 0.0
    for millions in given.millions:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            worst = max(worst, measured(millions, Path(folder), dense=given.dense))
    print(f"the highest peak is {worst:.0f} MB, {'within' if worst < LIMIT_MB else 'ABOVE'} the {LIMIT_MB} MB allowed")
    sys.exit(worst >= LIMIT_MB)


def measured(millions: int, folder: Path, *, dense: bool) -> float:
    """Run the three steps on so many rows; return the highest peak in MB."""
    # Made by a process of its own: a child's peak counts from what its parent held when it was forked.
    making = [sys.executable, __file__, "--folder", str(folder), "--make", str(millions * 1_000_000)]
    making += ["--dense"] if dense else []
    subprocess.run(making, check=True)
    highest = 0.0
    for step in STEPS:
        seconds, peak_mb = run(folder, step)
        highest = max(highest, peak_mb)
        print(f"{millions:>12}  {step:<11} {seconds:>8.1f} {seconds / millions:>14.2f} {peak_mb:>8.0f}", flush=True)
    return highest


def make(root: Path, n_rows: int, *, dense: bool) -> None:
    """Lay out a checkout whose source is one Parquet of at least `n_rows` rows."""
    for name in ("ci", "steps", "templates"):
        (root / name).symlink_to(ROOT / name)
    project = root / "projects" / "flights"
    shutil.copytree(ROOT / "projects" / "flights", project, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / "params.yaml").write_text("projects: [flights]\n")
    (project / "source.py").write_text("")
    (root / "projects" / "__init__.py").touch()
    contract = (project / "contract.yaml").read_text(encoding="utf-8")
    contract = contract.replace("{type: integer, role: meta, minimum: 1, maximum: 9999}", "{type: integer, role: meta}")
    (project / "contract.yaml").write_text(contract, encoding="utf-8")
    year = one_year()
    years = -(-n_rows // len(year))
    write(root / "rows.parquet", year, years, dense=dense)
    as_of = f"{int(YEAR) + (1 if dense else years)}-01-01"
    (project / "params.yaml").write_text(PARAMS.format(as_of=as_of, start=f"{YEAR}-01-01"))


def one_year() -> pd.DataFrame:
    """Return the final rows of 2013, as the project itself makes them."""
    from ci.adapters import fetch, tables
    from ci.data.rows import conformed
    from ci.params import load
    from ci.project import Project, ProjectParams
    from projects.flights.source import assemble

    params = load(ProjectParams, ROOT / "projects" / "flights" / "params.yaml")
    open_table = tables.opener(fetch.cache_folder())
    era = params.source.eras[0]
    rows = assemble({name: open_table(table).read(None, None) for name, table in era.tables.items()})
    rows = conformed(rows, Project("flights", ROOT / "projects" / "flights").contract)
    return rows[rows["scheduled_departure"].dt.year == int(YEAR)].sort_values("scheduled_departure")


def write(path: Path, year: pd.DataFrame, years: int, *, dense: bool) -> None:
    """Write the year once for each year, with its dates moved (29 February stays empty), or with other flight numbers."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for place in range(years):
        moved = year["scheduled_departure"] + pd.DateOffset(years=0 if dense else place)
        rows = year.assign(scheduled_departure=moved.astype("datetime64[us]"), flight=year["flight"] + 10_000 * place)
        table = pa.Table.from_pandas(rows, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=131_072)
    if writer:
        writer.close()


def run(root: Path, step: str) -> tuple[float, float]:
    """Run a step as a process; return seconds and peak resident MB."""
    environment = {**os.environ, "SLIPWAY_CACHE": str(root / ".cache")}
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", f"steps.{step}", "--project", "flights"],
        cwd=root,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = process.stderr.read() if process.stderr else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - started
    if process.returncode:
        print(re.sub(r"(?m)^", "  ", said))
        sys.exit(f"{step} ended with {process.returncode}")
    return seconds, peak(usage)


def peak(usage: resource.struct_rusage) -> float:
    """Peak resident memory in MB: kilobytes on Linux, bytes on macOS."""
    return usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


if __name__ == "__main__":
    main()
