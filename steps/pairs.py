"""
Lay side by side what the live release and its shadow answered.

Reads   `environments` in params.yaml, the answers that the servers keep while a shadow runs
Writes  reports/<project>/pairs.ndjson (one pair a line, added to those of the same rollout), reports/<project>/pairs.json
Exits   0 passed, 2 bad input, 4 inconclusive (no shadow, no pair), 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--env", required=True, metavar="ENVIRONMENT", help="Where the shadow runs.")
def main(run: cli.Run, env: str) -> Result:
    """Record pairs of answers by request id, and tell how far they are apart; nothing is judged."""
    from ci.adapters import shadowing
    from ci.shared import shared

    return shadowing.collect(run.project.name, env, run.where("").with_name("pairs.ndjson"), shared())


if __name__ == "__main__":
    main()
