"""Any monitoring API that answers points as JSON over HTTP: a filled-in question, two paths into the answer."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ci.adapters.monitoring import jsonpath
from ci.adapters.monitoring.http import Asker
from ci.errors import BadInput, Unavailable
from ci.verification.interface import Query, Reading, Sample, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ci.params_verification import JsonApi

INSTANCE = "all"
_Series = tuple[str, str, str]  # metric, arm, cell


class JsonProvider:
    """Asks once for each cell of each arm; what happened between two points is added up, so that counters come out."""

    def __init__(self, api: JsonApi, url: str) -> None:
        """Take how the API is asked; a path or template that cannot be read is said at once."""
        self._api, self._asker = api, Asker(api, url)
        for path in (api.times, api.values):
            jsonpath.steps(path)
        self._counted: dict[_Series, dict[float, float]] = {}

    def read(self, queries: Sequence[Query], since: float, until: float) -> Reading:
        """
        Return the points in (since, until]; an empty answer is no data, a null point was not seen.

        Raises:
            Unavailable: no answer after all tries, or one that is not JSON.
            BadInput: the question is refused, or the paths do not fit the answer.
        """
        samples: list[Sample] = []
        seen: list[Seen] = []
        complaints: list[str] = []
        for query in queries:
            cells = {cell: self._points(query, cell, str(text), since, until, complaints) for cell, text in query.cells.items()}  # fmt: skip
            moments = [set(points) for cell, points in cells.items() if not (query.zero and cell == "bad")]
            together = set.intersection(*moments) if moments else set()
            seen += [Seen(query.metric, query.arm, INSTANCE, at) for at in sorted(together)]
            for cell, points in cells.items():
                totals = self._totals((query.metric, query.arm, cell), points)
                samples += [Sample(query.metric, query.arm, INSTANCE, cell, cell, at, v) for at, v in totals.items()]
        return Reading(samples, seen, complaints, self._asker.skew_s)

    def _points(
        self, query: Query, cell: str, text: str, since: float, until: float, complaints: list[str]
    ) -> dict[float, float]:
        answer = self._asked(text, since, until)
        times, values = jsonpath.found(self._api.times, answer), jsonpath.found(self._api.values, answer)
        if len(times) != len(values):
            raise BadInput(f"{self._asker.url}: {len(times)} times and {len(values)} values",
                           hint="json_api.times and json_api.values must name the same points")  # fmt: skip
        points: dict[float, float] = {}
        for raw_time, raw in zip(times, values, strict=True):
            at, value = self._moment(raw_time), self._number(raw)
            if value is None or not since < at <= until:
                continue
            if at in points or value < 0:
                fact = "the same moment twice" if at in points else f"a negative count ({value:g})"
                complaints.append(f"{query.metric}: {fact} in {cell} of the {query.arm}")
            points[at] = value
        return points

    def _totals(self, series: _Series, points: Mapping[float, float]) -> dict[float, float]:
        """Turn what happened between points into a running total; points of former answers stay counted."""
        if self._api.shape == "cumulative":
            return dict(points)
        known = self._counted.setdefault(series, {})
        known.update(points)
        totals, sum_ = {}, 0.0
        for at in sorted(known):
            sum_ += known[at]
            totals[at] = sum_
        return {at: totals[at] for at in points}

    def _asked(self, text: str, since: float, until: float) -> Any:
        values = {"query": text, "since": f"{since:.0f}", "until": f"{until:.0f}",
                  "since_ms": f"{since * 1000:.0f}", "until_ms": f"{until * 1000:.0f}",
                  "since_iso": _spelled(since), "until_iso": _spelled(until)}  # fmt: skip
        path = _filled(self._api.path, values, "path", lambda text: quote(text, safe=""))
        body = self._api.body and _filled(self._api.body, values, "body", lambda text: json.dumps(text)[1:-1])
        return self._asker.json(path, body=body or None)

    def _moment(self, raw: Any) -> float:
        try:
            if self._api.time_unit == "iso":
                moment = datetime.fromisoformat(str(raw))
                return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            found = float(raw) / (1000 if self._api.time_unit == "ms" else 1)
        except (TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"{self._asker.url}: {str(raw)[:40]!r} is no time in {self._api.time_unit}") from error
        if not math.isfinite(found):
            raise BadInput(f"{self._asker.url}: {str(raw)[:40]!r} is no time")
        return found

    def _number(self, raw: Any) -> float | None:
        """Read a value; null and what is not finite were not counted, and are not zero."""
        if raw is None or isinstance(raw, bool):
            return None
        try:
            value = float(raw)
        except (TypeError, ValueError, OverflowError) as error:
            raise Unavailable(f"{self._asker.url}: answers {str(raw)[:40]!r} where a number should be") from error
        return value if math.isfinite(value) else None


def _spelled(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _filled(template: str, values: Mapping[str, str], key: str, escaped: Callable[[str], str]) -> str:
    """Fill in, escaped for where it goes, so that a query cannot become more than a query."""
    try:
        return Template(template).substitute({name: escaped(text) for name, text in values.items()})
    except (KeyError, ValueError) as error:
        raise BadInput(f"json_api.{key}: unknown or broken placeholder ({error})") from error
