"""Which data versions there are, how old their rows are, who learned from them, and how one gets them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ci.ledger.event import Kind
from ci.report import Check, Found, Result, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.ledger.event import Event
    from ci.ledger.history import History


def listing(found: Mapping[str, tuple[History, History]], now: datetime, repository: str) -> Result:
    """List the data versions of each project, from the ledgers of its data and of its releases; newest first."""
    versions = {name: _versions(data, releases, now) for name, (data, releases) in found.items()}
    checks = [_check(name, items, found[name][0]) for name, items in versions.items()]
    rows = [_row(item) for items in versions.values() for item in items]
    count = len(rows)
    newest = ", ".join(items[0]["name"] for items in versions.values() if items)
    message = (
        f"{count} data version{'' if count == 1 else 's'}; newest: {newest}"
        if count
        else "no data version was published yet"
    )
    table = Table(
        "Data versions",
        ("version", "periods", "rows", "newest row", "age in days", "check", "published", "learned from it"),
        rows,
        "Age: of the newest row, now. Learned from it: releases whose bundle names exactly this data version.",
    )
    ways = Table("How to get one", ("lines",), [(line,) for line in _ways(versions, repository)])
    hint = "" if count else "python -m steps.publish --project NAME"
    return Result(message, hint=hint, checks=checks, tables=[table, ways], data={"projects": versions})


def in_terminal(result: Result) -> str:
    """Say it for people at a terminal."""
    lines = []
    for items in result.data["projects"].values():
        for item in items:
            users = ", ".join(item["consumers"]) or "nobody yet"
            age = f"{item['age_days']:,.0f} days old" if item["age_days"] is not None else "not dated"
            lines.append(f"  {item['name']:<24} {item['first']} to {item['last']}, {item['rows']:,} rows, {age}, "
                         f"{item['verdict']}; learned from it: {users}")  # fmt: skip
    return "\n".join([*lines, *(f"  {row[0]}" for row in result.tables[1].rows)])


def _versions(data: History, releases: History, now: datetime) -> list[dict[str, Any]]:
    events = [data.registered(version) for version in reversed(data.versions())]
    return [_version(event, releases, now) for event in events if event and event.data]


def _version(event: Event, releases: History, now: datetime) -> dict[str, Any]:
    record = event.data
    if record is None:
        raise ValueError(event.name)
    return {
        **record.model_dump(mode="json"),
        "name": record.name,
        "commit": event.commit,
        "published": event.at,
        "actor": event.actor,
        "age_days": _age(record.watermark, now),
        "consumers": consumers(releases, record.data_version),
        "evidence": dict(event.evidence),
    }


def consumers(releases: History, data_version: str) -> list[str]:
    """Name the releases that were learned from a data version, and where they are live."""
    events = [event for event in releases.events if event.kind is Kind.REGISTERED and event.record]
    names = [event.record.version for event in events if event.record and event.record.data_version == data_version]
    places: dict[str, list[str]] = {version: [] for version in names}
    for environment in sorted({str(event.environment) for event in releases.events if event.kind is Kind.ASSIGNED}):
        live = releases.live(environment)
        if live and live.version in places:
            places[live.version].append(environment)
    return [
        f"{releases.project}@v{name}" + (f" (live in {' and '.join(where)})" if where else "")
        for name, where in places.items()
    ]


def _age(watermark: str | None, now: datetime) -> float | None:
    if watermark is None:
        return None
    newest = datetime.fromisoformat(watermark)
    return round((now - (newest if newest.tzinfo else newest.replace(tzinfo=UTC))).total_seconds() / 86_400, 2)


def _check(project: str, items: Sequence[Mapping[str, Any]], data: History) -> Check:
    notes = f" ({'; '.join(data.notes)})" if data.notes else ""
    if not items:
        return Check(project, Found.SKIPPED, f"{project}: nothing was published{notes}")
    return Check(project, Found.PASSED, f"{items[0]['name']} is the newest of {len(items)}{notes}", n=items[0]["rows"])


def _row(item: Mapping[str, Any]) -> tuple[Any, ...]:
    verdict = item["verdict"] + (f", {item['warnings']} warnings" if item["warnings"] else "")
    return (item["name"], f"{item['first']} to {item['last']}", item["rows"], item["watermark"], item["age_days"], verdict,
            item["published"], ", ".join(item["consumers"]) or None)  # fmt: skip


def _ways(versions: Mapping[str, Sequence[Mapping[str, Any]]], repository: str) -> list[str]:
    item = next((items[0] for items in versions.values() if items), None)
    if item is None:
        return []
    folder = f"data/{item['project']}/raw"
    return [
        f"dvc get --rev {item['name']} {repository} {folder}",
        f"dvc import --rev {item['name']} {repository} {folder}",
        f'from slipway import load_data; load_data("{item["project"]}", "{item["version"]}", repository="{repository}")',
    ]
