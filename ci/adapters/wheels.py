"""The door to package indexes for the image's wheels, and to a fresh environment in which a wheel of ours is tried."""

from __future__ import annotations

import json
import sys
import tempfile
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci.adapters.process import run
from ci.errors import BadInput, Unavailable
from ci.files import read_json, said_plainly
from ci.packaging.smoke import agrees
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.packaging.wheelhouse import Target

ALLOWED = ("numpy", "onnxruntime")
_TRY = """
import importlib.util, json, sys
model = __import__(sys.argv[1])
loaded = model.load()
rows = json.load(open(sys.argv[2]))['rows']
others = [name for name in ('pandas', 'sklearn', 'scipy', 'ci', 'serving') if importlib.util.find_spec(name)]
print(json.dumps({'answers': loaded.predict(rows).tolist(), 'version': model.__version__, 'others': others}))
"""


def fill(lock: Path, folder: Path, target: Target) -> None:
    """
    Download the wheels of a lock file for a platform; pip checks each against its sha256.

    Raises:
        Unavailable: no index answers, or it has no such wheel.
    """
    with said_plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "--dest", str(folder), "-r", str(lock)]
    command += ["--implementation", "cp", "--python-version", target.python]
    for abi in (f"cp{target.python.replace('.', '')}", "abi3", "none"):
        command += ["--abi", abi]
    for platform in target.platforms:
        command += ["--platform", platform]
    done = run(command, timeout_s=900)
    if done.code:
        errors = [line for line in done.err.splitlines() if line.startswith("ERROR")]
        said = (errors or done.err.splitlines() or ["no word"])[-1].removeprefix("ERROR: ")
        raise Unavailable(f"{folder}: wheels were not downloaded: {said[:200]}",
                          hint="without a network, copy the folder from a machine that has one")  # fmt: skip


def tried(wheel: Path, package: str, golden: Path) -> list[Check]:
    """Install a wheel where there is nothing but numpy, onnxruntime and what they need; ask for the golden rows."""
    with tempfile.TemporaryDirectory(prefix="slipway-venv-") as folder:
        python = _fresh(Path(folder))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
        for command in (["install", "--quiet", "--no-index", "--no-deps", str(wheel.resolve())], ["check"]):
            done = run([*pip, *command], timeout_s=120)
            if done.code:
                said = " ".join((done.err or done.out).split())[-300:]
                return [Check("wheel", Found.REJECTED, f"pip {command[0]}: {said}")]
        done = run([str(python), "-I", "-c", _TRY, package, str(golden.resolve())], timeout_s=120)
    if done.code:
        last = (done.err.strip().splitlines() or ["no word"])[-1]
        return [Check("wheel", Found.REJECTED, f"does not work in a fresh environment: {last[:300]}")]
    return [_judged(json.loads(done.out.splitlines()[-1]), read_json(golden))]


def _judged(told: dict[str, Any], golden: dict[str, Any]) -> Check:
    if told["others"]:
        raise BadInput(f"the fresh environment is none: it has {told['others'][0]}")
    good, difference = agrees(told["answers"], golden)
    fact = "as" if good else "not as"
    return Check(
        "wheel",
        Found.PASSED if good else Found.REJECTED,
        f"{len(told['answers'])} golden rows answered {fact} when the bundle was sealed, beside {' and '.join(ALLOWED)} alone",
        difference,
        golden["tolerance"],
        n=len(told["answers"]),
    )


def _fresh(folder: Path) -> Path:
    """Make an environment, and link into it the allowed packages of this one: no network, no second download."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    packages = next(folder.glob("lib*/python*/site-packages"))
    for name in _needed(ALLOWED):
        found = distribution(name)
        for top in {path.parts[0] for path in found.files or () if path.parts[0] not in ("..", "__pycache__")}:
            link = packages / top
            if not link.exists():
                link.symlink_to(str(found.locate_file(top)))
    return folder / "bin" / "python"


def _needed(names: Sequence[str]) -> list[str]:
    """Follow the requirements of packages that are installed here."""
    from packaging.requirements import Requirement

    found: list[str] = []
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            wanted = [Requirement(text) for text in distribution(name).requires or ()]
        except PackageNotFoundError as error:
            raise Unavailable(f"{name}: not installed here, so that a wheel that needs it cannot be tried") from error
        found.append(name)
        waiting += [item.name for item in wanted if item.marker is None or item.marker.evaluate({"extra": ""})]
    return found
