"""
Fit the estimator and export it to ONNX.

Reads   data/<project>/prepared/, `train` in the project's params, features.py and model.py
Writes  models/<project>/model/, reports/<project>/train.json
Exits   0 passed, 2 bad input
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True)
def main(run: cli.Run) -> Result:
    """Fit the project's estimator and export it as an ONNX graph."""
    from ci.model.train import train

    project = run.project
    return train(project, project.path("data", "prepared"), project.path("models", "model"), run.progress)


if __name__ == "__main__":
    main()
