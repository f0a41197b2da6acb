"""Releases that are bad in one way each: bundles whose graph was altered, and servers that fail or dawdle."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from ci.adapters.targets.process import ProcessTarget
from ci.files import write_json
from ci.model.bundle import manifest
from ci.model.bundles import Bundle

CONSTANT = 0.2
SWAPPED = ("humid", "pressure")  # of pairs that hardly change the answers nobody can tell from their distribution


class FaultyTarget(ProcessTarget):
    """Starts the servers of some versions with a fault inside: `{version: (share of 500s, delay in seconds[, dies after seconds])}`."""

    faults: dict[str, tuple[float, ...]] = {}  # noqa: RUF012 # set by each test

    def start(self, release: Any, instance: Any) -> None:
        if release.version not in self.faults:
            super().start(release, instance)
            return
        errors, delay_s, *dies_s = self.faults[release.version]
        options = ["--model", str(self._bundle(release)), "--host", instance.host, "--port", str(instance.port),
                   "--release-version", release.version]  # fmt: skip
        argv = [sys.executable, str(Path(__file__).with_name("faulty_server.py")), str(errors), str(delay_s),
                str(dies_s[0] if dies_s else 0), *options]  # fmt: skip
        self._units.start(instance.id, argv, {"PYTHONPATH": str(self._code(release))}, 25.0)


def constant(source: Path, folder: Path) -> Path:
    """Seal a bundle that answers every row alike."""

    def alter(graph: Any) -> None:
        was = _renamed_output(graph)
        zero = helper.make_tensor("bad_zero", TensorProto.FLOAT, [], [0.0])
        value = helper.make_tensor("bad_value", TensorProto.FLOAT, [], [CONSTANT])
        graph.initializer.extend([zero, value])
        graph.node.append(helper.make_node("Mul", [was, "bad_zero"], ["bad_nought"]))
        graph.node.append(helper.make_node("Add", ["bad_nought", "bad_value"], [graph.output[0].name]))

    return _altered(source, folder, alter)


def swapped(source: Path, folder: Path, pair: tuple[str, str] = SWAPPED) -> Path:
    """Seal a bundle whose graph takes two numbers for each other."""
    names = json.loads((source / "signature.json").read_text())["graph"]["numbers"]
    order = list(range(len(names)))
    a, b = (names.index(name) for name in pair)
    order[a], order[b] = b, a

    def alter(graph: Any) -> None:
        for node in graph.node:
            node.input[:] = ["bad_numbers" if name == "numbers" else name for name in node.input]
        graph.initializer.append(helper.make_tensor("bad_order", TensorProto.INT64, [len(order)], order))
        graph.node.insert(0, helper.make_node("Gather", ["numbers", "bad_order"], ["bad_numbers"], axis=1))

    return _altered(source, folder, alter)


def twin(source: Path, folder: Path) -> Path:
    """Seal a bundle that answers as its source does, under another digest."""
    return _altered(source, folder, lambda graph: setattr(graph, "doc_string", "twin"))


def _renamed_output(graph: Any) -> str:
    name = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["bad_was" if item == name else item for item in node.output]
    return "bad_was"


def _altered(source: Path, folder: Path, alter: Any) -> Path:
    """Copy a bundle, alter its graph, and seal it again with golden answers of its own: it is whole, and bad."""
    shutil.copytree(source, folder)
    model = onnx.load(folder / "model.onnx")
    alter(model.graph)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    write_json(folder / "manifest.json", manifest(folder))
    made = Bundle(folder)
    golden = dict(made.golden)
    golden["outputs"] = made.score(made.frame(golden["rows"])).tolist()
    write_json(folder / "golden.json", golden)
    write_json(folder / "manifest.json", manifest(folder))
    return folder


if __name__ == "__main__":  # python -m tests.e2e.bad constant|swapped|twin BUNDLE FOLDER
    {"constant": constant, "swapped": swapped, "twin": twin}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
