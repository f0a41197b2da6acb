"""A controller for tests: runs a Jenkinsfile with Debian's Groovy, every `sh` for real, and tells what happened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HARNESS = Path(__file__).parent / "harness"
JARS = [Path("/usr/share/java/groovy-all.jar"), Path("/usr/share/groovy/embeddable/groovy-all.jar")]


@dataclass(frozen=True)
class Built:
    """One build as it ended."""

    document: dict[str, Any]

    @property
    def result(self) -> str:
        return str(self.document["result"])

    @property
    def console(self) -> str:
        return str(self.document["console"])

    @property
    def description(self) -> str:
        return str(self.document["description"])

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.document["trace"] if event["kind"] == kind]

    @cached_property
    def stages(self) -> dict[str, str]:
        """Result by stage."""
        return {event["stage"]: event["result"] for event in self.events("stage")}

    @property
    def steps(self) -> list[tuple[str, int]]:
        """Our own steps with their exit codes, in the order in which they ran."""
        return [(event["step"], event["code"]) for event in self.events("sh") if event["step"]]

    def lines(self, word: str) -> list[str]:
        return [line for line in self.console.splitlines() if word in line]


@dataclass(frozen=True)
class Ran:
    """A build with the builds that it started; `refused` is what the harness would not take."""

    refused: str | None
    builds: list[Built]

    @property
    def first(self) -> Built:
        assert self.refused is None, self.refused
        return self.builds[0]


class Machine:
    """One Java machine with the compiled harness, which takes scenario after scenario."""

    def __init__(self, classes: Path) -> None:
        command = [str(java()), "-Dfile.encoding=UTF-8", "-Xshare:auto", "-XX:TieredStopAtLevel=1"]
        self._process = subprocess.Popen(
            [*command, "-cp", f"{classes}:{jar()}", "Controller"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip

    def run(self, scenario: Path, ran: Path, timeout_s: float) -> dict[str, Any]:
        """Carry one scenario out and return what happened."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{scenario}\t{ran}\n")
        self._process.stdin.flush()
        watch = threading.Timer(timeout_s, self._process.kill)
        watch.start()
        try:
            assert self._process.stdout.readline() == "done\n", f"no end within {timeout_s:g} s"
        finally:
            watch.cancel()
        document: dict[str, Any] = json.loads(ran.read_text(encoding="utf-8"))
        return document

    def agent_s(self) -> float:
        """Processor time of everything that ran on agents so far and has ended, seconds."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass
class Controller:
    """Jobs, agents and credentials around one repository."""

    machine: Machine
    folder: Path
    repository: Path
    jobs: dict[str, dict[str, Any]]
    agents: dict[str, dict[str, str]] = field(default_factory=dict)
    credentials: dict[str, dict[str, str]] = field(default_factory=dict)
    branch: str = "main"
    number: int = 1
    well: dict[tuple[str, str], str] = field(default_factory=dict)  # job and branch to the last commit that was well

    def build(
        self,
        job: str,
        parameters: dict[str, Any] | None = None,
        *,
        variables: dict[str, str] | None = None,
        answers: list[dict[str, Any]] | None = None,
        changes: list[str] | None = None,
        abort_on: str | None = None,
        restart_at: str | None = None,
        cause: str = "SCMTrigger",
        user: str | None = None,
        timeout_s: float = 900,
    ) -> Ran:
        """
        Run one build; `variables` are what a multibranch job would set, `user` whoever pressed the button.

        With `restart_at` it is restarted from a stage: nothing is left of the stages before it.
        """
        place = self.folder / f"{job}-{self.number}"
        place.mkdir(parents=True)
        jobs = {name: {**about, "number": self.number} for name, about in self.jobs.items()}
        jobs[job]["variables"] = variables or {}
        scenario = {
            "job": job,
            "jobs": jobs,
            "parameters": parameters or {},
            "scm": {
                "url": self.repository.as_uri(),
                "branch": self.branch,
                "changes": changes or [],
                "previous": self.well.get((job, self.branch)),
            },
            "root": str(ROOT),
            "agents": self.agents,
            "credentials": self.credentials,
            "answers": answers or [],
            "abort_on": abort_on,
            "restart_at": restart_at,
            "cause": "UserIdCause" if user else cause,
            "user": user,
            "workspaces": str(place / "workspaces"),
            "archive": str(self.folder / "archive"),
        }
        self.number += 1
        (place / "scenario.json").write_text(json.dumps(scenario), encoding="utf-8")

        document = self.machine.run(place / "scenario.json", place / "ran.json", timeout_s)
        assert document["crashed"] is None, _told(document["crashed"])
        ran = Ran(document["refused"], [Built(item) for item in document["builds"]])
        if ran.refused is None and ran.first.result == "SUCCESS" and ran.first.events("checkout"):
            self.well[job, self.branch] = str(ran.first.events("checkout")[0]["commit"])
        return ran


def _told(trace: str) -> str:
    """The lines of a Java trace that say something."""
    return "\n".join(line for line in trace.splitlines() if not line.lstrip().startswith("at "))[:4000]


def java() -> str | None:
    return shutil.which("java")


def jar() -> Path | None:
    return next((path for path in JARS if path.exists()), None)


def missing() -> str | None:
    """Say what is missing to run pipelines, if anything."""
    if java() is None or shutil.which("groovyc") is None or jar() is None:
        return "Groovy 2.4 with a Java is not installed (as root: sh ci/setup/components)"
    return None


def compiled(folder: Path) -> Path:
    """Compile the harness into a folder."""
    home = Path(str(java())).resolve().parents[1]
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(str(path) for path in HARNESS.glob("*.groovy"))
    environment = {**os.environ, "JAVA_HOME": str(home)}
    subprocess.run(
        ["groovyc", "-d", str(folder), *sources], check=True, env=environment, capture_output=True, text=True
    )
    return folder
