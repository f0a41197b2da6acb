"""The closing word of a run: what lies in artifacts/, how good it is, where to look and what to type next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput
from ci.files import read_json
from ci.model import bundle
from ci.model.evaluate import in_words
from ci.report import Picture, Result, Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ci.project import Project

_NEXT = (
    ("look at a model's page", "reports/{first}/evaluate.html"),
    ("let time pass", "dvc exp run -S 'projects/{first}/params.yaml:as_of=2013-08-01'"),
    ("compare with what was", "dvc metrics diff"),
    ("bring your own data", "python -m steps.new_project --name mine --csv my.csv --target column"),
)


@dataclass(frozen=True)
class Built:
    """One sealed bundle."""

    project: Project
    folder: Path
    digest: str
    evaluation: dict[str, Any]
    lineage: dict[str, Any]
    gate: dict[str, Any]

    @classmethod
    def of(cls, project: Project) -> Built:
        """
        Read the bundle of a project.

        Raises:
            BadInput: there is none yet.
        """
        folder = project.path("artifacts")
        if not (folder / bundle.MANIFEST).is_file():
            raise BadInput(f"{folder}: no bundle yet", hint=f"python -m steps.repro --project {project.name}")
        gate = project.path("reports", "gate.json")
        return cls(
            project,
            folder,
            bundle.digest(folder),
            read_json(folder / "evaluation.json"),
            read_json(folder / bundle.LINEAGE),
            read_json(gate) if gate.is_file() else {},
        )

    def metrics(self, most: int = 3) -> str:
        """Spell the first metrics with their intervals, the primary one first."""
        metrics, first = self.evaluation["metrics"], self.evaluation["primary"]
        names = sorted(metrics, key=lambda name: name != first)[:most]
        return ", ".join(f"{name} {in_words(metrics[name])}" for name in names)


def summary(projects: Sequence[Project]) -> Result:
    """
    Say what was built.

    Raises:
        BadInput: a project has no bundle yet.
    """
    built = [Built.of(project) for project in projects]
    rows = [
        (
            item.project.name,
            item.digest[:12],
            item.lineage["data"]["version"][:12],
            item.lineage["data"]["as_of"],
            item.lineage["data"]["rows"],
            item.metrics(),
            item.gate.get("outcome", "not judged yet"),
        )
        for item in built
    ]
    first = projects[0].name
    lines = [(what, how.format(first=first)) for what, how in _NEXT]
    pictures = [
        Picture(path, f"{item.project.name}: predicted against observed")
        for item in built
        if (path := _curve(item)).is_file()
    ]
    return Result(
        f"{len(built)} bundles: "
        + "; ".join(f"{item.project.name} {item.digest[:12]}, {item.metrics(1)}" for item in built),
        facts={f"artifacts/{item.project.name}": item.digest[:12] for item in built},
        tables=[
            Table(
                "Bundles",
                ("project", "digest", "data version", "as of", "rows", "metrics, 95 % intervals", "gate"),
                rows,
            ),
            Table("What next", ("to", "type, or open"), lines),
        ],
        pictures=pictures[:2],
        outputs={str(item.folder): item.digest for item in built},
    )


def _curve(item: Built) -> Path:
    return item.project.path("models", "evaluation", "pictures", "calibration.png")


def in_terminal(result: Result) -> str:
    """Lay the tables of a result out for a terminal."""
    lines = []
    for table in result.tables:
        shown = [[str(value) for value in row] for row in (table.columns, *table.rows)]
        widths = [max(len(row[place]) for row in shown) for place in range(len(table.columns))]
        lines += [
            "",
            table.title,
            *("  " + "  ".join(f"{v:<{w}}" for v, w in zip(row, widths, strict=True)).rstrip() for row in shown),
        ]
    return "\n".join([*lines, ""])
