"""Stopped, starved or raced: what a step leaves behind is whole or nothing, and the next run sees to the rest."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests import shop
from tests.steps.checkout import OUTS, STAGES, Checkout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLOW_CODE = {
    "ingest": (
        "source.py",
        "def assemble(tables):\n    import pathlib, time\n    pathlib.Path('inside').touch()\n    time.sleep(60)\n",
    ),
    "train": (
        "model.py",
        "def estimator(params, features):\n    import pathlib, time\n    pathlib.Path('inside').touch()\n    time.sleep(60)\n",
    ),
}


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a step is in the midst of it."""
    for _ in range(600):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    pytest.fail(f"{path} never came")


def slowed(checkout: Checkout, stage: str) -> None:
    file, text = SLOW_CODE[stage]
    (checkout.root / "projects/shop" / file).write_text(text)


@pytest.mark.parametrize("stage", list(SLOW_CODE))
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_a_stopped_step_leaves_the_former_output_and_says_how_it_ended(
    built: Checkout, stage: str, number: int, code: int
) -> None:
    before = built.files(OUTS[stage])
    slowed(built, stage)
    process = built.start(stage)
    wait_for(built.root / "inside", process)
    assert not (built.root / f"reports/shop/{stage}.json").exists()  # the former report is gone from the first moment
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert f"{stage}: crashed: stopped by signal {int(number)}\n" in err
    assert "Traceback" not in err
    assert built.report(stage)["exit_code"] == code
    assert built.files(OUTS[stage]) == before
    assert built.leftovers() == []


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("after_s", [0.15, 0.6, 1.2])
def test_a_signal_at_any_moment_leaves_all_or_nothing(built: Checkout, stage: str, after_s: float) -> None:
    before = built.files(OUTS[stage])
    process = built.start(stage)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in {0, 130, -2}, err  # -2: by the signal itself, when Python was leaving already
    assert built.files(OUTS[stage]) == before
    assert built.leftovers() == []


@pytest.mark.parametrize("stage", list(SLOW_CODE))
def test_a_killed_step_is_made_good_by_the_next_run(built: Checkout, stage: str) -> None:
    before = built.files(OUTS[stage])
    slowed(built, stage)
    process = built.start(stage)
    wait_for(built.root / "inside", process)
    process.kill()
    process.communicate(timeout=20)
    assert not (built.root / f"reports/shop/{stage}.json").exists()
    (built.root / "projects/shop" / SLOW_CODE[stage][0]).write_text("")
    ended = built.run(stage)
    assert ended.code == 0, ended.err
    assert built.files(OUTS[stage]) == before


def test_two_at_once_are_one_and_one_who_is_told_so(built: Checkout) -> None:
    slowed(built, "ingest")
    first = built.start("ingest")
    wait_for(built.root / "inside", first)
    for stage in STAGES:
        second = built.run(stage)
        assert second.code == 5
        assert second.said == f"{stage}: unavailable: shop: another process works on it (process {first.pid})"
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=20)
    assert first.returncode == 143
    (built.root / "projects/shop/source.py").write_text("")
    assert built.run("ingest").code == 0


def test_two_started_together_both_end_and_the_data_is_whole(fresh: Checkout) -> None:
    running = [fresh.start("ingest") for _ in range(3)]
    codes = sorted(process.wait(timeout=60) for process in running)
    assert codes[0] == 0
    assert set(codes) <= {0, 5}
    assert fresh.run("check_data").code == 0


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=600k", "none", folder], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path, leave_kb: int) -> Path:
    """Fill a file system but for some space."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as target, suppress(OSError):
        while True:
            target.write(b"x" * 512)
    os.truncate(filler, max(0, filler.stat().st_size - leave_kb * 1024))
    return filler


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_is_worth_a_retry_and_spoils_nothing(built: Checkout, tiny_disk: Path, stage: str) -> None:
    """The stage's output lies on the small disk, as does its folder; reports do not."""
    out = built.root / OUTS[stage]
    held = tiny_disk / "held"
    out.parent.rename(built.root / "moved")
    held.mkdir()
    subprocess.run(["cp", "-a", f"{built.root / 'moved'}/.", held], check=True)
    out.parent.symlink_to(held)
    before = built.files(OUTS[stage])
    if stage == "ingest":  # something new to read
        built.deliver(shop.visits(seed=1))
    filler = fill(tiny_disk, 0)
    ended = built.run(stage)
    assert ended.code == 5, ended.err
    assert "no space left on the device" in ended.said
    assert "Traceback" not in ended.err
    assert built.files(OUTS[stage]) == before
    filler.unlink()
    assert built.run(stage).code == 0


def test_a_full_disk_under_the_reports_is_no_success(built: Checkout, tiny_disk: Path) -> None:
    subprocess.run(["rm", "-r", built.root / "reports"], check=True)
    (built.root / "reports").symlink_to(tiny_disk)
    fill(tiny_disk, 0)
    ended = built.run("check_data")
    assert ended.code == 5
    assert "check_data: unavailable: report not written: reports/shop" in ended.err


@pytest.fixture
def read_only(built: Checkout) -> Iterator[Checkout]:
    """A checkout in which nothing may be written: by permissions, which do not hold root, or by a read-only mount."""
    if os.geteuid() != 0:
        writable = [
            folder for folder in [built.root, *built.root.rglob("*")] if folder.is_dir() and not folder.is_symlink()
        ]
        for folder in writable:
            folder.chmod(0o555)
        yield built
        for folder in writable:
            folder.chmod(0o755)
        return
    for options in (["--bind", built.root, built.root], ["-o", "remount,ro,bind", built.root]):
        if subprocess.run(["mount", *options], check=False, capture_output=True).returncode:
            pytest.skip("this machine lets nobody mount")
    yield built
    subprocess.run(["umount", built.root], check=True)


@pytest.mark.parametrize("stage", STAGES)
def test_a_read_only_checkout_is_bad_input(read_only: Checkout, stage: str) -> None:
    before = read_only.files(*OUTS.values(), "reports")
    ended = read_only.run(stage)
    assert ended.code == 2, ended.err
    assert re.match(rf"{stage}: bad input: \S+: (read-only file system|permission denied)$", ended.said)
    assert "Traceback" not in ended.err
    assert read_only.files(*OUTS.values(), "reports") == before
