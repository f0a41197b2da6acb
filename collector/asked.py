"""What a request asks for beside its body: query, the contract that the sender knows."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from collector import moments
from serving.problems import Problem

if TYPE_CHECKING:
    from collector.contract import Contract
    from serving.wire import Call

MOST = 10_000  # rows of one page
_LIMIT = 1000
_CONTRACT = b"slipway-contract"


class Query:
    """The query of a request; a name that is not known is refused, because a misspelt filter filters nothing."""

    def __init__(self, call: Call, *known: str) -> None:
        try:
            pairs = parse_qsl(call.scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=20)
        except ValueError:
            raise Problem(400, "query", "the query cannot be read") from None
        self._values = dict(pairs)
        strangers = [name for name in self._values if name not in known]
        if strangers:
            raise Problem(400, "query", f"{strangers[0][:80]}: unknown; there are {', '.join(known) or 'none'}")

    def text(self, name: str) -> str | None:
        """Return a text; None where it is not there."""
        return self._values.get(name)

    def whole(self, name: str, default: int, most: int = 2**63 - 1) -> int:
        """Return a whole number from 0 on."""
        value = self._values.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 20 and int(value) <= most):
            raise Problem(400, "query", f"{name}: not a whole number from 0 to {most}")
        return int(value)

    @property
    def limit(self) -> int:
        """Rows of a page."""
        return self.whole("limit", _LIMIT, MOST) or 1

    @property
    def bounds(self) -> tuple[int, int]:
        """From when on, and until when: microseconds, half-open."""
        return self._moment("since", moments.EARLIEST), self._moment("until", moments.LATEST)

    def _moment(self, name: str, default: int) -> int:
        value = self._values.get(name)
        if value is None:
            return default
        found = moments.parse(value.replace(" ", "+"))  # an offset's plus that was not escaped
        if found is None:
            raise Problem(400, "query", f"{name}: not a moment such as 2013-07-01 or 2013-07-01T05:15:00")
        return found


def check_contract(call: Call, contract: Contract) -> None:
    """
    Hold the contract that a sender knows against the one that is known here.

    Raises:
        Problem: 409, naming both.
    """
    given = next((value for name, value in call.scope["headers"] if name == _CONTRACT), None)
    if given is None:
        return
    theirs = given.decode("latin-1").strip()
    if theirs != contract.digest:
        raise Problem(
            409, "contract",
            f"you know contract {theirs[:64]} of {contract.project}, this service knows {contract.digest}",
        )  # fmt: skip
