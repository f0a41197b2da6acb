"""What the three kinds of records have in common when they are read."""

from __future__ import annotations

import difflib
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from collector import moments
from collector.store.interface import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from collector.contract import Contract
    from collector.fields import Field
    from collector.sensitive import Guard
    from collector.store.interface import Kind

_KEPT = 4096  # bytes of a record that is too long, or not to be read, which the quarantine keeps
encode = msgspec.msgpack.Encoder().encode


class Form(Protocol):
    """How one kind of record is read."""

    kind: Kind

    def lines(self, body: bytes) -> list[Any]:
        """Decode NDJSON quickly; raises one of `REFUSALS` if anything is wrong."""

    def array(self, body: bytes) -> list[Any]:
        """Decode a JSON array quickly; raises one of `REFUSALS` if anything is wrong."""

    def items(self, records: list[Any], now: int) -> list[Any]:
        """Turn what was decoded into items for the store; raises ValueError if it must be looked at closely."""

    def item(
        self, index: int, document: dict[str, Any], now: int, hashed: frozenset[str], reasons: list[Reason]
    ) -> Any | None:
        """Turn one record into an item for the store, or say why not; `hashed` are texts that are hashes already."""

    def kept(self, part: bytes, document: dict[str, Any] | None, longest: int) -> bytes:
        """Return a refused record as the quarantine may keep it."""


class Common:
    """Decoders, fields and the guard of one kind of record."""

    kind: Kind

    def __init__(self, contract: Contract, guard: Guard, ahead_s: float, fields: Mapping[str, Field]) -> None:
        self.contract, self.guard, self.fields = contract, guard, fields
        self.ahead = int(ahead_s * 1_000_000)

    def compile(self, struct: Any) -> None:
        """Make the quick decoders."""
        self.lines = msgspec.json.Decoder(struct).decode_lines
        self.array = msgspec.json.Decoder(list[struct]).decode

    def judged(
        self, document: Mapping[str, Any], fields: Mapping[str, Field], hashed: frozenset[str], reasons: list[Reason]
    ) -> dict[str, Any]:
        """Return the values of a record as they are kept, and note what is wrong."""
        found: dict[str, Any] = {}
        for name, field in fields.items():
            if name not in document:
                if field.required:
                    reasons.append(Reason(name, "is missing"))
                continue
            fault = None if _is_hash(document[name], hashed) else field.fault(document[name])
            if fault:
                reasons.append(Reason(name, fault))
            else:
                found[name] = self._shielded(name, field.value(document[name]), hashed)
        return found

    def strangers(self, document: Mapping[str, Any], known: Iterable[str], reasons: list[Reason]) -> None:
        """Note names that nobody knows."""
        names = list(known)
        for name in document:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                meant = f"; did you mean {near[0]}?" if near else ""
                reasons.append(Reason(name[:200], f"is not in the contract{meant}"))

    def early(self, name: str | None, moment: int, now: int, reasons: list[Reason]) -> None:
        """Note a moment that has not come yet."""
        if moment > now + self.ahead:
            reasons.append(Reason(name, f"{moments.iso(moment)} has not come yet: it is {moments.iso(now)} UTC here, "
                                        f"and {self.ahead / 1e6:g} s ahead are allowed"))  # fmt: skip

    def _shielded(self, name: str, value: Any, hashed: frozenset[str]) -> Any:
        shield = None if _is_hash(value, hashed) and name in self.guard.hashed else self.guard.shield(name)
        return shield(value) if shield else value

    def kept(self, part: bytes, document: dict[str, Any] | None, longest: int) -> bytes:
        """Keep a refused record as it came, without what is sensitive in it."""
        if document is None and self.guard.names:
            return b""  # nobody can tell what in it is sensitive
        if document is not None and self.guard.names & document.keys():
            return msgspec.json.encode(self.guard.hidden(document))
        return part.strip() if len(part) <= longest else part[:_KEPT]


def _is_hash(value: Any, hashed: frozenset[str]) -> bool:
    return isinstance(value, str) and value in hashed


def struct(name: str, annotations: Mapping[str, Any], optional: Iterable[str], default: Any) -> Any:
    """Make the type of a record; its fields are called f0, f1, … because columns may have any name."""
    optional = frozenset(optional)
    slots = {column: f"f{place}" for place, column in enumerate(annotations)}
    return msgspec.defstruct(
        name,
        [
            (slots[column], kind, default) if column in optional else (slots[column], kind)
            for column, kind in annotations.items()
        ],
        rename={slot: column for column, slot in slots.items()},
        forbid_unknown_fields=True,
        kw_only=True,
        gc=False,
    )


def getter(names: Sequence[str], among: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what fetches columns from a decoded record."""
    return several(attrgetter, [f"f{list(among).index(name)}" for name in names])


def places(names: Sequence[str], among: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what fetches columns from a tuple of values."""
    return several(itemgetter, [list(among).index(name) for name in names])


def several(make: Any, wanted: Sequence[Any]) -> Callable[[Any], tuple[Any, ...]]:
    """Make a getter that gives a tuple however many are wanted."""
    if not wanted:
        return lambda _: ()
    get: Callable[[Any], Any] = make(*wanted)
    return get if len(wanted) > 1 else lambda found: (get(found),)
