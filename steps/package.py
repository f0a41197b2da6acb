"""
Make a release of an accepted bundle: as an image that serves, a wheel that is embedded, data that servers pull.

Reads   artifacts/<project>/, reports/<project>/gate.json, `registry`, `signing` and `image` in params.yaml, serving/;
        for --project collector all contracts and collector/: its bundle is made, and its smoke test is its gate
Writes  the registry, dist/, one tag in the ledger, reports/<project>/package.json
Exits   0 passed, 2 bad input, 3 rejected, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from pathlib import Path

    from ci.report import Result

_KINDS = "service,embedded,data"


@cli.step(alone=True)
@click.option("--as", "kinds", metavar=_KINDS, help="Which packagings.  [default: all that this machine can build]")
@click.option("--bundle", "folder", type=cli.INPUT, metavar="FOLDER", help="The bundle.  [default: artifacts/NAME]")
@click.option("--version", metavar="X.Y.Z", help="Its version.  [default: proposed by what changed]")
@click.option("--ungated", metavar="REASON", help="Release what nobody judged; it can never be promoted.")
@click.option("--dry-run", is_flag=True, help="Say what would be released; build and push nothing.")
def main(
    run: cli.Run, kinds: str | None, folder: Path | None, version: str | None, ungated: str | None, dry_run: bool
) -> Result:
    """Package a bundle, prove that it answers, push it by digest and register the release."""
    from ci.adapters.releasing import asked_for, package
    from ci.releasing import Request

    project = run.project
    request = Request(
        project=project.name,
        folder=folder or project.path("artifacts"),
        gate=project.path("reports", "gate.json"),
        asked=asked_for(kinds),
        version=version,
        ungated=ungated,
        dry_run=dry_run,
    )
    return package(project, request, run.say)


if __name__ == "__main__":
    main()
