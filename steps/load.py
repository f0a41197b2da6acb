"""
Send a project's own test rows through a front door at a steady rate, marked as synthetic.

Reads   data/<project>/prepared/test.parquet, the contract, what runs in --env (or --door)
Writes  requests with `x-slipway-synthetic: 1`, reports/<project>/load.json
Exits   0 passed, 2 bad input, 3 rejected, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step()
@click.option("--env", metavar="ENVIRONMENT", help="Whose front door.")
@click.option("--door", metavar="URL", help="Another front door, such as http://127.0.0.1:8080.")
@click.option("--rate", type=click.FloatRange(0.1, 10_000), default=100, help="Requests per second.")
@click.option("--seconds", type=click.FloatRange(0.1, 86_400), default=30, help="How long.")
@click.option("--connections", type=click.IntRange(1, 512), default=8, help="Requests under way at once, at most.")
@click.option("--timeout-s", type=click.FloatRange(0.01, 120), default=5, help="Longest that one request may take.")
def main(
    run: cli.Run, env: str | None, door: str | None, rate: float, seconds: float, connections: int, timeout_s: float
) -> Result:
    """Load a front door; exit 3 if a single request failed."""
    from ci.adapters import load
    from ci.verification.load import told

    plan = load.Plan(rate, seconds, connections, timeout_s)
    address = load.chosen(run.project.name, env, door)
    tally, took_s = load.send(address, load.bodies(run.project), plan, run.say)
    return told(tally, address, rate, seconds, took_s)


if __name__ == "__main__":
    main()
