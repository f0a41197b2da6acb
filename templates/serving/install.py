"""
Unpack checked wheels and the server into /image, trimmed and compiled; runs inside the build, with its Python.

No pip: a wheel is a zip file, and these need nothing but to be unpacked. The same wheels and the same Python give the
same bytes: sorted names, fixed times, byte code that is bound to its source by hash and not by time.
"""

import hashlib
import json
import os
import py_compile
import shutil
import sys
import zipfile
from pathlib import Path

BUILD, IMAGE = Path("/build"), Path("/image")
PACKAGES, SERVER = Path("opt", "slipway", "site-packages"), Path("opt", "slipway", "serving")


def main() -> None:
    """Lay out the layers: dependencies, the server if the context carries one, folders that a volume will be mounted on."""
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets is in the byte code
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})  # noqa: S606
    plan = json.loads((BUILD / "plan.json").read_text("utf-8"))
    found = f"{sys.version_info.major}.{sys.version_info.minor}"
    if found != plan["python"]:
        sys.exit(
            f"the base image has Python {found}, the wheels are for {plan['python']} (image.python in params.yaml)"
        )
    packages = IMAGE / "dependencies" / PACKAGES
    packages.mkdir(parents=True)
    for name, sha256 in sorted(plan["wheels"].items()):
        unpack(BUILD / "wheels" / name, sha256, packages)
    trim(packages, plan["trim"])
    layers = {"dependencies": PACKAGES}
    if (BUILD / "serving").is_dir():
        shutil.copytree(BUILD / "serving", IMAGE / "server" / SERVER)
        layers["server"] = SERVER
    for layer, place in layers.items():
        compile_all(IMAGE / layer, place)
        settle(IMAGE / layer, plan["epoch"])
    for folder in plan["folders"]:
        (IMAGE / "folders" / folder).mkdir(parents=True)
        (IMAGE / "folders" / folder).chmod(0o775)
        os.utime(IMAGE / "folders" / folder, (plan["epoch"], plan["epoch"]))


def unpack(wheel: Path, sha256: str, target: Path) -> None:
    """Check a wheel and unpack it."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != sha256:
        sys.exit(f"{wheel.name}: not the file that the lock names")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)


def trim(packages: Path, patterns: "list[str]") -> None:
    """Remove what no server needs."""
    for pattern in patterns:
        for path in sorted(packages.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def compile_all(root: Path, place: Path) -> None:
    """Compile every module: the image runs read-only, and would compile at each start."""
    for source in sorted((root / place).rglob("*.py")):
        shown = "/" + str(source.relative_to(root))
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        try:
            py_compile.compile(str(source), dfile=shown, doraise=True, invalidation_mode=mode)
        except py_compile.PyCompileError:
            print(f"not compiled: {shown}")  # noqa: T201  # a package may carry syntax of other versions


def settle(root: Path, epoch: int) -> None:
    """Give everything one owner, plain modes and one time; innermost first, because a change below touches a folder."""
    for path in sorted((*root.rglob("*"), root), reverse=True):
        executable = path.is_dir() or path.suffix == ".so"
        path.chmod(0o755 if executable else 0o644)
        os.utime(path, (epoch, epoch))


if __name__ == "__main__":
    main()
