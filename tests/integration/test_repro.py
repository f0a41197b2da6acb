"""`steps.repro` with real DVC: what it runs, what it takes from elsewhere, and how it ends when something is wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import Checkout, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("dvc")
STAGES = ["ingest", "check_data", "prepare", "train", "evaluate", "bundle"]


def report(checkout: Checkout) -> dict:
    return json.loads((checkout.path / "reports/all/repro.json").read_text())


def did(checkout: Checkout) -> dict[str, str]:
    return {row[0].split("@")[0]: row[1] for row in report(checkout)["tables"][0]["rows"]}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One checkout, reproduced and pushed; tests clone it, and leave it as it is."""
    from tests.integration.conftest import new_checkout

    path = tmp_path_factory.mktemp("built") / "clone"
    path.mkdir()
    made = new_checkout(path)
    done = made.run("steps.repro")
    assert done.returncode == 0, done.stderr
    made.commit("built")
    return made


@pytest.fixture
def clone(built: Checkout, tmp_path: Path) -> Checkout:
    return built.clone(tmp_path / "clone")


def test_first_run_runs_everything_and_a_second_nothing(built: Checkout) -> None:
    assert (built.path / "artifacts/shop/model.onnx").is_file()
    before = (built.path / "dvc.lock").read_bytes()
    done = built.run("steps.repro")
    assert done.returncode == 0
    assert did(built) == dict.fromkeys(STAGES, "skipped, nothing changed")
    assert (built.path / "dvc.lock").read_bytes() == before


def test_another_clone_takes_results_instead_of_making_them(clone: Checkout, built: Checkout) -> None:
    done = clone.run("steps.repro")
    assert done.returncode == 0, done.stderr
    assert "ran" not in did(clone).values()
    assert (clone.path / "artifacts/shop/model.onnx").read_bytes() == (
        built.path / "artifacts/shop/model.onnx"
    ).read_bytes()


def test_run_cache_of_another_clone_spares_the_training(clone: Checkout) -> None:
    """A clone that never saw dvc.lock finds the results by their inputs."""
    (clone.path / "dvc.lock").unlink()
    done = clone.run("steps.repro")
    assert done.returncode == 0, done.stderr
    assert did(clone)["train"] == "came from the run cache"


def test_two_clones_that_share_nothing_make_the_same_bytes(built: Checkout, clone: Checkout, tmp_path: Path) -> None:
    (clone.path / "dvc.lock").unlink()
    clone.edit(".dvc/config", str(built.path.parent / "remote"), str(tmp_path / "other-remote"))
    done = clone.run("steps.repro")
    assert done.returncode == 0, done.stderr
    assert did(clone) == dict.fromkeys(STAGES, "ran")
    assert (clone.path / "dvc.lock").read_text() == (built.path / "dvc.lock").read_text()


@pytest.mark.parametrize("hash_seed", ["1", "3"])
def test_bytes_do_not_depend_on_the_hash_seed(built: Checkout, clone: Checkout, hash_seed: str) -> None:
    assert clone.command("dvc", "pull", "prepare@shop").returncode == 0
    done = clone.run("steps.train", "--project", "shop", PYTHONHASHSEED=hash_seed)
    assert done.returncode == 0, done.stderr
    assert (clone.path / "models/shop/model/model.onnx").read_bytes() == (
        built.path / "models/shop/model/model.onnx"
    ).read_bytes()


def test_one_more_month_reads_that_month_and_makes_another_data_version(clone: Checkout, built: Checkout) -> None:
    clone.run("steps.repro")
    clone.edit("projects/shop/params.yaml", 'as_of: "2024-04-01"', 'as_of: "2024-03-01"')
    assert clone.run("steps.repro").returncode == 0
    former = json.loads((clone.path / "artifacts/shop/lineage.json").read_text())["data"]["version"]
    clone.edit("projects/shop/params.yaml", 'as_of: "2024-03-01"', 'as_of: "2024-04-01"')
    clone.edit("projects/shop/params.yaml", "check: {min_rows: 50}", "check: {min_rows: 51}")
    assert clone.run("steps.repro").returncode == 0
    again = json.loads((clone.path / "artifacts/shop/lineage.json").read_text())["data"]["version"]
    assert former != again == json.loads((built.path / "artifacts/shop/lineage.json").read_text())["data"]["version"]


def test_foreign_code_re_runs_nothing(clone: Checkout) -> None:
    clone.run("steps.repro")
    (clone.path / "ci/summary.py").write_text("# changed\n")
    (clone.path / "projects/other").mkdir()
    (clone.path / "projects/other/model.py").write_text("# another team's\n")
    assert clone.run("steps.repro").returncode == 0
    assert set(did(clone).values()) == {"skipped, nothing changed"}


def test_rejected_data_ends_with_the_stages_own_code_and_words(clone: Checkout) -> None:
    clone.edit("projects/shop/contract.yaml", "maximum: 120", "maximum: 40")
    done = clone.run("steps.repro")
    assert done.returncode == 3
    assert report(clone)["message"].startswith("check_data@shop: age is above 40 in ")
    assert did(clone)["check_data"] == "failed"
    assert "train" not in did(clone)


def test_misspelt_parameter_ends_with_two_and_names_the_key(clone: Checkout) -> None:
    clone.edit("projects/shop/params.yaml", "test_days", "test_dys")
    done = clone.run("steps.repro")
    assert done.returncode == 2
    assert "split.test_dys: unknown key (did you mean test_days?)" in done.stderr


def test_missing_section_says_what_to_write(clone: Checkout) -> None:
    clone.edit("projects/shop/params.yaml", "evaluate: {}\n", "")
    done = clone.run("steps.repro")
    assert done.returncode == 2
    assert "evaluate" in report(clone)["message"]


def test_unknown_project_is_named_with_the_nearest(clone: Checkout) -> None:
    done = clone.run("steps.repro", "--project", "shp")
    assert done.returncode == 2
    assert "shp: unknown project" in done.stderr
    assert "did you mean shop?" in done.stderr


def test_dry_run_changes_nothing(checkout: Checkout) -> None:
    done = checkout.run("steps.repro", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert report(checkout)["message"] == "6 stages would run"
    assert not (checkout.path / "data").exists()


def test_only_data_stops_before_training(checkout: Checkout) -> None:
    done = checkout.run("steps.repro", "--only", "data")
    assert done.returncode == 0, done.stderr
    assert list(did(checkout)) == ["ingest", "check_data", "prepare"]


def test_forgotten_push_is_an_error(checkout: Checkout) -> None:
    assert checkout.run("steps.repro", "--no-push").returncode == 0
    done = checkout.run("steps.repro", "--locked")
    assert done.returncode == 2
    assert "not in the remote" in done.stderr
    assert checkout.run("steps.repro").returncode == 0
    assert checkout.run("steps.repro", "--locked").returncode == 0


def test_two_at_once_the_second_is_told_who_holds_the_clone(checkout: Checkout) -> None:
    checkout.edit("projects/shop/params.yaml", "max_iter: 20", "max_iter: 600")
    first = subprocess.Popen(
        [sys.executable, "-m", "steps.repro"], cwd=checkout.path, env=checkout.environment(), stderr=subprocess.DEVNULL
    )
    try:
        wait_for(
            lambda: (
                (checkout.path / ".slipway/repro.lock").exists() and (checkout.path / ".slipway/repro.lock").read_text()
            )
        )
        second = checkout.run("steps.repro")
        assert second.returncode == 5
        assert f"process {first.pid} since" in second.stderr
    finally:
        assert first.wait(120) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_half_way_leaves_nothing_that_a_later_run_would_trust(
    checkout: Checkout, number: int, code: int
) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "steps.repro"],
        cwd=checkout.path,
        env=checkout.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in running.stderr:
        if "Running stage 'train@shop'" in line:
            break
    time.sleep(0.8)
    os.kill(running.pid, number)
    running.communicate(timeout=60)
    assert running.returncode == code
    done = checkout.run("steps.repro")
    assert done.returncode == 0, done.stderr
    assert did(checkout)["train"] == "ran"


def test_remote_that_cannot_be_written_is_unavailable_and_loses_nothing(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "remote").write_text("a file where a folder should be")
    done = checkout.run("steps.repro")
    assert done.returncode == 5, done.stderr
    assert "dvc" in report(checkout)["message"]
    (tmp_path / "remote").unlink()
    assert checkout.run("steps.repro").returncode == 0


@contextmanager
def mounted(folder: Path, *how: list[str]) -> Iterator[None]:
    """Mount what ends before the test does; only root may."""
    done = [subprocess.run(["mount", *options, str(folder)], check=False, capture_output=True) for options in how]
    try:
        if any(each.returncode for each in done):
            pytest.skip("this machine lets nobody mount")
        yield
    finally:
        if not done[0].returncode:
            subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--locked"]], ids=str)
def test_a_read_only_clone_is_bad_input(checkout: Checkout, options: list[str]) -> None:
    clone = str(checkout.path)
    with mounted(checkout.path, ["--bind", clone], ["-o", "remount,ro,bind", clone]):
        done = checkout.run("steps.repro", *options)
    assert done.returncode == 2, done.stderr
    assert "repro: bad input: .slipway: read-only file system\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_is_worth_a_retry_and_is_not_trusted_later(checkout: Checkout) -> None:
    """Given 12 kB for a clone's data, when it reproduces, then it says why it cannot, and goes on where there is room."""
    data = checkout.path / "data"
    data.mkdir()
    with mounted(data, ["-t", "tmpfs", "-o", "size=12k", "none"]):
        done = checkout.run("steps.repro")
        assert done.returncode == 5, done.stderr
        assert "no space left on the device" in report(checkout)["message"]
        assert "Traceback" not in done.stderr
        assert not (checkout.path / "dvc.lock").exists()
        assert not [path for path in data.rglob("*") if path.is_file()]
    done = checkout.run("steps.repro", "--only", "data")
    assert done.returncode == 0, done.stderr
    assert did(checkout)["ingest"] == "ran"


def test_outside_of_a_checkout_is_one_line(tmp_path: Path, checkout: Checkout) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "steps.repro"],
        cwd=tmp_path / "elsewhere",
        env=checkout.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "not inside a checkout" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_dvc_user_gets_what_a_dvc_user_expects(clone: Checkout) -> None:
    """dag, status, params, metrics, plots and experiments, with plain dvc."""
    assert clone.run("steps.repro").returncode == 0
    assert "bundle@shop" in clone.command("dvc", "dag").stdout
    assert "up to date" in clone.command("dvc", "status").stdout
    assert "auc" in clone.command("dvc", "metrics", "show").stdout
    plots = clone.command("dvc", "plots", "show", "--out", "plots")
    assert plots.returncode == 0, plots.stderr
    assert (clone.path / "plots/index.html").is_file()
    experiment = clone.command(
        "dvc", "exp", "run", "--name", "trees", "-S", "projects/shop/params.yaml:train.estimator.max_iter=30"
    )
    assert experiment.returncode == 0, experiment.stderr
    assert "max_iter" in clone.command("dvc", "params", "diff").stdout
    assert "auc" in clone.command("dvc", "metrics", "diff").stdout
    shutil.rmtree(clone.path / "plots")


def test_a_changed_local_file_is_read_again(clone: Checkout) -> None:
    """Given a clone with results, when rows are added to its CSV, then all that depends on them runs; and only once."""
    params, source = clone.path / "projects/shop/params.yaml", clone.path.parent / "visits.csv"
    original = next(line.split('"')[1] for line in params.read_text().splitlines() if "path:" in line)
    shutil.copyfile(original, source)
    clone.edit("projects/shop/params.yaml", original, str(source))
    assert clone.run("steps.repro").returncode == 0
    with source.open("a", encoding="utf-8") as file:
        file.writelines(f"{5000 + n},{20 + n},{n}.5,York,2024-03-30,{n % 2 == 0}\n" for n in range(30))
    assert clone.run("steps.repro", "--dry-run").returncode == 0
    assert did(clone)["ingest"].startswith("would run")
    done = clone.run("steps.repro")
    assert done.returncode == 0, done.stderr
    assert did(clone) == dict.fromkeys(STAGES, "ran")
    assert json.loads((clone.path / "reports/shop/ingest.json").read_text())["facts"]["rows"] == 1230
    assert clone.run("steps.repro").returncode == 0
    assert did(clone) == dict.fromkeys(STAGES, "skipped, nothing changed")
    source.unlink()  # whoever has the results needs no source
    assert clone.run("steps.repro").returncode == 0
    assert did(clone) == dict.fromkeys(STAGES, "skipped, nothing changed")
