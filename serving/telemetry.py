"""What one release did, and what the process did: all that `/metrics` shows."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime

from serving.metrics import Histogram, Page, labels
from serving.sketches import Sketches

if TYPE_CHECKING:
    import numpy as np

    from serving.encoded import Encoded
    from serving.model import Model

_LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_RUN_ROWS = (1, 2, 4, 8, 16, 32, 64)
_STARTED = time.time()

FAMILIES = (
    ("slipway_build_info", "gauge", "The release that answers; always 1."),
    (
        "slipway_data_watermark_seconds",
        "gauge",
        "Time of the newest row that the release has learned from, since 1970.",
    ),
    ("slipway_ready", "gauge", "Whether this server takes requests."),
    ("slipway_inflight_requests", "gauge", "Predictions under way."),
    ("slipway_requests_total", "counter", "Requests by route and outcome."),
    ("slipway_synthetic_requests_total", "counter", "Of these, requests that were marked as synthetic."),
    ("slipway_request_seconds", "histogram", "Time from a request's head to its answer, by route."),
    ("slipway_slo_seconds", "gauge", "The latency objective; a bucket of slipway_request_seconds ends there."),
    ("slipway_batch_rows", "histogram", "Rows in a request."),
    ("slipway_microbatch_rows", "histogram", "One-row requests that shared a run."),
    ("slipway_score", "histogram", "The answers given; for a multiclass model, the largest probability."),
    ("slipway_predicted_class_total", "counter", "Answers by most probable class."),
    ("slipway_feature_missing_total", "counter", "Scored values that were null."),
    ("slipway_feature_unknown_total", "counter", "Scored texts outside the known categories."),
    ("slipway_feature_rejected_total", "counter", "Values that were refused, by reason."),
    ("slipway_feature_value", "histogram", "Scored numbers, by the training data's quantiles."),
    ("slipway_swaps_total", "counter", "Looks for another bundle, by outcome and reason."),
    ("slipway_last_swap_refused", "gauge", "Whether the last bundle that was looked at was refused."),
    ("slipway_events_total", "counter", "Sampled prediction events, by what became of them."),
    ("process_start_time_seconds", "gauge", "When this process started."),
    ("process_cpu_seconds_total", "counter", "Processor time used."),
    ("process_resident_memory_bytes", "gauge", "Memory in use."),
    ("process_open_fds", "gauge", "Open file descriptors."),
)


class Requests:
    """Requests of one release, or of none while none is there."""

    def __init__(self, where: str, slo_s: float) -> None:
        self.where, self.slo_s = where, slo_s
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        self.synthetic: Counter[str] = Counter()

    def done(self, route: str, outcome: str, seconds: float) -> None:
        """Count one request that was answered."""
        self.outcomes[route, outcome] += 1
        histogram = self.seconds.get(route)
        if histogram is None:
            histogram = self.seconds[route] = Histogram((*_LATENCY_S, self.slo_s))
        histogram.add(seconds)

    def write(self, page: Page) -> None:
        """Add what was counted to a metrics page."""
        for (route, outcome), number in self.outcomes.items():
            page.sample("slipway_requests_total", f"{self.where},{labels(route=route, outcome=outcome)}", number)
        for route, number in self.synthetic.items():
            page.sample("slipway_synthetic_requests_total", f"{self.where},{labels(route=route)}", number)
        for route, histogram in self.seconds.items():
            page.histogram("slipway_request_seconds", f"{self.where},{labels(route=route)}", histogram)


class Telemetry(Requests):
    """Everything that is counted for one release."""

    def __init__(self, model: Model, slo_s: float) -> None:
        release = model.release
        super().__init__(labels(model=release.name, version=release.version, bundle=release.short), slo_s)
        self.rows, self.run_rows = Histogram(_ROWS), Histogram(_RUN_ROWS)
        self.sketches = Sketches(model.signature, model.golden_outputs)
        self.rejected: Counter[tuple[str | None, str]] = Counter()
        self.watermark = model.watermark

    def run(self, rows: Encoded, answer: np.ndarray) -> None:
        """Count a shared run of one-row requests."""
        self.run_rows.add(rows.n_rows)
        self.rows.counts[0] += rows.n_rows
        self.rows.sum += rows.n_rows
        self.sketches.add(rows, answer)

    def batch(self, rows: Encoded, answer: np.ndarray) -> None:
        """Count a request that was scored by itself."""
        self.rows.add(rows.n_rows)
        self.sketches.add(rows, answer)

    def write(self, page: Page) -> None:
        """Add everything to a metrics page."""
        super().write(page)
        if self.watermark is not None:
            page.sample("slipway_data_watermark_seconds", self.where, self.watermark)
        page.histogram("slipway_batch_rows", self.where, self.rows)
        page.histogram("slipway_microbatch_rows", self.where, self.run_rows)
        for (name, code), number in self.rejected.items():
            page.sample(
                "slipway_feature_rejected_total", f"{self.where},{labels(feature=name or '', reason=code)}", number
            )
        self.sketches.write(page, self.where)


def new_page() -> Page:
    """Start a page on which every family is declared."""
    page = Page()
    for name, kind, text in FAMILIES:
        page.family(name, kind, text)  # type: ignore[arg-type]
    return page


def write_build(page: Page, where: str) -> None:
    """Add the release that answers."""
    own = labels(runtime=f"onnxruntime {onnxruntime.__version__}", python=platform.python_version())
    page.sample("slipway_build_info", f"{where},{own}", 1)


def write_process(page: Page) -> None:
    """Add what the operating system knows; nothing where it does not say."""
    page.sample("process_start_time_seconds", "", _STARTED)
    page.sample("process_cpu_seconds_total", "", time.process_time())
    try:
        resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        page.sample("process_resident_memory_bytes", "", resident * os.sysconf("SC_PAGE_SIZE"))
        page.sample("process_open_fds", "", sum(1 for _ in Path("/proc/self/fd").iterdir()))
    except OSError:
        return
