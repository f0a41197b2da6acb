"""
Ask everything that a release was made into for the same rows, and compare the numbers.

Reads   the ledger, the registry, `registry`, `signing` and `image` in params.yaml
Writes  reports/<project>/ask.json
Exits   0 passed, 2 bad input, 3 rejected, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--version", metavar="X.Y.Z", help="Which release.  [default: the newest one]")
def main(run: cli.Run, version: str | None) -> Result:
    """Answer the golden rows from the image, the wheel and a server that pulled the data; exit 3 if they differ."""
    from ci.adapters.askers import askers
    from ci.adapters.floors import ledger
    from ci.adapters.releases import golden_of, release_of
    from ci.packaging.asked import ask
    from ci.shared import shared

    settings = shared()
    release = release_of(ledger(settings), run.project.name, version)
    return ask(release, golden_of(settings, release, run.project.path("artifacts")), askers(settings))


if __name__ == "__main__":
    main()
