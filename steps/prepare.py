"""
Split checked rows into train and test.

Reads   `split` in the project's params, data/<project>/raw/ and check.json
Writes  data/<project>/prepared/, reports/<project>/prepare.json
Exits   0 passed, 2 bad input, 3 rejected
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True)
def main(run: cli.Run) -> Result:
    """Cut the rows into train and test, and look for leaks."""
    from ci.data.prepare import prepare

    project = run.project
    return prepare(project, project.path("data", "raw"), project.path("data", "prepared"), run.progress)


if __name__ == "__main__":
    main()
