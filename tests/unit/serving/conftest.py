from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from serving import bundle
from serving.app import App
from serving.model import Model
from serving.settings import parse
from serving.state import State
from tests.unit.serving import bundles

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.write(tmp_path_factory.mktemp("bundles") / "binary")


@pytest.fixture(scope="session")
def multiclass(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.write(tmp_path_factory.mktemp("bundles") / "multiclass", task="multiclass")


@pytest.fixture(scope="session")
def model(folder: Path) -> Model:
    return Model(bundle.read(folder), "1.4.0", 1000)


@pytest.fixture
def fresh(folder: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may spoil."""
    copy = tmp_path / "bundle"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy


def _is_raw(document: Any) -> bool:
    return isinstance(document, bytes) or (isinstance(document, list) and isinstance(document[0], bytes))


class Answer:
    def __init__(self, sent: list[dict[str, Any]]) -> None:
        self.sent = sent
        self.status: int = sent[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        self.body: bytes = sent[1]["body"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """The application without a socket: requests go in as ASGI messages."""

    def __init__(self, *options: str) -> None:
        self.state = State(parse(options, {}))
        self.app = App(self.state)

    async def ask(
        self, method: str, path: str, body: bytes | list[bytes] = b"", *, client: str = "127.0.0.1", **headers: str
    ) -> Answer:
        chunks = list(body) if isinstance(body, list) else [body]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not chunks:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        fields = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": fields, "client": (client, 1)}
        await self.app(scope, receive, send)
        return Answer(sent)

    async def predict(self, document: Any, **headers: str) -> Answer:
        raw = document if _is_raw(document) else json.dumps(document).encode()
        return await self.ask("POST", "/predict", raw, **{"content_type": "application/json"} | headers)


@pytest.fixture
def serve(folder: Path):
    """Run a scenario against a loaded application."""

    def run(scenario: Any, *options: str, at: Path = folder) -> Any:
        async def main() -> Any:
            service = Service("--model", str(at), "--release-version", "1.4.0", *options)
            try:
                await service.state.repository.look("start")
                return await scenario(service)
            finally:
                service.state.close()

        return asyncio.run(main())

    return run
