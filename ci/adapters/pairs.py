"""Pairs of answers, read from the servers of both releases: each keeps the last it gave while a shadow runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ci.adapters.http import ask
from ci.errors import Unavailable
from ci.rollout.pairs import Answered, Heard, Joined, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ci.rollout.interface import Arm, Question
    from ci.rollout.pairs import Pair

    Send = Callable[..., tuple[int, dict[str, str], bytes]]

_MOST = 20_000  # answers of one server: twice what it keeps


class ServerPairs:
    """Satisfies `ci.rollout.pairs.Pairs`."""

    def __init__(self, question: Question, send: Send = ask) -> None:
        """Take whom to ask: a question with a baseline and the mark of copied requests; and what sends."""
        self._question, self._send = question, send

    def since(self, moment: datetime) -> Iterator[Pair]:
        """Yield the pairs whose copy was answered after a moment."""
        yield from (pair for pair in self.now().pairs if datetime.fromisoformat(pair.shadow.at) > moment)

    def now(self) -> Joined:
        """
        Join all that the servers hold.

        Raises:
            Unavailable: as `since`.
        """
        asked = self._question
        if not asked.shadow or asked.baseline is None:
            return Joined([], 0, 0)
        shadow = self._of(asked.candidate)  # first: what it answered, its baseline has answered or will in a moment
        return joined(self._of(asked.baseline), shadow)

    def _of(self, arm: Arm) -> list[Heard]:
        return [heard for address in arm.addresses for heard in self._pages(arm, address)]

    def _pages(self, arm: Arm, address: str) -> Iterator[Heard]:
        after = told = 0
        while told < _MOST:
            url = f"http://{address}/v2/shadow?mark={self._question.shadow}&after={after}"
            status, _, raw = self._send(url)
            if status != 200:
                raise Unavailable(f"{arm.release.name} at {address}: keeps no answers ({status})",
                                  hint="its server is older than this: deploy the live release anew first")  # fmt: skip
            page = [_heard(line, address) for line in raw.splitlines()]
            yield from page
            if not page:
                return
            after, told = page[-1].number, told + len(page)


def _heard(line: bytes, address: str) -> Heard:
    try:
        document = json.loads(line)
        answer, said = _plain(document["answer"])
        answered = Answered(
            release=str(document["release"]).split(";")[0],
            at=datetime.fromisoformat(document["at"]).astimezone(UTC).isoformat(timespec="milliseconds"),
            status=int(document["status"]), answer=answer, said=said,
        )  # fmt: skip
        return Heard(int(document["number"]), str(document["request_id"])[:128], answered)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unavailable(f"{address}: what it keeps of its answers cannot be read") from error


def _plain(body: Any) -> tuple[list[Any] | None, str]:
    """Take the predictions out of a body of either protocol, or the reason out of a problem."""
    if body is None:
        return None, "not kept: too long, or binary"
    if "predictions" in body:
        return list(body["predictions"]), ""
    if "outputs" in body:
        return list(body["outputs"][0]["data"]), ""
    return None, str(body.get("detail", ""))[:300]
