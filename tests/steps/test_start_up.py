"""What a rollback waits for before it does anything: Python, and what is imported. No data frames are needed to move traffic."""

from __future__ import annotations

import subprocess
import sys

from tests.steps.checkout import ROOT

PROGRAM = """
import sys
import ci.adapters.environments, ci.adapters.floors, ci.adapters.notifying, ci.adapters.people, ci.adapters.targets.process
import ci.adapters.targets.engine_environment, ci.promotion.rollback, ci.shared, steps.rollback
print(*sorted({"pandas", "numpy", "pyarrow", "sklearn", "onnx", "onnxruntime", "matplotlib"} & set(sys.modules)))
"""


def test_a_rollback_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
