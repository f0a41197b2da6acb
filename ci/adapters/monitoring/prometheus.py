"""Prometheus's HTTP API: raw samples by range selector, with the moments at which they were scraped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ci.adapters.monitoring.http import Asker
from ci.errors import BadInput, Unavailable
from ci.verification.interface import Query, Reading, Sample, Seen, Selector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.params_verification import Http

_OF_THE_SCRAPE = {"job", "instance", "replica", "prometheus", "prometheus_replica"}


class Prometheus:
    """Asks for `selector[range]` as an instant query, so that nothing is interpolated or extrapolated."""

    def __init__(self, http: Http, url: str) -> None:
        self._asker = Asker(http, url)

    def read(self, queries: Sequence[Query], since: float, until: float) -> Reading:
        """
        Return all samples in (since, until].

        Raises:
            Unavailable: no answer, or one that is not Prometheus's.
            BadInput: the query is refused.
        """
        samples: list[Sample] = []
        seen: list[Seen] = []
        complaints: list[str] = []
        for query in queries:
            found, there, said = self._of(query, since, until)
            samples += found
            seen += there
            complaints += said
        return Reading(samples, seen, complaints, self._asker.skew_s)

    def _of(self, query: Query, since: float, until: float) -> tuple[list[Sample], list[Seen], list[str]]:
        samples, complaints = [], []
        unsound: set[tuple[str, float]] = set()
        alive: set[tuple[str, float]] = set()
        for cell, selector in query.cells.items():
            held: dict[tuple[str, str], Mapping[str, str]] = {}
            for labels, values in self._matrix(selector, since, until):
                instance = labels.get("instance", "all")
                own = {k: v for k, v in labels.items() if k not in _OF_THE_SCRAPE}
                series = ",".join(f"{k}={v}" for k, v in sorted(own.items()))
                if (instance, series) in held:
                    complaints.append(f"{query.metric}: duplicate series of {instance}: {series}"[:300])
                held[instance, series] = labels
                place = labels.get("le", "+Inf") if cell == "le" else cell
                for at, value in values:
                    if math.isfinite(value):
                        samples.append(Sample(query.metric, query.arm, instance, place, series, at, value))
                        alive.add((instance, at))
                    else:
                        unsound.add((instance, at))
        if query.heartbeat:
            beats = self._matrix(query.heartbeat, since, until)
            alive = {
                (labels.get("instance", "all"), at)
                for labels, values in beats
                for at, value in values
                if math.isfinite(value)
            }
        seen = [Seen(query.metric, query.arm, instance, at) for instance, at in sorted(alive - unsound)]
        bad = {instance for instance, _ in unsound}
        return [s for s in samples if s.instance not in bad or (s.instance, s.at) not in unsound], seen, complaints

    def _matrix(
        self, selector: Selector | str, since: float, until: float
    ) -> list[tuple[Mapping[str, str], list[tuple[float, float]]]]:
        span = max(1, math.ceil(until - since))
        form = {"query": f"{selector}[{span}s]", "time": f"{until:.3f}", "timeout": f"{self._asker.http.timeout_s:g}s"}
        answer = self._asker.json("/api/v1/query", form)
        try:
            if answer["status"] != "success":
                raise BadInput(f"{self._asker.url}: {answer.get('error', 'refused')}")
            result = answer["data"]["result"]
            return [(dict(item["metric"]), [(float(at), float(raw)) for at, raw in item["values"]]) for item in result]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unavailable(f"{self._asker.url}: answers, but not as Prometheus does") from error
