"""
The embedded packaging: a wheel that carries the bundle and the little that turns rows into its tensors.

Written here and not by a build tool, so that the same bundle gives the same bytes: sorted names, one time, no host.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ci.files import read_json, sha256, sha256_of
from ci.packaging.image import sealed
from ci.params import Model, ProjectName, Sha256
from ci.releases.record import Version
from ci.templating import TEMPLATES, render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REQUIRES = ("numpy>=2.0", "onnxruntime>=1.20")
_CODE, _FRONT = ("_encoding.py", "_model.py"), "embedded/__init__.py.j2"
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can say
_KINDS = {"number": "float", "integer": "int", "boolean": "bool", "string": "str", "datetime": "Union[str, datetime]"}


class Described(Model):
    """What the package's front page is rendered from; texts are repr()s, so that no name can leave its quotes."""

    project: ProjectName
    package: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: Version
    bundle: Sha256
    title: str = Field(pattern=r'^[^"\\\x00-\x1f\x7f]{1,400}$')
    fields: list[tuple[str, str]]


def name(project: str, version: str) -> str:
    """Name the wheel's file."""
    return f"{project}_model-{version}-py3-none-any.whl"


def wheel(bundle: Path, project: str, version: str, digest: str) -> bytes:
    """
    Return the wheel of a bundle whose digest is `digest`.

    Raises:
        BadInput: the bundle cannot be read.
    """
    package = f"{project}_model"
    described = _described(read_json(bundle / "signature.json"), project, version, digest)
    files = {
        f"{package}/__init__.py": render(_FRONT, wheel=described).encode(),
        f"{package}/py.typed": b"",
        **{f"{package}/{code}": (TEMPLATES / "embedded" / code).read_bytes() for code in _CODE},
        **{f"{package}/bundle/{item}": (bundle / item).read_bytes() for item in sealed(bundle)},
    }
    info = f"{package}-{version}.dist-info"
    files[f"{info}/METADATA"] = _metadata(described, (bundle / "MODEL_CARD.md").read_text("utf-8")).encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: slipway\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    return _zip(files)


def recipe() -> str:
    """Hex digest of what makes a wheel beside the bundle."""
    return sha256_of([REQUIRES, *(sha256(TEMPLATES / "embedded" / item) for item in (*_CODE, "__init__.py.j2"))])


def _described(signature: Mapping[str, Any], project: str, version: str, digest: str) -> Described:
    title = str(signature.get("description") or f"The {project} model").replace('"', "'").replace("\\", "/")
    fields = [(repr(item["name"]), _kind(item)) for item in signature["inputs"]]
    plain = "".join(letter if letter.isprintable() else " " for letter in title)[:400]
    return Described(
        project=project, package=f"{project}_model", version=version, bundle=digest, title=plain, fields=fields
    )


def _kind(item: Mapping[str, Any]) -> str:
    kind = _KINDS[item["type"]]
    return f"Optional[{kind}]" if item.get("nullable") else kind


def _metadata(described: Described, card: str) -> str:
    head = [
        "Metadata-Version: 2.1",
        f"Name: {described.project.replace('_', '-')}-model",
        f"Version: {described.version}",
        f"Summary: {described.title}",
        "Requires-Python: >=3.11",
        *(f"Requires-Dist: {requirement}" for requirement in REQUIRES),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join([*head, "", card])


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for item in sorted(files):
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[item]).digest()).rstrip(b"=").decode()
        writer.writerow([item, f"sha256={digest}", len(files[item])])
    writer.writerow([own, "", ""])
    return out.getvalue().encode()


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Write a zip file; the metadata comes last, as the format recommends."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in sorted(files, key=lambda item: (".dist-info/" in item, item)):
            entry = zipfile.ZipInfo(item, _TIME)
            entry.external_attr, entry.compress_type, entry.create_system = 0o100644 << 16, zipfile.ZIP_DEFLATED, 3
            archive.writestr(entry, files[item], compresslevel=9)
    return out.getvalue()
