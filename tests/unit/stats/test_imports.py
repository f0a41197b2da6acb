"""The package stays light: what a step pays for `--help` and what it may depend on."""

import ast
import sys
from pathlib import Path

import ci.stats

SOURCES = sorted(Path(ci.stats.__file__).parent.glob("*.py"))


def imported(path):
    """Modules imported anywhere in a file, with whether the import runs when the file is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", id(node) in top) for alias in node.names)


def test_scipy_is_imported_lazily_and_scipy_stats_never():
    for path in SOURCES:
        for module, at_top in imported(path):
            assert not module.startswith("scipy.stats"), path
            assert not (at_top and module.startswith("scipy")), path


def test_the_domain_knows_only_numbers():
    allowed = {"numpy", "scipy", *sys.stdlib_module_names} - {"io", "os", "pathlib", "subprocess", "socket", "json"}
    for path in SOURCES:
        for module, _ in imported(path):
            assert module.split(".")[0] in allowed or module.startswith("ci.stats"), (path, module)


def test_modules_stay_short():
    for path in SOURCES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path
