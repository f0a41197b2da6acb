"""Which address leads where."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from collector import periods
from collector.answers import Answers
from collector.door import Door
from collector.retention import Retention
from collector.store.interface import KINDS
from serving.metrics import CONTENT_TYPE, labels
from serving.problems import Problem
from serving.wire import JSON, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collector.answers import Stream
    from collector.state import Project, State
    from serving.wire import Call

    Handler = Callable[[Call], Awaitable[Reply | Stream]]

_FILE = "records.parquet"


class Routes:
    """Finds handlers."""

    def __init__(self, state: State) -> None:
        self._state, self._door, self._answers = state, Door(state), Answers(state)
        self._retention = Retention(state, self._door)
        self._plain: dict[str, dict[str, Handler]] = {
            "/v2/health/live": {"GET": self.live},
            "/v2/health/ready": {"GET": self.ready},
            "/v2": {"GET": self.about},
            "/metrics": {"GET": self.metrics},
            "/v1": {"GET": self._answers.all},
        }
        for short, full in (("/health/live", "/v2/health/live"), ("/health/ready", "/v2/health/ready")):
            self._plain[short] = self._plain[full]

    def find(self, path: str) -> tuple[str, dict[str, Handler]]:
        """Return a route's name, for the metrics, and its handlers by method."""
        if path in self._plain:
            return path, self._plain[path]
        parts = path.split("/")
        if len(parts) < 3 or parts[:2] != ["", "v1"]:
            return "none", {}
        return self._of_project(parts[2], parts[3:])

    def _of_project(self, name: str, rest: list[str]) -> tuple[str, dict[str, Handler]]:
        answers = self._answers
        reads = {"": answers.project, "periods": answers.periods, "joined": answers.joined, "labels": answers.labels,
                 "quarantine": answers.quarantine, "restated": answers.past}  # fmt: skip
        match rest:
            case [] | ["periods" | "joined" | "labels" | "quarantine" | "restated"]:
                route = rest[0] if rest else ""
                return f"/v1/{{project}}/{route}".rstrip("/"), {"GET": self._with(name, reads[route])}
            case [kind] if kind in KINDS:
                return f"/v1/{{project}}/{kind}", {"POST": self._with(name, self._door.deliver, kind)}
            case ["periods", period, file] if file == _FILE:
                return f"/v1/{{project}}/periods/{{period}}/{_FILE}", {"GET": self._with(name, answers.rows, period)}
            case ["periods", period]:
                return "/v1/{project}/periods/{period}", {"DELETE": self._with(name, self._retention.remove, period)}
            case ["quarantine", "replay"]:
                return "/v1/{project}/quarantine/replay", {"POST": self._with(name, self._door.replay)}
            case ["quarantine", number] if number.isascii() and number.isdigit() and len(number) < 19:
                return "/v1/{project}/quarantine/{id}", {"DELETE": self._with(name, self._door.forget, int(number))}
        return "none", {}

    def _with(self, name: str, handler: Any, *more: Any) -> Handler:
        """Find the project when the request is answered: who is not known is not told which projects there are."""

        async def found(call: Call) -> Reply | Stream:
            project = self._state.projects.get(name)
            if project is None:
                self._refuse(call, name)
            reply: Reply | Stream = await handler(call, project, *more)
            return reply

        return found

    def _refuse(self, call: Call, name: str) -> None:
        for scope in ("read", "send", "correct"):
            try:
                self._state.tokens.check(call.authorization, scope, name)
            except Problem as problem:
                refusal = problem
            else:
                known = ", ".join(sorted(self._state.projects))
                raise Problem(404, "no-project", f"{name[:40]!r} is no project here; there are {known}")
        raise refusal

    async def live(self, call: Call) -> Reply:  # noqa: ARG002 # a handler
        """The process runs."""
        return Reply(200, JSON, b'{"live":true}')

    async def ready(self, call: Call) -> Reply:  # noqa: ARG002 # a handler
        """Deliveries are taken."""
        if not self._state.ready:
            raise Problem(503, "not-ready", "this service takes no deliveries", headers=[(b"retry-after", b"1")])
        return Reply(200, JSON, b'{"ready":true}')

    async def about(self, call: Call) -> Reply:  # noqa: ARG002 # a handler
        """Name and version."""
        document = {"name": "collector", "version": self._state.version, "extensions": []}
        return Reply(200, JSON, msgspec.json.encode(document))

    async def metrics(self, call: Call) -> Reply:  # noqa: ARG002 # a handler
        """What was counted, and how fresh each project is."""
        state = self._state
        page = state.telemetry.page(state)
        for name, project in state.projects.items():
            counts, newest = await state.look(partial(_freshness, project=project))
            for what, n in counts.items():
                gone = counts.get(f"removed_{what}", 0) if what in {"records", "predictions"} else 0
                family = "removed_total" if what.startswith("removed_") else "stored"
                page.sample(
                    f"slipway_collector_{family}", labels(project=name, what=what.removeprefix("removed_")), n - gone
                )
            if newest is not None:
                page.sample("slipway_collector_watermark_seconds", labels(project=name), newest / 1e6)
        return Reply(200, CONTENT_TYPE, page.render())


def _freshness(view: Any, project: Project) -> tuple[dict[str, int], int | None]:
    contract = project.contract
    return view.counts(contract.project), periods.watermark(view.days(contract.project), contract)
