"""The project to be: everything that its files will say, in one value that the rehearsal can correct."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ci.contract import Contract, Role, Task, Type
from ci.errors import BadInput
from ci.params import parse
from ci.scaffold import target, timing
from ci.scaffold.columns import Guess, guess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ci.scaffold.reading import Sheet
    from ci.scaffold.timing import Timing
    from ci.scaffold.wish import Wish
    from ci.sources import FileTable

_MOST_SLICES = 3
_SLICE_VALUES = 12
_TEST_ROWS = 40


@dataclass(frozen=True, slots=True)
class Draft:
    """What the scaffold has settled; `named_out` are columns that no contract can name."""

    name: str
    task: Task
    target: str
    positive: str | None
    guesses: Mapping[str, Guess]
    keys: Sequence[str]
    timing: Timing | None
    time_why: str
    table: FileTable
    today: date
    rows: int
    group: str | None = None
    strategy: str = "random"
    test_days: int = 30
    test_share: float = 0.2
    seed: int = 0
    rows_factor: float = 3.0
    fewest_rows: int = 100
    accepted: Sequence[Mapping[str, str]] = ()
    trusted: Mapping[str, float] = field(default_factory=dict)
    named_out: Sequence[str] = ()

    def but(self, **changes: Any) -> Draft:
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def after(self, name: str, why: str, warning: str) -> Draft:
        """Return a copy in which a column is known only afterwards."""
        return self.but(guesses={**self.guesses, name: self.guesses[name].as_role(Role.AFTER, why, warning)})

    @property
    def features(self) -> list[str]:
        """Names of the columns that the model may see."""
        return [name for name, found in self.guesses.items() if found.column.role is Role.FEATURE]

    @property
    def cluster(self) -> str | None:
        """Rows of one day, or of one entity, are not independent."""
        if self.timing and self.strategy == "time" and self.test_days >= 10 and self.timing.days >= 40:
            return "day"
        return self.group

    @property
    def slices(self) -> list[str]:
        """The first few columns with a handful of values, by which results are broken down."""
        fitting = [name for name in self.features if _handful(self.guesses[name])]
        return fitting[:_MOST_SLICES]

    @property
    def question(self) -> str:
        """The description of the contract, for a person to reword."""
        return {
            Task.BINARY: f"Will {self.target} be {self.positive or 'true'}?",
            Task.MULTICLASS: f"Which {self.target} will it be?",
            Task.REGRESSION: f"How much will {self.target} be?",
            Task.RANKING: f"Which rows come first by {self.target}?",
        }[self.task]

    def contract(self) -> Contract:
        """
        Return the contract as a value.

        Raises:
            BadInput: no column is left that could be a feature.
        """
        if not self.features:
            why = "; ".join(
                f"{name}: {found.why}" for name, found in list(self.guesses.items())[:4] if name != self.target
            )
            raise BadInput(f"{self.name}: no column can be a feature ({why})"[:400])
        return parse(Contract, self.document(), "contract")

    def document(self) -> dict[str, Any]:
        """Return the contract as the mapping that YAML would hold."""
        return {
            "description": self.question,
            "owner": f"the owner of {self.name}",
            "task": self.task.value,
            "target": self.target,
            **({"positive": self.positive} if self.positive is not None else {}),
            "event_time": self.timing.name if self.timing else None,
            "keys": list(self.keys),
            "cluster": self.cluster,
            "group": self.group,
            "slices": self.slices,
            "columns": {name: plain(found) for name, found in self.guesses.items()},
            "accepted": [dict(item) for item in self.accepted],
        }


def plain(found: Guess) -> dict[str, Any]:
    """Spell a column without what is default anyway."""
    return found.column.model_dump(mode="json", exclude_defaults=True)


def drafted(sheet: Sheet, wish: Wish, today: date) -> Draft:
    """
    Guess everything that can be guessed by looking.

    Raises:
        BadInput: a column that `wish` names is not there or does not fit, or nothing can be learned.
    """
    wish.column("--target", wish.target, sheet.names)
    found = target.aim(sheet, wish)
    guesses = {name: guess(sheet, name) for name in sheet.names if name != wish.target}
    named = {name: item for name, item in guesses.items() if item is not None}
    when, why = _event(sheet, wish, named, today)
    if when is not None:
        named = {name: timing.later(item, named[when]) for name, item in named.items()}
        named[when] = named[when].as_role(Role.FEATURE, f"{named[when].moments.how}: {why}")  # type: ignore[union-attr]
    keys = _keys(sheet, wish, named)
    if len(keys) == 1 and keys[0] != when:
        named[keys[0]] = named[keys[0]].as_role(Role.META, "the key: one row each")
    known = int(sheet.frame[wish.target].notna().sum())
    made = Draft(
        name=wish.name,
        task=found.task,
        target=wish.target,
        positive=found.positive,
        guesses={**named, wish.target: found.guess},
        keys=keys,
        timing=timing.timing(named[when]) if when else None,
        time_why=why,
        table=sheet.table,
        today=today,
        rows=len(sheet.frame),
        named_out=[name for name, item in guesses.items() if item is None],
        test_share=round(min(0.4, max(0.2, _TEST_ROWS / known)), 2),
    )
    return _split(made)


def _event(sheet: Sheet, wish: Wish, named: Mapping[str, Guess], today: date) -> tuple[str | None, str]:
    if wish.event_time is None:
        return timing.event_time(list(named.values()), today)
    name = wish.column("--event-time", wish.event_time, sheet.names)
    if name == wish.target:
        raise BadInput(f"--event-time: {name} is the target")
    timing.named(sheet, named.get(name), name)
    return name, "when it happened, as told"


def _keys(sheet: Sheet, wish: Wish, named: Mapping[str, Guess]) -> list[str]:
    """Take the keys that were asked for, or the first column that is different in each row and never missing."""
    if not wish.keys:
        return next(([name] for name, item in named.items() if item.row_id), [])
    keys = [wish.column("--key", name, sheet.names) for name in wish.keys]
    if wish.target in keys:
        raise BadInput(f"--key: {wish.target} is the target")
    if unnamed := [name for name in keys if name not in named]:
        raise BadInput(f"--key: a contract cannot name the column {unnamed[0]!r}")
    twice = int(sheet.frame.duplicated(keys).sum())
    if twice:
        raise BadInput(
            f"--key: {twice:,} of {len(sheet.frame):,} rows repeat {', '.join(keys)}", hint="name more columns"
        )
    return keys


def _split(draft: Draft) -> Draft:
    """By time if there is enough of it; else at random, with the rows of one entity together."""
    when = draft.timing
    draft = draft if when is None else draft.but(fewest_rows=when.fewest_rows)
    if when and when.days >= 10:
        return draft.but(strategy="time", test_days=when.test_days)
    return by_chance(draft)


def by_chance(draft: Draft) -> Draft:
    """Split at random; where an id repeats, its rows stay together."""
    entity = next((name for name, item in draft.guesses.items() if item.entity), None)
    fewest = max(1, min(100, draft.rows // 2)) if draft.timing is None else draft.fewest_rows
    return draft.but(strategy="group" if entity else "random", group=entity, fewest_rows=fewest)


def _handful(found: Guess) -> bool:
    column = found.column
    return column.type is Type.BOOLEAN or bool(column.categories and 2 <= len(column.categories) <= _SLICE_VALUES)
