"""A new project from a CSV: read, guess, rehearse, write, and tell what was guessed and why."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from ci.contract import Role
from ci.files import replacing_folder, sha256, write_text
from ci.report import Check, Found, Result, Table
from ci.scaffold import listing, render
from ci.scaffold.draft import drafted
from ci.scaffold.reading import read
from ci.scaffold.rehearsal import rehearse
from ci.shared import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    from ci.data.ingest import TableReader
    from ci.progress import Progress
    from ci.scaffold.draft import Draft
    from ci.scaffold.wish import Wish
    from ci.sources import AnyTable

_MOST_LINES = 60
_WIDEST = 28
_ORDER = (Role.TARGET, Role.FEATURE, Role.AFTER, Role.META)


def new_project(wish: Wish, open_table: Callable[[AnyTable], TableReader], progress: Progress, today: date) -> Result:
    """
    Write `projects/<name>/` and list it in params.yaml; both or neither, and neither for a dry run.

    Raises:
        BadInput: the name, the file or a column that `wish` names is wrong, or nothing can be learned from it.
    """
    wish = wish.checked()
    listed = listing.with_project(wish.name)
    sheet = read(wish, wish.where(Path.cwd()), open_table)
    draft, problem = rehearse(drafted(sheet, wish, today), open_table, progress)
    texts = render.files(draft)
    for line in table_lines(draft):
        progress.line(line)
    if not wish.dry_run:
        _write(wish.folder, texts, listed)
    return _told(draft, wish, texts, problem)


def _write(folder: Path, texts: Mapping[str, str], listed: str) -> None:
    fresh = not folder.exists()
    with replacing_folder(folder) as beside:
        for name, text in texts.items():
            (beside / name).write_text(text, encoding="utf-8")
    try:
        write_text(SHARED, listed)
    except BaseException:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def table_lines(draft: Draft) -> Iterator[str]:
    """Yield the guesses as aligned lines, at most sixty; the report has all of them."""
    rows = _rows(draft)
    width = min(_WIDEST, max(_columns_of(name) for name, *_ in rows))
    yield f"{'column':<{width}}  {'type':<8}  {'role':<7}  why"
    for name, kind, role, why, _ in rows[:_MOST_LINES]:
        yield f"{_padded(name, width)}  {kind:<8}  {role:<7}  {render.remark(why)}"
    if len(rows) > _MOST_LINES:
        yield f"… and {len(rows) - _MOST_LINES} more, in the report"
    for check in _warnings(draft):
        yield f"look at {check.name.removeprefix('column ')}: {check.message}"
    for check in _accepted(draft):
        yield f"look at {check.message}"


def _padded(name: str, width: int) -> str:
    """Cut or fill a name to a width on the terminal, on which 東 takes two columns and a combining mark none."""
    short = render.remark(name)
    while _columns_of(short) > width:
        short = short.removesuffix("…")[:-1] + "…"
    return short + " " * (width - _columns_of(short))


def _columns_of(text: str) -> int:
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _rows(draft: Draft) -> list[tuple[str, str, str, str, str]]:
    found = sorted(draft.guesses.items(), key=lambda item: _ORDER.index(item[1].column.role))
    told = [(name, guess.column.type.value, guess.column.role.value, guess.why, guess.seen) for name, guess in found]
    return [
        *told,
        *(
            (name, "–", "left out", "a contract cannot name it, or its values are too long", "")
            for name in draft.named_out
        ),
    ]


def _warnings(draft: Draft) -> Iterator[Check]:
    for name, guess in draft.guesses.items():
        if guess.warning:
            yield Check(f"column {name}", Found.WARNED, guess.warning, guess.column.role.value)
    for name, score in draft.trusted.items():
        message = f"alone it goes far (score {score:.2f}), so it is listed under evaluate.trusted: is it known in time?"
        yield Check(f"column {name}", Found.WARNED, message, score)


def _accepted(draft: Draft) -> Iterator[Check]:
    for item in draft.accepted:
        message = (
            f"{item['period']}: check_data would reject {item['change']}; accepted in contract.yaml, is that right?"
        )
        yield Check("accepted", Found.WARNED, message)


def _told(draft: Draft, wish: Wish, texts: Mapping[str, str], problem: str) -> Result:
    warnings = list(_warnings(draft))
    rehearsal = Check(
        "rehearsal", Found.WARNED if problem else Found.PASSED, problem or "ingest, check_data and prepare pass"
    )
    done = f"would write {wish.folder}" if wish.dry_run else f"{wish.folder} is ready"
    columns = len(draft.guesses) + len(draft.named_out)
    count = f"; {len(warnings)} columns to look at" if warnings else ""
    return Result(
        f"{done}: {draft.task}, {len(draft.features)} features from {columns} columns{count}",
        hint=f"python -m steps.repro --project {draft.name}"
        if not problem
        else "edit the files, then run the stages one by one",
        checks=[rehearsal, *warnings, *_accepted(draft)],
        facts=_facts(draft),
        tables=[Table("What it guessed, and why", ("column", "type", "role", "why", "seen"), _rows(draft))],
        inputs={draft.table.path: sha256(wish.csv)},
        outputs={} if wish.dry_run else {str(wish.folder / name): sha256(wish.folder / name) for name in texts},
        data={"files": dict(texts)},
    )


def _facts(draft: Draft) -> dict[str, object]:
    held_out = f"newest {draft.test_days} days" if draft.strategy == "time" else f"{draft.test_share:.0%} of the rows"
    return {
        "task": draft.task.value,
        "rows": draft.rows,
        "features": len(draft.features),
        "event time": draft.timing.name if draft.timing else f"none: {draft.time_why}",
        "keys": list(draft.keys) or "none",
        "held out": f"{held_out} ({draft.strategy})",
        "positive": draft.positive,
    }
