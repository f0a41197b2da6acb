"""
Play the world for a collection service: a project's real rows, month by month, their outcomes a label horizon later.

Reads   `source` in the project's params, its contract; the token in an environment variable
Writes  records and outcomes at --url, requests at --door, .slipway/replay/, reports/<project>/replay.json
Exits   0 passed, 2 bad input, 3 rejected, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--periods", required=True, metavar="FIRST..LAST", help="Years, months, weeks or days; both included.")
@click.option("--url", required=True, metavar="URL", help="The collection service, such as http://127.0.0.1:8090.")
@click.option("--token-env", default="SLIPWAY_COLLECTOR_TOKEN", metavar="NAME",
              help="Environment variable with a token that may read and send.")  # fmt: skip
@click.option("--door", metavar="URL", help="A live front door that is asked for each row's prediction, too.")
@click.option("--share", type=click.FloatRange(0, 1), default=1.0, help="Share of rows that the door is asked about.")
@click.option("--speed", type=click.FloatRange(0, min_open=True), metavar="TIMES",
              help="Times as fast as it happened.  [default: as fast as it goes]")  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 10_000), default=1000, help="Rows in one request.")
@click.option("--patience-s", type=click.FloatRange(0, 86_400), default=60, help="How long to wait for who is away.")
@click.option("--again", is_flag=True, help="Send what was sent before, too; the service knows it.")
def main(run: cli.Run, **options: Any) -> Result:
    """Replay real rows through the real service; 3 if it refused some. What was sent is left out the next time."""
    from ci.adapters.replaying import Options, replayed

    return replayed(run.project, Options(**options), run.progress)


if __name__ == "__main__":
    main()
