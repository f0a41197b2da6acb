"""The Prometheus text format, read; and pages of it (servers, Envoy) as a source without a memory."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from ci.adapters.monitoring.http import Asker
from ci.errors import Unavailable
from ci.verification.interface import Query, Reading, Sample, Seen, Selector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ci.params_verification import Http

_LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\S+)?\s*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"\s*,?')


class Point(NamedTuple):
    """One series of one moment."""

    family: str
    labels: Mapping[str, str]
    value: float


def points(page: str) -> Iterator[Point]:
    """Yield the samples of a page; lines that are none are left out."""
    for line in page.splitlines():
        found = _LINE.fullmatch(line)
        if found and not line.startswith("#"):
            labels = {name: re.sub(r"\\(.)", _unescaped, raw) for name, raw in _LABEL.findall(found[2] or "")}
            try:
                yield Point(found[1], labels, float(found[3]))
            except ValueError:
                continue


def _unescaped(found: re.Match[str]) -> str:
    return "\n" if found[1] == "n" else found[1]


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Say whether labels meet a selector's conditions, as Prometheus would: a missing label is an empty one."""
    for label, sign, value in selector.where:
        have = labels.get(label, "")
        same = re.fullmatch(value, have) is not None if "~" in sign else have == value
        if same is sign.startswith("!"):
            return False
    return True


def readings(
    query: Query, instance: str, found: Sequence[Point], at: float
) -> tuple[list[Sample], list[Seen], list[str]]:
    """Turn one page of one instance into samples; a value that is no number leaves the instance unseen."""
    samples: dict[tuple[str, str], Sample] = {}
    complaints, sound, there = [], True, query.heartbeat is None
    for point in found:
        if query.heartbeat and point.family == query.heartbeat.family and matches(query.heartbeat, point.labels):
            there = True
        for cell, selector in query.cells.items():
            if (
                not isinstance(selector, Selector)
                or point.family != selector.family
                or not matches(selector, point.labels)
            ):
                continue
            if not math.isfinite(point.value):
                sound = False
                continue
            place = point.labels.get("le", "+Inf") if cell == "le" else cell
            series = ",".join(f"{k}={v}" for k, v in sorted(point.labels.items()))
            if (place, series) in samples:
                complaints.append(f"{query.metric}: duplicate series of {instance}: {point.family} {series}"[:300])
            samples[place, series] = Sample(query.metric, query.arm, instance, place, series, at, point.value)
    if query.heartbeat is None:
        there = bool(samples)
    if not (sound and there):
        return [], [], complaints
    return list(samples.values()), [Seen(query.metric, query.arm, instance, at)], complaints


class Pages:
    """Scrapes the servers of each arm; their own /metrics pages are the embedded default."""

    def __init__(self, http: Http, path: str = "/metrics") -> None:
        self._http, self._path = http, path
        self._askers: dict[str, Asker] = {}

    def read(self, queries: Sequence[Query], since: float, until: float) -> Reading:  # noqa: ARG002
        """
        Read each server's page now.

        Raises:
            Unavailable: not one of the servers answers.
        """
        pages: dict[str, tuple[float, list[Point]] | None] = {}
        samples: list[Sample] = []
        seen: list[Seen] = []
        complaints: list[str] = []
        problems = []
        for address in sorted({address for query in queries for address in query.instances}):
            try:
                pages[address] = self._page(address)
            except Unavailable as error:
                pages[address] = None
                problems.append(error)
        if problems and not any(pages.values()):
            raise problems[0]
        for query in queries:
            for address in query.instances:
                page = pages[address]
                if page is not None:
                    found = readings(query, address, page[1], page[0])
                    samples += found[0]
                    seen += found[1]
                    complaints += found[2]
        return Reading(samples, seen, complaints)

    def _page(self, address: str) -> tuple[float, list[Point]]:
        url = address if "://" in address else f"http://{address}"
        asker = self._askers.setdefault(address, Asker(self._http, url))
        at = time.time()
        return at, list(points(asker.text(self._path)))


class Envoy:
    """Envoy's admin statistics: counters by cluster."""

    def __init__(self, http: Http, admin: str) -> None:
        self._asker = Asker(http, admin if "://" in admin else f"http://{admin}")

    def read(self, queries: Sequence[Query], since: float, until: float) -> Reading:  # noqa: ARG002
        """
        Read the statistics now.

        Raises:
            Unavailable: the admin interface does not answer.
        """
        at = time.time()
        found = list(points(self._asker.text("/stats/prometheus")))
        parts = [readings(query, "router", found, at) for query in queries]
        return Reading(
            [sample for part in parts for sample in part[0]],
            [seen for part in parts for seen in part[1]],
            [text for part in parts for text in part[2]],
        )
