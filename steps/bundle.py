"""
Seal model, signature, golden rows, evaluation, lineage and card in one folder.

Reads   data/<project>/, models/<project>/
Writes  artifacts/<project>/, reports/<project>/bundle.json
Exits   0 passed, 2 bad input, 3 rejected
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ci import cli

if TYPE_CHECKING:
    from ci.report import Result


@cli.step(alone=True)
def main(run: cli.Run) -> Result:
    """Check the exported graph against its estimator and seal the bundle."""
    from ci.model.bundle import Parts, bundle

    data, models = run.project.path("data"), run.project.path("models")
    parts = Parts(data / "raw", data / "prepared", models / "model", models / "evaluation")
    return bundle(run.project, parts, run.project.path("artifacts"))


if __name__ == "__main__":
    main()
