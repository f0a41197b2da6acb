"""Which handler answers which path, and the handlers that do not score."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Any

import msgspec

from serving import docs, openapi, tensors
from serving.metrics import CONTENT_TYPE, labels
from serving.problems import ELSEWHERE, Problem
from serving.telemetry import new_page, write_build, write_process
from serving.wire import JSON, Reply, check_type

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from serving.repository import Live
    from serving.state import State
    from serving.wire import Call

    Handler = Callable[[Call], Awaitable[Reply]]
    Found = tuple[str, dict[str, Handler]]  # the route's name in the metrics, and its handlers by method

_REMEMBERED = 64  # paths of models; clients can make up more, and those are taken apart each time
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def reply(document: Any, status: int = 200) -> Reply:
    """Answer with a JSON document."""
    return Reply(status, JSON, msgspec.json.encode(document))


class Routes:
    """All the paths of the server."""

    def __init__(self, state: State) -> None:
        self.state = state
        fixed: dict[str, tuple[str, str, Handler]] = {
            "/predict": ("predict", "POST", state.scoring.predict),
            "/v2": ("metadata", "GET", self.server),
            "/v2/health/live": ("health", "GET", self.alive),
            "/v2/health/ready": ("health", "GET", self.ready),
            "/v2/repository/index": ("repository", "POST", self.index),
            "/metrics": ("metrics", "GET", self.metrics),
            "/v2/shadow": ("shadow", "GET", self.shadow),
            "/openapi.json": ("docs", "GET", self.openapi),
            "/docs": ("docs", "GET", self.docs),
            "/docs.js": ("docs", "GET", self.docs),
            "/docs.css": ("docs", "GET", self.docs),
        }
        self._fixed: dict[str, Found] = {path: (name, {method: run}) for path, (name, method, run) in fixed.items()}
        self._fixed["/v2/repository/index"][1]["GET"] = self.index
        for _, handlers in self._fixed.values():
            if "GET" in handlers:
                handlers["HEAD"] = handlers["GET"]
        self._known = dict(self._fixed)

    def find(self, path: str) -> Found:
        """Return the route of a path; `other` without handlers where there is none."""
        found = self._known.get(path)
        if found is None:
            found = self._take_apart(path)
            if found[1] and len(self._known) < len(self._fixed) + _REMEMBERED:
                self._known[path] = found
        return found

    def _take_apart(self, path: str) -> Found:
        parts = path.split("/")[1:]
        if parts[:2] == ["v2", "models"] and len(parts) > 2:
            return self._of_model(parts[2], parts[3:])
        if parts[:3] == ["v2", "repository", "models"] and len(parts) == 5 and parts[4] == "load":
            return "repository", {"POST": lambda call: self.load(call, parts[3])}
        return "other", {}

    def _of_model(self, name: str, rest: list[str]) -> Found:
        version = None
        if rest[:1] == ["versions"] and len(rest) > 1:
            version, rest = rest[1], rest[2:]
        if rest == ["infer"]:
            return "infer", {"POST": lambda call: self.infer(call, name, version)}
        about = {(): self.model, ("ready",): self.model_ready}.get(tuple(rest))
        if about is None:
            return "other", {}
        return "metadata", dict.fromkeys(("GET", "HEAD"), lambda _: about(name, version))

    def _live(self, name: str, version: str | None) -> Live:
        live = self.state.repository.live
        if live is None:
            raise Problem(503, "not-ready", "no model has been loaded yet", headers=ELSEWHERE)
        release = live.model.release
        if name != release.name:
            raise Problem(404, "no-model", f"there is no model of that name; this server has {release.name}")
        if version is not None and version != release.version:
            raise Problem(404, "no-version", f"this server has version {release.version} of {name}")
        return live

    async def infer(self, call: Call, name: str, version: str | None) -> Reply:
        """Answer a protocol request for this model and version."""
        self._live(name, version)
        return await self.state.scoring.infer(call)

    async def server(self, _: Call) -> Reply:
        """Say what this server is and speaks."""
        extensions = ["binary_tensor_data", "model_repository"]
        return reply({"name": "slipway", "version": "2", "extensions": extensions})

    async def alive(self, _: Call) -> Reply:
        """Say that the process runs."""
        return reply({"live": True})

    async def ready(self, _: Call) -> Reply:
        """Say whether requests may be sent here."""
        ready = self.state.ready
        return reply({"ready": ready, "draining": self.state.draining}, 200 if ready else 503)

    async def model(self, name: str, version: str | None) -> Reply:
        """Describe inputs and outputs."""
        signature = self._live(name, version).model.signature
        width = [len(signature.output.classes or ())] if signature.task == "multiclass" else []
        inputs = [{"name": c.name, "datatype": tensors.datatype(c), "shape": [-1]} for c in signature.inputs]
        outputs = [{"name": signature.output.name, "datatype": "FP32", "shape": [-1, *width]}]
        release = self._live(name, version).model.release
        about = {"name": name, "versions": [release.version], "platform": "onnxruntime_onnx"}
        return reply(
            {**about, "inputs": inputs, "outputs": outputs, "parameters": {"bundle": f"sha256:{release.digest}"}}
        )

    async def model_ready(self, name: str, version: str | None) -> Reply:
        """Say whether this model answers."""
        self._live(name, version)
        return reply({"name": name, "ready": self.state.ready}, 200 if self.state.ready else 503)

    async def openapi(self, _: Call) -> Reply:
        """Describe the service."""
        live = self.state.repository.live
        if live is None:
            raise Problem(503, "not-ready", "no model has been loaded yet", headers=ELSEWHERE)
        return reply(openapi.document(live.model, self.state.settings.max_rows))

    async def docs(self, call: Call) -> Reply:
        """Show the docs page."""
        return docs.page(call.path.removeprefix("/") if "." in call.path else "docs.html")

    async def metrics(self, _: Call) -> Reply:
        """Show everything that was counted."""
        page, state = new_page(), self.state
        live = state.repository.live
        for telemetry in (*state.repository.past, *([live.telemetry] if live else [state.nobody])):
            telemetry.write(page)
        if live:
            write_build(page, live.telemetry.where)
        page.sample("slipway_ready", "", int(state.ready))
        page.sample("slipway_inflight_requests", "", state.scoring.active)
        page.sample("slipway_slo_seconds", "", state.settings.slo_ms / 1000)
        page.sample("slipway_last_swap_refused", "", int(state.repository.last.outcome == "refused"))
        for (outcome, reason), number in state.repository.swaps.items():
            page.sample("slipway_swaps_total", labels(outcome=outcome, reason=reason), number)
        for outcome, number in (state.scoring.events.counts if state.scoring.events else {}).items():
            page.sample("slipway_events_total", labels(outcome=outcome), number)
        write_process(page)
        return Reply(200, CONTENT_TYPE, page.render())

    async def shadow(self, call: Call) -> Reply:
        """Tell what was answered while copies were sent to a shadow."""
        return self.state.shadow.page(call.scope.get("query_string", b""))

    async def index(self, call: Call) -> Reply:
        """List the model."""
        await self.state.bodies.read(call)
        live, last = self.state.repository.live, self.state.repository.last
        if live is None:
            return reply([])
        release = live.model.release
        reason = f"{last.reason}: {last.message}" if last.outcome == "refused" else ""
        state = "READY" if self.state.ready else "UNAVAILABLE"
        return reply([{"name": release.name, "version": release.version, "state": state, "reason": reason}])

    async def load(self, call: Call, name: str) -> Reply:
        """Look for another bundle now."""
        self._authorise(call)
        check_type(call, JSON)
        version = _version(await self.state.bodies.read(call))
        self._live(name, None)
        swap = await self.state.repository.look("request", version)
        live = self._live(name, None)
        if swap.outcome == "refused":
            raise Problem(409, "refused", f"{swap.reason}: {swap.message}; {live.model.release} goes on answering")
        return reply({"name": name, "version": live.model.release.version, "outcome": swap.outcome})

    def _authorise(self, call: Call) -> None:
        settings = self.state.settings
        if settings.admin_token:
            if hmac.compare_digest(call.authorization, b"Bearer " + settings.admin_token.encode()):
                return
            raise Problem(401, "token", "a hot swap needs the admin token", headers=[(b"www-authenticate", b"Bearer")])
        import ipaddress  # only where it is asked for: it would take a share of each start

        client = call.scope.get("client")
        if not settings.admin_loopback:
            raise Problem(403, "disabled", "hot swap by request is not enabled on this server")
        if client is None or not ipaddress.ip_address(client[0]).is_loopback:
            raise Problem(403, "not-here", "a hot swap may be asked for on this host only")


def _version(body: bytes) -> str | None:
    """The release's version, as `{"parameters": {"version": …}}`; the rest of the protocol's body is not ours."""
    if not body:
        return None
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "malformed", f"not a load request: {error}") from None
    parameters = document.get("parameters")
    version = parameters.get("version") if isinstance(parameters, dict) else None
    if version is None:
        return None
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise Problem(400, "malformed", "parameters.version: not a version")
    return version
