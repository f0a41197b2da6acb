"""The data card: what a version holds, how it differs from the one before, and what the data check said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.files import replacing_folder, sha256_of, write_text
from ci.pages import numeric, ordered
from ci.publishing import plots
from ci.publishing.profile import moved, profiled
from ci.report import Picture, Table
from ci.templating import TEMPLATES, render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ci.contract import Column
    from ci.data.manifest import Manifest
    from ci.progress import Progress
    from ci.project import Project
    from ci.publishing.profile import ColumnStats, Moved, Profiled
    from ci.publishing.verdict import Verdict
    from ci.publishing.versions import Proposal
    from ci.releases.dataset import DataVersion

PAGE, TEXT, STYLE = "card.html", "README.md", "report.css"
_MOST_PERIODS, _MOST_NAMED = 36, 6
_FAR = 0.25  # PSI beyond which a population is commonly called another one


@dataclass(frozen=True)
class Card:
    """Where it lies; `files` maps names to bytes, as a commit keeps them beside the version."""

    page: Path
    files: Mapping[str, bytes]
    tables: Sequence[Table]
    pictures: Sequence[Picture]

    @property
    def digest(self) -> str:
        """Hex sha256 of the text: what the ledger remembers of it."""
        return sha256_of(self.files[TEXT].decode("utf-8"))


@dataclass(frozen=True)
class Subject:
    """What a card is about."""

    project: Project
    raw: Path
    manifest: Manifest
    verdict: Verdict
    progress: Progress


def draw(subject: Subject, former: DataVersion | None, proposal: Proposal, folder: Path) -> Card:
    """
    Write the card into `folder`: a page, a text and pictures.

    Raises:
        BadInput: a period is not what the manifest says.
    """
    project = subject.project
    found = profiled(project, subject.raw, subject.manifest, subject.progress)
    changes = moved(project, found, proposal)
    tables = [_changes(changes, found, former), _columns(project, found), _periods(subject, found, proposal)]
    with replacing_folder(folder) as beside:
        pictures = plots.draw(found, changes, proposal, project.contract.target, beside)
        context = _context(subject, former, proposal, tables, pictures)
        write_text(beside / PAGE, render("card/data_card.html.j2", numeric=numeric, **context))
        write_text(beside / TEXT, render("card/data_card.md.j2", **context))
        write_text(beside / STYLE, (TEMPLATES / "report" / "report.css").read_text(encoding="utf-8"))
        files = {path.name: path.read_bytes() for path in sorted(beside.iterdir())}
    shown = [Picture(folder / picture.path.name, picture.caption) for picture in pictures]
    return Card(folder / PAGE, files, tables, shown)


def _context(
    subject: Subject, former: DataVersion | None, proposal: Proposal, tables: Sequence[Table], pictures: Sequence[Picture]
) -> dict[str, Any]:  # fmt: skip
    project, manifest, passed = subject.project, subject.manifest, subject.verdict.answer == "passed"
    return {
        "project": project.name,
        "title": f"{project.name}-data@v{proposal.version}"
        if passed
        else f"{project.name}, delivered as of {manifest.as_of}",
        "version": proposal.version if passed else None,
        "outcome": "passed" if passed else "rejected",
        "description": project.contract.description,
        "owner": project.contract.owner,
        "why": proposal.why,
        "former": former.name if former else None,
        "facts": {
            "rows": manifest.rows,
            "periods": f"{manifest.parts[0].period} to {manifest.parts[-1].period} ({len(manifest.parts)})",
            "watermark": manifest.watermark,
            "as of": manifest.as_of,
            "data version": manifest.version[:12],
            "contract": manifest.contract[:12],
            "data check": subject.verdict.in_words,
        },
        "checks": [check for check in ordered(subject.verdict.checks) if check.outcome.value != "skipped"],
        "tables": [table for table in tables if table.rows],
        "pictures": [(picture.path.name, picture.caption) for picture in pictures],
    }


def _changes(changes: Sequence[Moved], found: Profiled, former: DataVersion | None) -> Table:
    rows = [
        (item.name, item.finding.psi if item.finding else None, item.finding.limit if item.finding else None,
         item.finding.season_psi if item.finding else None, item.former, item.finding.drifted if item.finding else None)
        for item in changes if item.finding or item.former is not None
    ]  # fmt: skip
    season = found.season()
    before = former.name if former else "the version before"
    return Table(
        "How far each column moved",
        ("column", f"PSI in {found.newest}", "ordinary is up to", "same season", f"since {before}", "drifted"),
        rows,
        f"{found.newest} against the periods before it"
        + (f", and against {season}" if season else "; there is no earlier year to compare its season with")
        + f"; since {before}: what arrived or was restated against everything else"
        + _most(changes, before)
        + ".",
    )


def _most(changes: Sequence[Moved], before: str) -> str:
    """Name what moved most since the version before: beside new periods like itself, a column looks ordinary."""
    far = sorted((item for item in changes if (item.former or 0) > _FAR), key=lambda item: -(item.former or 0))
    named = ", ".join(f"{item.name} {item.former:.2f}" for item in far[:_MOST_NAMED])
    more = f" and {len(far) - _MOST_NAMED} more" if len(far) > _MOST_NAMED else ""
    return f". Far from {before} are {named}{more}" if far else ""


def _columns(project: Project, found: Profiled) -> Table:
    rows = [_column(name, column, found.columns[name]) for name, column in project.contract.columns.items()]
    return Table(
        "Columns",
        ("column", "type", "for", "unit", "allowed", "missing", "smallest", "mean", "largest", "values", "what it is"),
        rows,
        "Over all periods. `after` is known only afterwards, `meta` is carried along, the target is what is predicted.",
    )


def _column(name: str, column: Column, stats: ColumnStats) -> tuple[Any, ...]:
    dated = hasattr(stats.low, "isoformat")
    low, high = (None, None) if dated else (_number(stats.low), _number(stats.high))
    missing = f"{stats.missing / stats.rows:.1%}" if stats.rows and stats.missing else "none"
    return (name, column.type.value, column.role.value, column.unit, _allowed(column), missing, low, stats.mean, high,
            stats.in_words() or None, column.description or None)  # fmt: skip


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _allowed(column: Column) -> str | None:
    if column.categories:
        shown = ", ".join(column.categories[:6])
        return shown + (f" and {len(column.categories) - 6} more" if len(column.categories) > 6 else "")
    ends = (f"≥ {column.minimum:g}" if column.minimum is not None else "",
            f"≤ {column.maximum:g}" if column.maximum is not None else "")  # fmt: skip
    return " and ".join(end for end in ends if end) or None


def _periods(subject: Subject, found: Profiled, proposal: Proposal) -> Table:
    what = {
        name: word for word, names in (("arrived", proposal.arrived), ("restated", proposal.restated)) for name in names
    }
    parts = list(reversed(subject.manifest.parts))[:_MOST_PERIODS]
    rows = [(part.period, part.rows, found.target.get(part.period), part.newest, what.get(part.period, "as before"), part.sha256[:12])
            for part in parts]  # fmt: skip
    return Table("Periods", ("period", "rows", f"mean of {subject.project.contract.target}", "newest row", "in this version", "sha256"),
                 rows, f"The newest {_MOST_PERIODS} at most.")  # fmt: skip
