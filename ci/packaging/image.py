"""
The service image: a runtime that all releases of one recipe share, and one thin layer with the bundle.

Rendered from templates/serving/ and built by an engine without a network; the same inputs lead to the same image id.
"""

from __future__ import annotations

import calendar
import json
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pydantic import Field

from ci.errors import BadInput, Unavailable
from ci.files import read_json, sha256, sha256_of, sha256_of_tree
from ci.packaging import tars
from ci.packaging.redate import redate
from ci.params import Digest, Model, ProjectName, Sha256
from ci.params_packaging import Image, LabelName, LabelValue
from ci.releases.record import Version
from ci.templating import TEMPLATES, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.packaging.engine import Engine, Found
    from ci.packaging.wheelhouse import Wheel

SERVING, LOCK = Path("serving"), Path("requirements-serving.lock")
LOCAL_BASE = "slipway/base:bookworm"
_RUNTIME, _MODEL, _INSTALL = "serving/runtime.Dockerfile.j2", "serving/Dockerfile.j2", "serving/install.py"
_EPOCH = 1_704_067_200  # 2024-01-01, of what has no date of its own
# Of what is installed, what no server needs. Licences stay. onnxruntime names flatbuffers, packaging and protobuf for
# its tools for training and conversion; inference imports none of them, and the smoke test would tell.
TRIM = (
    "*.dist-info/RECORD", "*/tests", "*/*/tests", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/*.a",
    "bin", "google", "packaging", "flatbuffers", "pycparser", "cffi",
    "protobuf-*.dist-info", "packaging-*.dist-info", "flatbuffers-*.dist-info", "pycparser-*.dist-info",
    "numpy/f2py", "numpy/distutils", "numpy/typing", "numpy/_core/include", "numpy/_core/lib", "numpy/_core/_simd*.so",
    "numpy/random", "numpy/polynomial", "numpy/testing", "numpy/_pyinstaller",
    "onnxruntime/tools", "onnxruntime/transformers", "onnxruntime/quantization", "onnxruntime/datasets",
    "onnxruntime/training", "onnxruntime/backend", "onnxruntime/capi/libonnxruntime.so*",
    "cryptography/hazmat/bindings/*.lib",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """What the images of one kind of bundle consist of; `server` is code that lies in the runtime."""

    lock: Path
    runtime: str
    release: str
    place: str  # of the bundle
    server: Path | None
    trim: Sequence[str] = TRIM
    folders: Sequence[str] = ()  # that a volume is mounted on


MODELS = Kind(LOCK, _RUNTIME, _MODEL, "model", SERVING)


class Runtime(Model):
    """What the runtime's Dockerfile is rendered from."""

    base: str = Field(pattern=r"^([a-z0-9][a-z0-9._:/-]*@)?sha256:[0-9a-f]{64}$")
    port: int = Field(ge=1024, le=65_535)
    user: int = Field(ge=1, le=2**31 - 1)


class ModelImage(Model):
    """What the model's Dockerfile is rendered from."""

    runtime: Digest
    version: Version
    labels: dict[LabelName, LabelValue]


class Lineage(Model):
    """What the labels tell about where a model comes from."""

    project: ProjectName
    version: Version
    bundle: Sha256
    data_version: str = Field(pattern=r"^[0-9a-zA-Z._-]{1,100}$")
    as_of: date
    recipe: Sha256
    git_commit: str | None = Field(None, pattern=r"^[0-9a-f]{40,64}$")

    @property
    def epoch(self) -> int:
        """The model's own time: the logical date of its build, in seconds since 1970."""
        return calendar.timegm(self.as_of.timetuple())

    def labels(self) -> dict[str, str]:
        """Spell it as OCI annotations do, where they have a word for it."""
        named = {
            "org.opencontainers.image.title": self.project,
            "org.opencontainers.image.version": self.version,
            "org.opencontainers.image.revision": self.git_commit,
            "org.opencontainers.image.created": f"{self.as_of}T00:00:00Z",
            "io.slipway.project": self.project,
            "io.slipway.bundle": f"sha256:{self.bundle}",
            "io.slipway.data-version": self.data_version,
            "io.slipway.recipe": f"sha256:{self.recipe}",
        }
        return {name: value for name, value in named.items() if value}

    @classmethod
    def of(cls, folder: Path, **known: Any) -> Lineage:
        """
        Read what a bundle tells about its data.

        Raises:
            BadInput: it has no lineage, or one without data.
        """
        data = read_json(folder / "lineage.json").get("data", {})
        if not {"version", "as_of"} <= data.keys():
            raise BadInput(f"{folder / 'lineage.json'}: names no data version", hint="steps.bundle writes it")
        return cls(data_version=data["version"], as_of=data["as_of"], **known)


@dataclass(frozen=True, slots=True)
class Maker:
    """Builds images on one engine; `root` is the checkout with the server and the lock file."""

    engine: Engine
    params: Image
    root: Path = Path()
    kind: Kind = MODELS

    def base(self) -> str:
        """
        Name the base by digest.

        Raises:
            Unavailable: params name none, and ci/setup/base-image has not run on this engine.
        """
        if self.params.base and self.engine.image(self.params.base):
            return self.params.base
        if self.params.base:
            if "@" not in self.params.base:
                raise Unavailable(
                    f"image.base: {self.params.base}: the engine at {self.engine.place} has no such image"
                )
            self.engine.pull(self.params.base)
            return self.params.base
        found = self.engine.image(LOCAL_BASE)
        if found is None:
            raise Unavailable("image.base: params.yaml names no base image, and this engine has none of ours",
                              hint="ci/setup/base-image makes one from Debian packages")  # fmt: skip
        return found.id

    def runtime(self, wheels: Sequence[Wheel]) -> Found:
        """Build the runtime, or find it: its tag is the digest of everything that goes into it."""
        base = self.base()
        tag = f"slipway/runtime:{self.runtime_digest(base, wheels)[:24]}"
        found = self.engine.image(tag)
        if found is not None:
            return found
        with tempfile.TemporaryFile() as context:
            tars.write(self.runtime_files(base, wheels), context, _EPOCH)
            context.seek(0)
            return self._built(context, tag, _EPOCH)

    def model(self, runtime: Found, bundle: Path, lineage: Lineage) -> Found:
        """Build the release's image; only its bundle travels to the engine."""
        tag = f"slipway/{lineage.project}:{lineage.version}-{lineage.bundle[:12]}"
        with tempfile.SpooledTemporaryFile(max_size=32 << 20) as context:
            files = model_files(runtime.id, bundle, lineage, self.params.labels, self.kind)
            tars.write(files, context, lineage.epoch)
            context.seek(0)
            return self._built(context, tag, lineage.epoch)

    def runtime_files(self, base: str, wheels: Sequence[Wheel]) -> dict[str, tars.Contents]:
        """Return the context of the runtime: Dockerfile, wheels, server, and the plan of how to lay them out."""
        described = Runtime(base=base, port=self.params.port, user=self.params.user)
        plan = {
            "python": self.params.python,
            "epoch": _EPOCH,
            "trim": list(self.kind.trim),
            "folders": list(self.kind.folders),
            "wheels": {wheel.path.name: wheel.sha256 for wheel in wheels},
        }
        return {
            "Dockerfile": render(self.kind.runtime, runtime=described).encode(),
            "install.py": TEMPLATES / _INSTALL,
            "plan.json": json.dumps(plan, sort_keys=True).encode(),
            **{f"wheels/{wheel.path.name}": wheel.path for wheel in wheels},
            **(tars.tree(self.root / self.kind.server, "serving") if self.kind.server else {}),
        }

    def runtime_digest(self, base: str, wheels: Sequence[Wheel]) -> str:
        """Hex digest of the runtime's context: equal ones are built once."""
        files = self.runtime_files(base, wheels)
        return sha256_of({name: _digest(contents) for name, contents in files.items()})

    def _built(self, context: IO[bytes], tag: str, epoch: int) -> Found:
        """Build, and give the image an id that does not depend on the time of day."""
        raw = f"{tag}-raw"
        built = self.engine.build(context, raw)
        found = redate(self.engine, built, tag, epoch)
        self.engine.remove(raw)
        return found


def model_files(
    runtime: str, bundle: Path, lineage: Lineage, labels: Mapping[str, str], kind: Kind = MODELS
) -> dict[str, tars.Contents]:
    """Return the context of a release: Dockerfile and bundle, whatever else lies in its folder."""
    described = ModelImage(runtime=runtime, version=lineage.version, labels={**labels, **lineage.labels()})
    return {
        "Dockerfile": render(kind.release, image=described).encode(),
        **{f"files/{kind.place}/{name}": bundle / name for name in sealed(bundle)},
    }


def sealed(bundle: Path) -> list[str]:
    """Name the files of a bundle: the manifest, and what it lists."""
    return ["manifest.json", *sorted(read_json(bundle / "manifest.json")["files"])]


def recipe(params: Image, base: str, root: Path = Path(), kind: Kind = MODELS) -> str:
    """Hex digest of what makes a service image beside the bundle: server, dependencies, base, templates, settings."""
    settings = params.model_dump(mode="json", include={"python", "platform", "user", "port", "labels"})
    parts = {
        "base": base,
        "server": sha256_of_tree(root / kind.server) if kind.server else None,
        "dependencies": sha256(root / kind.lock),
        "templates": [sha256(TEMPLATES / name) for name in (kind.runtime, kind.release, _INSTALL)],
        "trim": [*kind.trim, *kind.folders],
        "settings": settings,
    }
    return sha256_of(parts)


def _digest(contents: tars.Contents) -> str:
    import hashlib

    return hashlib.sha256(contents).hexdigest() if isinstance(contents, bytes) else sha256(contents)
