"""
Make a project from a CSV: guess its contract, say why, and write the files.

Reads   the CSV, params.yaml
Writes  projects/<name>/, one line in params.yaml, reports/all/new_project.json
Exits   0 passed, 2 bad input
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


def _absolute(_context: click.Context, _option: click.Parameter, value: Path) -> Path:
    """Steps work from the root of the checkout, people type from where they are."""
    return Path(os.path.abspath(value))  # noqa: PTH100  # resolve() would follow links into DVC's cache


@cli.step(project=False, alone=True)
@click.option("--name", required=True, metavar="NAME", help="Folder below projects/: a-z, 0-9 and _.")
@click.option(
    "--csv", required=True, type=cli.INPUT, callback=_absolute, help="The rows; also .gz, or a .zip of one file."
)
@click.option("--target", required=True, metavar="COLUMN", help="The column to predict.")
@click.option("--event-time", metavar="COLUMN", help="When a row happened; guessed if not given.")
@click.option("--key", "keys", multiple=True, metavar="COLUMN", help="Columns that together name one row.")
@click.option(
    "--task", type=click.Choice(["binary", "multiclass", "regression", "ranking"]), help="Guessed if not given."
)
@click.option("--positive", metavar="VALUE", help="The value of a binary target that counts as true.")
@click.option("--separator", metavar="CHAR", help="Between values; guessed from the first line.")
@click.option("--encoding", default="utf-8", help="Of the CSV, such as cp1252 or utf-16.")
@click.option("--force", is_flag=True, help="Replace the project if there is one of that name.")
@click.option("--dry-run", is_flag=True, help="Say what would be written (--json has the files), write nothing.")
def main(run: cli.Run, **options: Any) -> Result:
    """Guess a contract from a CSV and write projects/NAME/, ready for the stages."""
    from ci.adapters import fetch, tables
    from ci.scaffold.new import new_project
    from ci.scaffold.wish import Wish

    today = run.started.date()
    return new_project(Wish(**options), tables.opener(fetch.cache_folder()), run.progress, today)


if __name__ == "__main__":
    main()
