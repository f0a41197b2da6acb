"""The collection service as a counter of labelled answers: pages of joined predictions, counted by release and day."""

from __future__ import annotations

import json
import math
import os
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ci.adapters.monitoring.http import Asker
from ci.errors import BadInput, Unavailable
from ci.verification.interface import CANARY
from ci.verification.labels import Cohort, Counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ci.params_verification import Collector
    from ci.rollout.interface import Arm, Question
    from ci.verification.labels import Answering

_MOST = 20_000_000  # labelled answers of one release


class CollectedLabels:
    """Satisfies `ci.verification.labels.Labels`."""

    def __init__(
        self, policy: Collector, horizon_days: float, answering: Callable[[Arm], Answering],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        """
        Take how the service is reached, when labels are complete, and who knows how a release's answers are judged.

        Raises:
            BadInput: the variable that names the address is not set.
        """
        self._policy, self._horizon_days, self._answering, self._now = policy, horizon_days, answering, now
        self._asker = Asker(policy, address(policy))

    def count(self, question: Question, arms: Sequence[str]) -> Counted:
        """Count the labelled answers of the question's arms, by day."""
        base = f"/v1/{question.project}"
        watermark = _moment(self._asker.json(base), "watermark", self._asker.url)
        if watermark is None:  # no records, which would tell how far the world has come: then it is our clock
            watermark = self._now()
        since = watermark - timedelta(days=self._policy.days + self._horizon_days + 1)
        found, measure = {}, self._answering(question.candidate).measure
        for role in arms:
            arm = question.candidate if role == CANARY else question.baseline
            found[role] = self._cohorts(base, arm, since) if arm else []
        return Counted(watermark, self._horizon_days, found, measure)

    def _cohorts(self, base: str, arm: Arm, since: datetime) -> list[Cohort]:
        answering, name = self._answering(arm), f"{arm.release.project}@{arm.release.version}"
        known: dict[date, list[float]] = defaultdict(list)
        for row in self._joined(base, name, since):
            cost = answering.cost(row.get("predicted"), row.get("target"))
            if cost is not None and row.get("version") == arm.release.version and not row.get("synthetic"):
                known[_day(row, self._asker.url)].append(cost)
        sent = self._sent(base, name, since)
        return [
            Cohort(day, max(n, len(known[day])), len(known[day]), math.fsum(known[day]))
            for day, n in sorted(sent.items())
        ]

    def _joined(self, base: str, release: str, since: datetime) -> Iterator[dict[str, Any]]:
        after, told = 0, 0
        while told < _MOST:
            query = {"release": release, "since": _spelled(since), "after_id": after, "limit": self._policy.page}
            page = [
                _row(line, self._asker.url)
                for line in self._asker.text(f"{base}/joined?{urlencode(query)}").splitlines()
            ]
            yield from page
            if len(page) < self._policy.page:
                return
            if int(page[-1]["id"]) <= after:
                raise Unavailable(f"{self._asker.url}: its pages do not go on after id {after}")
            after, told = int(page[-1]["id"]), told + len(page)
        raise BadInput(f"{release}: more than {_MOST:,} labelled answers", hint="lower verification.collector.days")

    def _sent(self, base: str, release: str, since: datetime) -> dict[date, int]:
        """Return the answers of each day, labelled or not; requests that tests send are none: servers make no events of them."""
        answer = self._asker.json(f"{base}/labels?{urlencode({'since': _spelled(since)})}")
        rows = answer.get("labels", answer.get("days")) if isinstance(answer, dict) else answer
        if not isinstance(rows, list):
            raise Unavailable(f"{self._asker.url}: answers, but not as a collection service does")
        mine = [row for row in rows if isinstance(row, dict) and row.get("release") == release]
        return {_date(row.get("day"), self._asker.url): int(row.get("predictions", 0)) for row in mine}


def address(policy: Collector) -> str:
    """
    Return where the service listens.

    Raises:
        BadInput: nobody says, or the variable that should is not set.
    """
    if policy.url:
        return policy.url
    found = os.environ.get(policy.url_env or "", "")
    if not found.startswith(("http://", "https://")):
        raise BadInput(f"{policy.url_env}: not set to an address, though verification.collector.url_env names it")
    return found


def _row(line: str, url: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Unavailable(f"{url}: its answer is not NDJSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("id"), int):
        raise Unavailable(f"{url}: answers, but not as a collection service does")
    return found


def _day(row: dict[str, Any], url: str) -> date:
    return _date(str(row.get("event_time") or row.get("time"))[:10], url)


def _date(raw: Any, url: str) -> date:
    try:
        return date.fromisoformat(str(raw))
    except ValueError as error:
        raise Unavailable(f"{url}: {str(raw)[:40]!r} is no day") from error


def _moment(document: Any, key: str, url: str) -> datetime | None:
    raw = document.get(key) if isinstance(document, dict) else None
    if raw is None:
        return None
    try:
        found = datetime.fromisoformat(str(raw))
    except ValueError as error:
        raise Unavailable(f"{url}: {str(raw)[:40]!r} is no time") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _spelled(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
