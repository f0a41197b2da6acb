"""What publishing says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ci.errors import Outcome
from ci.publishing.verdict import details, with_warnings
from ci.report import Check, Found, Result, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.data.manifest import Manifest
    from ci.ledger.event import Event
    from ci.project import Project
    from ci.publishing.card import Card
    from ci.publishing.verdict import Verdict
    from ci.releases.dataset import DataVersion


def unchecked(project: Project, manifest: Manifest, last: DataVersion | None) -> Result:
    """Say that nobody has checked these rows."""
    return Result(
        f"{project.name} as of {manifest.as_of}: nobody has checked these rows ({manifest.version[:12]})",
        Outcome.REJECTED, f"{_stays(last)}; python -m steps.check_data --project {project.name}",
        facts=_delivery(manifest, last), data={"moved": False, "published": False},
    )  # fmt: skip


def _stays(last: DataVersion | None) -> str:
    return f"{last.name} stays the newest version" if last else "no version was published so far"


def refused(project: Project, manifest: Manifest, verdict: Verdict, last: DataVersion | None, card: Card) -> Result:
    """Say that a delivery is not published, what is wrong with it, and what stays."""
    name, owner = project.name, project.contract.owner
    lines = details(verdict)
    wrong = [Table("What arrived wrong", ("lines",), [(line,) for line in lines])] if lines else []
    if verdict.patch:
        wrong.append(
            Table("To accept what changed, add to contract.yaml", ("lines",), [(line,) for line in verdict.patch])
        )
    return Result(
        f"{name} as of {manifest.as_of} is not published: {verdict.message}",
        Outcome.REJECTED,
        f"{_stays(last)}; {owner} is told{verdict.way_out}",
        checks=[*verdict.rejected],
        facts={**_delivery(manifest, last), "owner": owner},
        tables=[*wrong, *card.tables],
        pictures=card.pictures,
        outputs={str(card.page): card.digest},
        inputs={"data version": manifest.version},
        data={"published": False, "details": lines, "stays": last.name if last else None},
    )


def there(same: Event, last: DataVersion | None) -> Result:
    """Say that these rows have a version already."""
    record = same.data
    checks = [Check("published", Found.PASSED, f"since {same.at}, by {same.actor}")]
    if record and last and record.version != last.version:
        message = f"these rows are those of {record.name} again; {last.name} is the newest, and stays it"
        checks = [Check("published", Found.WARNED, message)]
    facts = _facts(record) if record else {}
    return Result(f"{same.name} has these rows already: nothing to publish", checks=checks, facts=facts,
                  data=_data(record, same.commit, moved=False))  # fmt: skip


def would(record: DataVersion, card: Card, place: str) -> Result:
    """Say what would be published."""
    return _with_card(Result(
        f"would publish {record.name} to {place}: {record.why}",
        facts={**_facts(record), "branch": place},
        data=_data(record, None, moved=False),
    ), card)  # fmt: skip


def published(event: Event, record: DataVersion, card: Card, place: str) -> Result:
    """Say what was published."""
    return _with_card(Result(
        f"{record.name} is published: {record.rows:,} rows up to {record.watermark or record.as_of}; {record.why}",
        checks=[Check("branch", Found.PASSED, f"{place} is at {event.commit[:10]}"),
                Check("ledger", Found.PASSED, f"event {event.number} of {event.project}, by {event.actor} at {event.at}")],
        facts={**_facts(record), "branch": place, "commit": event.commit[:12]},
        inputs={"data version": record.data_version},
        data=_data(record, event.commit, moved=True),
    ), card)  # fmt: skip


def _with_card(result: Result, card: Card) -> Result:
    return result.because(tables=card.tables, pictures=card.pictures, outputs={str(card.page): card.digest})


def _facts(record: DataVersion) -> Mapping[str, Any]:
    return {
        "version": record.name,
        "data version": record.data_version[:12],
        "rows": record.rows,
        "periods": f"{record.first} to {record.last}",
        "watermark": record.watermark,
        "as of": record.as_of,
        "verdict": with_warnings(record.verdict, record.warnings),
    }


def _delivery(manifest: Manifest, last: DataVersion | None) -> Mapping[str, Any]:
    facts = {"data version": manifest.version[:12], "as of": manifest.as_of, "rows": manifest.rows}
    return {**facts, "watermark": manifest.watermark, "newest version": last.name if last else None}


def _data(record: DataVersion | None, commit: str | None, *, moved: bool) -> dict[str, Any]:
    """Return what programs want: `moved` is False where nothing was published now, so that nobody is told."""
    version = record.model_dump(mode="json") if record else None
    return {"published": True, "moved": moved, "version": version, "name": record.name if record else None, "commit": commit}  # fmt: skip
