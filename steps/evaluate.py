"""
Score the exported graph on rows that it has not seen.

Reads   data/<project>/prepared/, models/<project>/model/, `evaluate` in the project's params
Writes  models/<project>/evaluation/, reports/<project>/evaluate.json
Exits   0 passed, 2 bad input, 3 rejected
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True)
def main(run: cli.Run) -> Result:
    """Measure the model, with intervals and by slice; exit 3 if a feature leaks the answer."""
    from ci.model.evaluate import evaluate

    project = run.project
    prepared, model = project.path("data", "prepared"), project.path("models", "model", "model.onnx")
    return evaluate(project, prepared, model, project.path("models", "evaluation"), run.progress)


if __name__ == "__main__":
    main()
