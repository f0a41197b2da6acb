"""An engine and a container that do what a test tells them; the real one passes the same stories in tests/integration."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from ci.errors import BadInput
from ci.packaging.engine import Found
from ci.packaging.inside import ASK, LIST, WRITE


@dataclass
class FakeContainer:
    user: str
    golden: Mapping[str, Any]
    names: Sequence[str] = ("/opt/slipway/serving/app.py",)
    keys: Sequence[str] = ()
    ready_after: int = 0
    alive: bool = True
    shift: float = 0.0
    status: str = "200"
    writable: str = ""
    asked: int = 0

    def execute(self, command: Sequence[str], stdin: bytes = b"") -> tuple[int, str]:
        program = command[-1]
        if program == LIST:
            return 0, json.dumps({"names": list(self.names), "keys": list(self.keys)})
        if program == WRITE:
            return 0, f"{self.writable}\nuid {self.user.split(':')[0]}\n"
        if program == ASK:
            rows = json.loads(stdin)["records"]
            at = self.asked
            self.asked += len(rows)
            answers = [value + self.shift for value in self.golden["outputs"][at : at + len(rows)]]
            return 0, f"{self.status}\n" + json.dumps({"predictions": answers})
        self.ready_after -= 1
        return (0 if self.ready_after < 0 else 1), ""

    def running(self) -> bool:
        return self.alive

    def logs(self) -> str:
        return "first\nthe last word"


@dataclass
class FakeEngine:
    """Keeps images in a dict; what it builds has one layer per FROM and one per COPY."""

    golden: Mapping[str, Any] = field(default_factory=lambda: {"rows": [], "outputs": [], "tolerance": 1e-5})
    images: dict[str, Found] = field(default_factory=dict)
    built: list[str] = field(default_factory=list)
    loaded: list[bytes] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    container: dict[str, Any] = field(default_factory=dict)
    place: str = "unix:///fake.sock"

    def image(self, reference: str) -> Found | None:
        return self.images.get(reference)

    def build(self, context: IO[bytes], tag: str) -> Found:
        raw = context.read()
        self.built.append(tag)
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            dockerfile = archive.extractfile("Dockerfile")
            assert dockerfile
            text = dockerfile.read().decode()
        parent = self.images.get(next(line.split()[1] for line in text.splitlines() if line.startswith("FROM")))
        layers = (*(parent.layers if parent else ()), "sha256:" + hashlib.sha256(raw).hexdigest())
        labels = {name: value.strip('"') for name, value in _labels(text)}
        config = {
            "User": "65532:65532",
            "Healthcheck": {"Test": ["CMD"]},
            "Labels": labels,
            "Hostname": f"h{len(self.built)}",
        }
        found = Found(f"sha256:{len(self.built):064x}", "amd64", layers, 1000, config)
        self.images |= {tag: found, found.id: found}
        return found

    def load(self, archive: IO[bytes]) -> None:
        with tarfile.open(fileobj=archive) as opened:
            (manifest,) = json.loads(opened.extractfile("manifest.json").read())  # type: ignore[union-attr]
            config = opened.extractfile(manifest["Config"]).read()  # type: ignore[union-attr]
        self.loaded.append(config)
        document = json.loads(config)
        found = Found(
            "sha256:" + hashlib.sha256(config).hexdigest(), document["architecture"],
            tuple(document["rootfs"]["diff_ids"]), 1000, document["config"],
        )  # fmt: skip
        self.images |= {found.id: found, **dict.fromkeys(manifest["RepoTags"], found)}

    def save(self, reference: str, out: IO[bytes]) -> None:
        raise BadInput(reference)

    def remove(self, reference: str) -> None:
        self.images.pop(reference, None)

    def push(self, image_id: str, name: str, tag: str) -> str:
        raise BadInput(name)

    def pull(self, reference: str) -> Found:
        raise BadInput(reference)

    @contextmanager
    def started(self, image_id: str, *, user: str, environment: Mapping[str, str]) -> Iterator[FakeContainer]:
        self.users.append(user)
        yield FakeContainer(user, self.golden, **self.container)


def _labels(dockerfile: str) -> Iterator[tuple[str, str]]:
    text = dockerfile.replace("\\\n", " ")
    for line in text.splitlines():
        if line.startswith("LABEL "):
            for part in line.removeprefix("LABEL ").split():
                name, _, value = part.partition("=")
                yield name, value
