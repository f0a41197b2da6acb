"""What of a Docker environment can be told without an engine."""

from __future__ import annotations

import io
import json
import os
import tarfile

import pytest

from ci.adapters.targets import inside_envoy, keeper, processes
from ci.adapters.targets.envoy_image import RouterImage
from ci.errors import BadInput
from ci.params import parse
from ci.params_environments import Environment
from ci.templating import render


def test_a_process_that_lives_has_not_ended() -> None:
    assert processes.mark()
    assert not processes.ended(processes.mark())


def test_a_process_whose_number_somebody_else_has_by_now_has_ended() -> None:
    machine, number, start = processes.mark().rsplit("/", 2)
    assert processes.ended(f"{machine}/{number}/{int(start) + 1}")
    assert processes.ended(f"{machine}/{2**22 + 1}/{start}")


@pytest.mark.parametrize(
    "mark", ["", "x", "other-boot/pid:[1]/1/1", f"/{os.getpid()}/x"], ids=["empty", "no mark", "other", "own"]
)
def test_of_other_machines_nothing_is_known(mark: str) -> None:
    assert not processes.ended(mark)


def test_the_keeper_is_an_empty_folder_and_always_the_same() -> None:
    one, identity = keeper._archive(keeper._layer())
    assert (one, identity) == keeper._archive(keeper._layer())
    with tarfile.open(fileobj=io.BytesIO(one)) as archive:
        layer = archive.extractfile("layer.tar")
        assert layer
        with tarfile.open(fileobj=io.BytesIO(layer.read())) as inside:
            assert [(entry.name, entry.isdir()) for entry in inside] == [("state", True)]
        described = archive.extractfile("manifest.json")
        assert described
        assert json.loads(described.read())[0]["RepoTags"] == [keeper.TAG]


@pytest.mark.parametrize("program", [inside_envoy.CHANGE, inside_envoy.ASK])
def test_programs_for_the_container_are_programs(program: str) -> None:
    compile(program, "inside", "exec")


def test_the_routers_image_stands_on_a_digest_and_runs_as_nobody() -> None:
    text = render("router/Dockerfile.j2", image=RouterImage(base="sha256:" + "a" * 64))
    assert f"FROM sha256:{'a' * 64}\n" in text
    assert "USER 65532:65532\n" in text
    assert "RUN" not in text
    with pytest.raises(ValueError, match="base"):
        RouterImage(base="debian:latest\nRUN rm -rf /")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("host", "engine.example.org"),
        ("address", "localhost"),
        ("prefix", "A b"),
        ("subnet", "10.0.0.0/30"),
        ("cpus", 0),
    ],
)
def test_a_mistake_in_the_target_is_told_by_its_key(key: str, value: object) -> None:
    with pytest.raises(BadInput, match=rf"^params\.yaml: target\.(docker\.)?{key}: "):
        parse(Environment, {"name": "staging", "target": {"kind": "docker", key: value}}, "params.yaml")
