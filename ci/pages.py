"""Writing a report: JSON for programs, JUnit XML for Jenkins, a page for people."""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from typing import TYPE_CHECKING

from ci.files import replacing, write_json, write_text
from ci.report import Found
from ci.templating import TEMPLATES, render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.report import Check, StepReport, Table

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(T[0-9:.]+(Z|[+-]\d\d:\d\d)?)?")
_EVIDENCE = ("observed", "limit", "interval", "n")
_ORDER = {kind: rank for rank, kind in enumerate((Found.REJECTED, Found.INCONCLUSIVE, Found.WARNED, Found.PASSED))}


def write(report: StepReport, path: Path) -> None:
    """Write `path` (.json), and beside it .xml, .html, the stylesheet and the pictures."""
    write_json(path, report.as_json())
    write_text(path.with_suffix(".xml"), render("report/junit.xml.j2", report=report, seconds=_seconds(report)))
    page = render(
        "report/report.html.j2",
        report=report,
        result=report.result,
        checks=ordered(report.result.checks),
        numeric=numeric,
        moment=moment,
        filled={name: any(getattr(c, name) is not None for c in report.result.checks) for name in _EVIDENCE},
        seconds=_seconds(report),
        files=f"{path.stem}_files",
    )
    stylesheet = path.with_name("report.css")
    write_text(stylesheet, (TEMPLATES / "report" / "report.css").read_text(encoding="utf-8"))
    _copy_pictures(report, path.with_name(f"{path.stem}_files"))
    write_text(path.with_suffix(".html"), page)


def ordered(checks: Sequence[Check]) -> list[Check]:
    """Sort checks by what a reader must see first; the order within a kind is kept."""
    return sorted(checks, key=lambda check: _ORDER.get(check.outcome, len(_ORDER)))


def numeric(table: Table, place: int) -> bool:
    """Say whether a column holds numbers, and gaps at most: such are shown right-aligned, with their heading."""
    values = [row[place] for row in table.rows if row[place] is not None]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def moment(value: object) -> bool:
    """Say whether a cell holds a moment in ISO 8601, which no line is to break."""
    return isinstance(value, str) and _MOMENT.fullmatch(value) is not None


def _copy_pictures(report: StepReport, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for file, picture in report.pictures():
        with replacing(folder / file) as beside:
            shutil.copyfile(picture.path, beside)


def _seconds(report: StepReport) -> float:
    return (datetime.fromisoformat(report.finished) - datetime.fromisoformat(report.started)).total_seconds()
