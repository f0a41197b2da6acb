"""
Write the contract files of the collection service.

Reads   projects/<name>/contract.yaml and params.yaml of every project, or of the one that is named
Writes  FOLDER/<name>.json, reports/all/contracts.json
Exits   0 passed, 2 bad input
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(project=False)
@click.option("--only", metavar="NAME", help="One project.  [default: all that params.yaml lists]")
@click.option("--folder", type=cli.INPUT, default=Path(".slipway/contracts"), help="Where COLLECTOR_CONTRACTS points.")
def main(run: cli.Run, only: str | None, folder: Path) -> Result:  # noqa: ARG001 # a step gets its run
    """Write a file for each project; the collection service reads them when it starts, and again on SIGHUP."""
    from ci.collecting import contracts
    from ci.project import find
    from ci.shared import chosen, shared

    return contracts.write([find(name) for name in chosen(shared(), only)], folder)


if __name__ == "__main__":
    main()
