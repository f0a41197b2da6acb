"""Deliveries for a store of the collection service, and looks at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector.store.interface import Batch, Reason
from tests.unit.collector import shop

if TYPE_CHECKING:
    from collector.store.interface import Answer, Store

ALWAYS = (-(10**17), 10**18)
FORMS = shop.forms()


def items(kind: str, documents: list[dict[str, Any]]) -> list[Any]:
    reasons: list[Reason] = []
    found = [
        FORMS[kind].item(place, document, shop.NOW, frozenset(), reasons) for place, document in enumerate(documents)
    ]
    assert not reasons
    return found


def add(
    store: Store, kind: str, *documents: dict[str, Any], project: str = "shop", received: int = shop.NOW, **more: Any
) -> Answer:
    answers: list[Answer] = []

    def work(session: Any) -> None:
        shape = session.shape(project, FORMS["records"].columns)
        found = Batch(project, kind, shape, "tests", received, "returned", items(kind, list(documents)),
                      spell=FORMS["records"].spelt, **more)  # fmt: skip
        answers.append(session.add(found, 1000))

    store.write(work)
    return answers[0]


def look(store: Store, name: str, *arguments: Any) -> Any:
    def work(view: Any) -> Any:
        found = getattr(view, name)("shop", *arguments)
        return list(found) if name in {"rows", "joined", "quarantine", "past"} else found

    return store.read(work)


def tally(answer: Answer) -> tuple[int, int, int, int]:
    return answer.accepted, answer.duplicates, answer.restated, answer.rejected
