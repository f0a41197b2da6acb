"""The server stands alone: what it imports decides what its image holds."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import serving

ALLOWED = {
    "serving",
    "cryptography",
    "msgspec",
    "numpy",
    "onnxruntime",
    "uvicorn",
    "uvloop",
    *sys.stdlib_module_names,
} - {"pickle"}
SOURCES = sorted(Path(serving.__file__).parent.glob("**/*.py"))


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_nothing_else_is_imported():
    for path in SOURCES:
        assert imported(path) <= ALLOWED, path.name


def test_onnxruntime_is_told_not_to_report_home():
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_modules_are_small():
    lengths = sorted(len(path.read_text("utf-8").splitlines()) for path in SOURCES)
    assert lengths[-1] <= 300
    assert lengths[len(lengths) // 2] <= 120


def test_nothing_is_evaluated():
    for path in SOURCES:
        calls = {node.func.id for node in ast.walk(ast.parse(path.read_text("utf-8")))
                 if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
        assert not calls & {"eval", "exec", "compile", "__import__"}
