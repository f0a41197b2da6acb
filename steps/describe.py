"""
Describe a build in one line: release, data version, verdict, environment.

Reads   reports/, artifacts/<project>/lineage.json
Writes  reports/all/describe.json; the line to stdout
Exits   0 passed, 2 bad input
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(project=False)
def main(run: cli.Run) -> Result:
    """Print one short line about what the steps in this checkout reported; missing reports are no error."""
    from ci.adapters import delivery
    from ci.delivery import described
    from ci.report import Result
    from ci.shared import shared

    line = described(*delivery.reports(shared().running))
    run.tell(line)
    return Result(line)


if __name__ == "__main__":
    main()
