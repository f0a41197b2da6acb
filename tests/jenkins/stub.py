"""A repository whose steps end as a test says, and write down what they were given: for what pipelines make of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

STEP = """
import json, os, sys, pathlib
place = pathlib.Path({place!r})
name = os.environ["SLIPWAY_STEP"]
given = {{key: value for key, value in os.environ.items() if key.startswith(("SLIPWAY_", "BUILD_USER", "COLLECTOR_"))}}
with (place / "ran.jsonl").open("a") as ran:
    ran.write(json.dumps([name, given]) + chr(10))
plan = json.loads((place / "plan.json").read_text())
reports = pathlib.Path("reports/all")
reports.mkdir(parents=True, exist_ok=True)
(reports / (name + ".xml")).write_text('<testsuite><testcase name="a"/></testsuite>')
(reports / (name + ".html")).write_text("<p>page</p>")
codes = plan.get(name, [0])
done = sum(json.loads(line)[0] == name for line in (place / "ran.jsonl").open()) - 1
code = codes[min(done, len(codes) - 1)]
print(code if isinstance(code, str) else "")
sys.exit(0 if isinstance(code, str) else code)
"""
MAKEFILE = """dev:
\tmkdir -p .venv/bin
\tprintf '#!/bin/sh\\nexec {python} "$$@"\\n' > .venv/bin/python
\tchmod +x .venv/bin/python

lint:
\techo linted

quick:
\tmkdir -p reports
\techo '<testsuite><testcase name="unit"/></testsuite>' > $(JUNIT)
"""


class Stub:
    """Steps with planned ends; `place` holds the plan and what ran."""

    def __init__(self, root: Path, names: list[str]) -> None:
        self.repository, self.place = root / "repository", root / "place"
        (self.repository / "steps").mkdir(parents=True)
        self.place.mkdir()
        (self.repository / "Makefile").write_text(MAKEFILE.format(python=sys.executable))
        (self.repository / "steps/__init__.py").write_text("")
        for name in names:
            (self.repository / f"steps/{name}.py").write_text(STEP.format(place=str(self.place)))
        self.plan()
        self.commit("first")

    def plan(self, **codes: list[int | str]) -> None:
        """Say how steps end, call after call; a text is printed, and passes."""
        (self.place / "plan.json").write_text(json.dumps({"describe": ["one line"], "changed": ["flights"], **codes}))
        (self.place / "ran.jsonl").write_text("")

    def ran(self) -> list[str]:
        return [json.loads(line)[0] for line in (self.place / "ran.jsonl").read_text().splitlines()]

    def given(self, name: str) -> dict[str, str]:
        """Return what the last call of a step was given."""
        calls = [json.loads(line) for line in (self.place / "ran.jsonl").read_text().splitlines()]
        return dict([given for step, given in calls if step == name][-1])

    def commit(self, message: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        for command in (
            ["init", "-q", "-b", "main"],
            ["add", "-A"],
            [*who, "commit", "-q", "--allow-empty", "-m", message],
        ):
            subprocess.run(["git", *command], cwd=self.repository, check=True)
