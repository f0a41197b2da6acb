"""
Ask whether the release under traffic is well; touch nothing.

Reads   what runs (or --door, --candidate, --baseline), `verification` of the environment in params.yaml, its monitoring
Writes  .slipway/evidence/<digest>.json, reports/<project>/verify.json; with --record one event in the ledger
Exits   0 passed, 2 bad input, 3 rejected, 4 inconclusive, 5 unavailable
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ci import cli

if TYPE_CHECKING:
    from pathlib import Path

    from ci.report import Result

_ARM = "VERSION@BUNDLE=ADDRESS[,ADDRESS]"


@cli.step()
@click.option("--env", metavar="ENVIRONMENT", help="Where it runs; its `verification` is the policy.")
@click.option("--door", metavar="URL", help="Front door, instead of the environment's own.")
@click.option("--candidate", metavar=_ARM, help="The release to look at, instead of what runs there.")
@click.option("--baseline", metavar=_ARM, help="The one to compare it with.")
@click.option("--admin", metavar="URL", default="", help="Envoy's admin interface.")
@click.option(
    "--weight", type=click.FloatRange(0, 100), default=50, help="Share of requests of the candidate, percent."
)
@click.option("--deadline-s", type=float, help="Longest wait for an answer.  [default: the policy's]")
@click.option("--record", is_flag=True, help="Tell the ledger: promotion asks it for a look at the environment below.")
@click.option("--actor", metavar="PERSON", help="Who looks.  [default: Jenkins's user, or Git's]")
@click.option("--replay", type=cli.INPUT, metavar="FILE", help="Judge stored evidence again, offline.")
def main(
    run: cli.Run, env: str | None, door: str | None, candidate: str | None, baseline: str | None, admin: str,
    weight: float, deadline_s: float | None, record: bool, actor: str | None, replay: Path | None,
) -> Result:  # fmt: skip
    """Look at the candidate until there is a verdict or the deadline; exit 3 if it is worse, 4 if nobody can say."""
    from ci.adapters.monitoring import asking

    if replay:
        return asking.replayed(replay, record, run.where("").with_name("evidence.png"))
    asked = asking.Asked(run.project.name, env, door, candidate, baseline, admin, weight, deadline_s, record, actor)
    return asking.looked(asked, run.say, run.where("").with_name("evidence.png"))


if __name__ == "__main__":
    main()
