from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from serving import bundle
from serving.events import Events
from serving.model import Model
from tests.unit.serving import bundles
from tests.unit.serving.test_events import offer


def test_a_collection_service_gets_them_at_its_projects_path_with_the_token(caplog, tmp_path):
    asked, model = [], Model(bundle.read(bundles.write(tmp_path / "bundle")), "1.4.0", 1000)

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            asked.append((self.path, self.headers["authorization"], len(body.splitlines())))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"accepted": 2, "rejected": 1, "results": []}')

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        events = Events(rate=1.0, file="", url=f"http://127.0.0.1:{server.server_port}", token="t0ken", size=10)
        offer(events, model, 3)
        events.start()
        events.close(5.0)
        server.shutdown()
    assert asked == [(f"/v1/{model.release.name}/events", "Bearer t0ken", 3)]
    assert events.counts["written"] == 3
    assert "events refused" in caplog.text
    assert "t0ken" not in caplog.text


def test_a_redirect_does_not_get_the_token(tmp_path):
    asked, model = [], Model(bundle.read(bundles.write(tmp_path / "bundle")), "1.4.0", 1000)

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            asked.append(self.path)
            self.send_response(307)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        events = Events(rate=1.0, file="", url=f"http://127.0.0.1:{server.server_port}/mine", token="t", size=10)
        offer(events, model, 1)
        events._stop.set()
        events.start()
        events.close(5.0)
        server.shutdown()
    assert set(asked) == {"/mine"}
    assert events.counts["failed"] == 1
