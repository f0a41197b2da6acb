"""
Hold the data version to its contract, and say what drifted.

Reads   data/<project>/raw/, the project's contract, `check` in its params
Writes  data/<project>/check.json (only if it passed), reports/<project>/check_data.json
Exits   0 passed, 2 bad input, 3 rejected
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True)
def main(run: cli.Run) -> Result:
    """Check the data against its contract, its history and its schedule; exit 3 if nobody should train on it."""
    from ci.data.check import check

    project = run.project
    return check(project, project.path("data", "raw"), project.path("data", "check.json"), run.progress)


if __name__ == "__main__":
    main()
