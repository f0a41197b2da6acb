"""
Say what was built, how good it is, and what to do next.

Reads   artifacts/<project>/, reports/<project>/
Writes  reports/all/summary.json
Exits   0 passed, 2 bad input
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(project=False)
@cli.PROJECTS
def main(run: cli.Run, projects: tuple[str, ...]) -> Result:
    """Show the bundles in artifacts/ with digests, metrics and the gate's word."""
    from ci import project, summary

    result = summary.summary([project.find(name) for name in projects or project.names()])
    run.say(summary.in_terminal(result))
    return result


if __name__ == "__main__":
    main()
