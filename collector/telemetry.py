"""What `/metrics` shows: deliveries by what became of them, commits, room, and how fresh each project's data is."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from serving.metrics import Histogram, Page, labels

if TYPE_CHECKING:
    from collector.state import State
    from collector.store.interface import Answer

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STARTED = time.time()
_FAMILIES = (
    ("slipway_build_info", "gauge", "The release that answers; always 1."),
    ("slipway_ready", "gauge", "Whether this service takes requests."),
    ("slipway_requests_total", "counter", "Requests by route and outcome."),
    ("slipway_request_seconds", "histogram", "Time from a request's head to its answer, by route."),
    ("slipway_collector_records_total", "counter", "Records by project, kind and what became of them."),
    ("slipway_collector_rejected_total", "counter", "Refused records by project and field."),
    ("slipway_collector_last_delivery_seconds", "gauge", "When something was last accepted, since 1970."),
    ("slipway_collector_watermark_seconds", "gauge", "Newest event time by project, since 1970."),
    ("slipway_collector_stored", "gauge", "Records, predictions, outcomes, waiting and quarantined, by project."),
    (
        "slipway_collector_removed_total",
        "counter",
        "Records, predictions and quarantined ones that were let go, by project.",
    ),
    ("slipway_collector_waiting_records", "gauge", "Records that wait for their commit."),
    ("slipway_collector_commits_total", "counter", "Transactions."),
    ("slipway_collector_commit_seconds_total", "counter", "Time spent in transactions."),
    ("slipway_collector_compactions_total", "counter", "Runs that wrote Parquet files."),
    ("slipway_collector_disk_used_bytes", "gauge", "Room that the store and its files take."),
    ("slipway_collector_disk_free_bytes", "gauge", "Room that is free on the device."),
    ("process_start_time_seconds", "gauge", "When this process started."),
    ("process_cpu_seconds_total", "counter", "Processor time used."),
    ("process_resident_memory_bytes", "gauge", "Memory in use."),
)
_FIELDS = 200  # names of fields that become labels, for each project


class Telemetry:
    """Counts on the event loop alone, so that nothing needs a lock."""

    def __init__(self, version: str) -> None:
        self.where = labels(model="collector", version=version, bundle="")
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self.records: Counter[tuple[str, str, str]] = Counter()
        self.rejected: dict[str, Counter[str]] = {}
        self.last: dict[tuple[str, str], float] = {}

    def done(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        outcome = (
            "ok" if status < 400 else "unavailable" if status in {503, 507} else "refused" if status < 500 else "error"
        )
        self.outcomes[route, outcome] += 1
        self.seconds.setdefault(route, Histogram(_SECONDS)).add(seconds)

    def delivered(self, project: str, kind: str, answer: Answer) -> None:
        """Count what became of a delivery."""
        for name in ("accepted", "duplicates", "restated", "rejected"):
            self.records[project, kind, name] += getattr(answer, name)
        if answer.accepted or answer.restated:
            self.last[project, kind] = time.time()
        counts = self.rejected.setdefault(project, Counter())
        for fate in answer.results:
            for reason in fate.reasons:
                name = reason.field or ""
                counts[name if name in counts or len(counts) < _FIELDS else "other"] += 1

    def newest(self, project: str) -> float | None:
        """Return when something of a project was last accepted here; None if nothing was yet."""
        return max((when for (name, _), when in self.last.items() if name == project), default=None)

    def page(self, state: State) -> Page:
        """Put the page together, without what only the store knows."""
        page = Page()
        for name, kind, text in _FAMILIES:
            page.family(name, kind, text)  # type: ignore[arg-type]
        page.sample("slipway_build_info", f"{self.where},{labels(python=platform.python_version())}", 1)
        page.sample("slipway_ready", self.where, state.ready)
        for (route, outcome), n in self.outcomes.items():
            page.sample("slipway_requests_total", f"{self.where},{labels(route=route, outcome=outcome)}", n)
        for route, histogram in self.seconds.items():
            page.histogram("slipway_request_seconds", f"{self.where},{labels(route=route)}", histogram)
        self._write_records(page)
        page.sample("slipway_collector_waiting_records", "", state.writer.waiting)
        page.sample("slipway_collector_commits_total", "", state.writer.commits)
        page.sample("slipway_collector_commit_seconds_total", "", state.writer.seconds)
        page.sample("slipway_collector_compactions_total", "", state.compaction.runs)
        page.sample("slipway_collector_disk_used_bytes", "", state.disk.used)
        page.sample("slipway_collector_disk_free_bytes", "", state.disk.free)
        _write_process(page)
        return page

    def _write_records(self, page: Page) -> None:
        for (project, kind, outcome), n in self.records.items():
            where = labels(project=project, kind=kind, outcome=outcome)
            page.sample("slipway_collector_records_total", where, n)
        for project, counts in self.rejected.items():
            for name, n in counts.items():
                page.sample("slipway_collector_rejected_total", labels(project=project, field=name), n)
        for (project, kind), when in self.last.items():
            page.sample("slipway_collector_last_delivery_seconds", labels(project=project, kind=kind), when)


def _write_process(page: Page) -> None:
    page.sample("process_start_time_seconds", "", _STARTED)
    page.sample("process_cpu_seconds_total", "", time.process_time())
    try:
        resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return
    page.sample("process_resident_memory_bytes", "", resident * os.sysconf("SC_PAGE_SIZE"))
