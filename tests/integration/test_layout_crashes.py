"""The registry in a folder under several processes, some of them killed: nobody ever sees half of anything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from ci.adapters.registry import LayoutRegistry
from ci.packaging.oci import digest_of, parts

ROOT = Path(__file__).resolve().parents[2]
WRITER = """
import sys
from pathlib import Path
from ci.adapters.registry import LayoutRegistry
from ci.packaging.interface import MANIFEST
from ci.packaging.oci import EMPTY_BLOB, artifact, descriptor
registry, who, n = LayoutRegistry(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for number in range(n):
    content = f"{who} {number}".encode()
    registry.push_blob("a", EMPTY_BLOB)
    registry.push_blob("a", content)
    registry.push_manifest("a", artifact("t/x", [descriptor("text/plain", content)], {}), MANIFEST, [f"{who}-{number}"])
    print(number, flush=True)
"""


def writer(folder: Path, who: str, n: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), who, str(n)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def whole(folder: Path) -> LayoutRegistry:
    """Check that all that the index names is there and is what its digest says."""
    registry = LayoutRegistry(folder, timeout_s=5)
    for item in json.loads((folder / "a" / "index.json").read_text())["manifests"]:
        manifest = registry.pull_manifest("a", item["digest"])
        for blob, size in parts(manifest.raw, "").blobs:
            assert digest_of(registry.pull_blob("a", blob, size)) == blob
    return registry


def test_processes_that_push_at_once_lose_nothing(tmp_path):
    running = [writer(tmp_path, f"w{number}", 15) for number in range(3)]
    for process in running:
        assert process.wait(60) == 0
    assert len(whole(tmp_path).tags("a")) == 45


def test_a_kill_leaves_a_whole_registry_that_takes_more(tmp_path):
    for round_ in range(4):
        process = writer(tmp_path, f"k{round_}", 100_000)
        process.stdout.readline()
        time.sleep(0.07 * round_)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        assert f"k{round_}-0" in whole(tmp_path).tags("a")
    assert writer(tmp_path, "after", 2).wait(30) == 0
    assert "after-1" in whole(tmp_path).tags("a")
