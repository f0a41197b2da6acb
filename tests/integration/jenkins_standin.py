"""
A stand-in for a Jenkins controller: the parts of its remote API that the trigger uses, with its pedantry.

It refuses what a controller refuses: no or wrong credentials, a POST without a crumb, a crumb of another session. It is
no Jenkins: docs/how-to/retrain.md lists what it cannot prove.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

USER, TOKEN = "trigger", "11aa22bb33cc44dd55ee66ff7788990011"


@dataclass
class Item:
    """One queue item and the build that it becomes; `hidden` and `waits` count the looks that see neither."""

    number: int
    parameters: dict[str, str]
    hidden: int = 0
    waits: int = 0
    builds: int = 0
    looks: int = 0
    cancelled: bool = False


@dataclass
class Jenkins:
    """How it behaves; tests change it while it runs."""

    job: str = "ml/retrain"
    result: str = "SUCCESS"
    hidden: int = 1
    waits: int = 2
    builds: int = 2
    crumbs: bool = True
    cancelled: bool = False
    known: tuple[str, ...] = ("PROJECT", "AS_OF", "REQUEST", "REASON")
    trouble: list[Any] = field(default_factory=list)  # statuses or callables for the next requests, first to last
    slow_s: float = 0
    items: list[Item] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    location: str = "{root}/queue/item/{number}/"
    url: str = ""

    def __enter__(self) -> Self:
        standin = self

        class Handler(_Handler):
            jenkins = standin

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    jenkins: Jenkins
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        standin, path = self.jenkins, unquote(urlsplit(self.path).path)
        standin.seen.append((self.command, path))
        if standin.trouble:
            trouble = standin.trouble.pop(0)
            if callable(trouble):
                trouble(self, body)
                return
            if trouble is not None:
                self.answer(trouble, b"<html>Oops</html>")
                return
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode():
            self.answer(401, b"Invalid password/token")
            return
        if self.command == "POST":
            self.build(path, body)
            return
        self.look(path)

    def look(self, path: str) -> None:
        standin = self.jenkins
        prefix = "".join(f"/job/{part}" for part in standin.job.split("/"))
        if path == "/crumbIssuer/api/json":
            self.crumb()
        elif path == "/queue/api/json":
            waiting = [item for item in standin.items if item.looks <= item.hidden + item.waits]
            self.json({"items": [{"id": item.number, "actions": _actions(item)} for item in waiting]})
        elif path.startswith("/queue/item/"):
            self.queued(path.removeprefix("/queue/item/").removesuffix("/api/json"))
        elif path == f"{prefix}/api/json":
            begun = [item for item in standin.items if item.looks > item.hidden + item.waits]
            self.json({"builds": [{"number": item.number + 100, "actions": [{}, *_actions(item)]} for item in begun]})
        elif path.startswith(f"{prefix}/") and path.endswith("/api/json"):
            self.building(path.removeprefix(f"{prefix}/").removesuffix("/api/json"))
        else:
            self.answer(404, b"<html>Not Found</html>")

    def crumb(self) -> None:
        standin = self.jenkins
        if not standin.crumbs:
            self.answer(404, b"")
            return
        session = f"s{len(standin.sessions)}"
        standin.sessions[session] = f"crumb-of-{session}"
        self.json({"crumb": standin.sessions[session], "crumbRequestField": "Jenkins-Crumb"},
                  ("Set-Cookie", f"JSESSIONID={session}; Path=/; HttpOnly"))  # fmt: skip

    def build(self, path: str, body: bytes) -> None:
        standin = self.jenkins
        if standin.crumbs:
            session = (self.headers.get("Cookie") or "").partition("JSESSIONID=")[2].partition(";")[0]
            if not session or self.headers.get("Jenkins-Crumb") != standin.sessions.get(session):
                self.answer(403, b"No valid crumb was included in the request")
                return
        if path != "".join(f"/job/{part}" for part in standin.job.split("/")) + "/buildWithParameters":
            self.answer(404, b"")
            return
        given = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        if not set(given) <= set(standin.known):
            self.answer(400, b"unknown parameter")
            return
        item = Item(len(standin.items) + 1, given, standin.hidden, standin.waits, standin.builds, 0, standin.cancelled)
        standin.items.append(item)
        place = standin.location.format(root=standin.url, number=item.number)
        self.answer(201, b"", ("Location", place))

    def queued(self, number: str) -> None:
        item = self._item(number, 0)
        if item is None:
            self.answer(404, b"")
            return
        item.looks += 1
        if item.looks <= item.hidden:
            self.answer(404, b"")
        elif item.cancelled:
            self.json({"id": item.number, "cancelled": True, "why": None})
        elif item.looks <= item.hidden + item.waits:
            self.json({"id": item.number, "blocked": True, "why": "Build #7 is already in progress"})
        else:
            number_ = item.number + 100
            self.json(
                {"id": item.number, "executable": {"number": number_, "url": f"http://elsewhere.example/{number_}/"}}
            )

    def building(self, number: str) -> None:
        item = self._item(number, 100)
        if item is None:
            self.answer(404, b"")
            return
        item.builds -= 1
        running = item.builds >= 0
        self.json({"building": running, "inProgress": running, "result": None if running else self.jenkins.result})

    def _item(self, number: str, offset: int) -> Item | None:
        return next((item for item in self.jenkins.items if str(item.number + offset) == number), None)

    def json(self, document: Any, *headers: tuple[str, str]) -> None:
        self.answer(200, json.dumps({"_class": "hudson.model.X", **document}).encode(), *headers)

    def answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for place in range(0, len(body), 1 if self.jenkins.slow_s else max(1, len(body))):
            if self.jenkins.slow_s:
                time.sleep(self.jenkins.slow_s)
            self.wfile.write(body[place : place + 1] if self.jenkins.slow_s else body)
            self.wfile.flush()


def _actions(item: Item) -> list[dict[str, Any]]:
    parameters = [{"name": name, "value": value} for name, value in item.parameters.items()]
    return [{"_class": "hudson.model.ParametersAction", "parameters": parameters}]
