"""A server that answers as a test tells it: for what no real collection service would do."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Misbehaving:
    """Answers with what `replies` yields, the last of them for ever; remembers what it was asked."""

    url: str = ""
    replies: list[Reply | Callable[[Any], None]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    def handle(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.asked.append((handler.command, handler.path, dict(handler.headers), body))
        reply = self.replies[0] if len(self.replies) == 1 else self.replies.pop(0)
        if callable(reply):
            reply(handler)
            return
        status, headers, content = reply
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def misbehaving(*replies: Reply | Callable[[Any], None]) -> Iterator[Misbehaving]:
    """Serve on a free port of this machine."""
    made = Misbehaving(replies=list(replies))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.handle(self)

        def do_POST(self) -> None:
            made.handle(self)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
