"""A small company: a repository with a bare origin, a registry behind a password, two environments with real servers."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ci.adapters.http import ask
from tests.integration.conftest import ROOT, Checkout, free_port, new_checkout
from tests.integration.registry import PASSWORD, USER
from tests.jenkins.controller import Built, Controller, Machine
from tests.jenkins.stub import MAKEFILE

BIN = Path(sys.executable).parent
GIT_PASSWORD = 'p/u+s?h=es "quoted" & more'  # noqa: S105  # its base64, URL- and JSON-escaped forms all differ from it
HOOK = """#!/bin/sh
[ "$GIT_PASSWORD" = "{password}" ] && exit 0
echo "no credentials, no push" >&2
exit 1
"""
JOBS = {"delivery": "Jenkinsfile", **{
    name: f"ci/jenkins/{name}.Jenkinsfile" for name in ("promote", "rollback", "verify", "reconcile")
}}  # fmt: skip
BOUND = {
    "SLIPWAY_SIGNING_CREDENTIALS": "slipway-signing",
    "SLIPWAY_REGISTRY_CREDENTIALS": "slipway-registry",
    "SLIPWAY_GIT_CREDENTIALS": "slipway-git",
    "SLIPWAY_SENDERS_CREDENTIALS": "slipway-senders",
}
SENDERS = f"front-door send {hashlib.sha256(b'a token').hexdigest()}\n"
MAIN = {"BRANCH_NAME": "main", **BOUND}
GATE = {
    "promote": "non_inferior",
    "reason": "fresher data",
    "metrics": {name: {"margin": 0.4} for name in ("auc", "log_loss", "brier")},
    "anchor_margins": None,
    "slices": {"columns": []},
    "cost": {"p99_ms": 5000},
}


@dataclass
class Gate:
    """A door in front of the registry that can be shut."""

    target: int
    port: int = field(default_factory=free_port)
    shut: bool = False

    def __post_init__(self) -> None:
        import socket

        self._socket = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        import socket

        while True:
            near, _ = self._socket.accept()
            if self.shut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.target))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: Any, other: Any) -> None:
    import contextlib
    import socket

    with contextlib.suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


class Site:
    """Everything that a build touches, and what it left."""

    def __init__(self, root: Path, machine: Machine, registry: int) -> None:
        self.root = root
        self.registry = Gate(registry)
        self.doors = {"staging": free_port(), "production": free_port()}
        self.key = Ed25519PrivateKey.generate()
        (root / "desk").mkdir()
        self.desk = new_checkout(root / "desk")
        self.origin = root / "origin.git"
        self._furnish()
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.origin)], check=True)
        hook = self.origin / "hooks/pre-receive"
        hook.write_text(HOOK.format(password=GIT_PASSWORD.replace('"', '\\"')))
        hook.chmod(0o755)
        self.git("remote", "add", "origin", self.origin.as_uri())
        self.push("a shop")
        nowhere = f"unix://{root}/no.sock"  # what needs an engine has tests of its own
        agents = {"slipway": {"PATH": f"{BIN}:/usr/bin:/bin", "OMP_NUM_THREADS": "1", "DOCKER_HOST": nowhere}}
        jobs = {name: {"file": str(ROOT / file), "seeded": True} for name, file in JOBS.items()}
        (root / "senders").write_text(SENDERS)
        credentials = {
            "slipway-signing": {"kind": "string", "value": self.pem},
            "slipway-registry": {"kind": "usernamePassword", "username": USER, "password": PASSWORD},
            "slipway-git": {"kind": "git", "username": "robot", "password": GIT_PASSWORD},
            "slipway-senders": {"kind": "file", "path": str(root / "senders")},
        }
        self.controller = Controller(machine, root / "jenkins", self.origin, jobs, agents, credentials)
        self.builds: list[Built] = []
        self.callers = Callers(self)
        self.seen_arguments: set[str] = set()
        threading.Thread(target=self._watch_arguments, daemon=True).start()

    def _watch_arguments(self) -> None:
        """Look at every process's command line, as anybody on an agent may."""
        while True:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if str(self.root) in words or "steps." in words or "git" in words:
                    self.seen_arguments.add(words[:100_000])
            time.sleep(0.1)

    def reports(self, step: str) -> list[Path]:
        """This step's reports in the workspaces that there are."""
        return [
            path
            for place in (self.root / "jenkins").glob(f"*-{self.controller.number - 1}/workspaces/*/workspace")
            if (path := place / f"reports/shop/{step}.json").is_file()
        ]

    @property
    def pem(self) -> str:
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, *form).decode()

    def _furnish(self) -> None:
        desk = self.desk.path
        for name in ("serving",):
            copied = ["git", "ls-files", name]
            for file in subprocess.run(copied, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split():
                (desk / file).parent.mkdir(parents=True, exist_ok=True)
                (desk / file).write_bytes((ROOT / file).read_bytes())
        (desk / "Makefile").write_text(MAKEFILE.format(python=sys.executable))
        public = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (desk / "keys").mkdir()
        (desk / "keys/release.pub").write_bytes(public)
        place = {"root": str(self.root / "environments"), "lease_s": 5}
        watched = {"standard": ["errors"], "window_s": 1, "lag_s": 0.2, "stale_s": 3, "deadline_s": 60,
                   "metrics": {"errors": {"limit": 0.5}}}  # fmt: skip
        canary = {"kind": "canary", "steps": [{"weight": 20, "pause_s": 4}]}
        params = {
            "projects": ["shop"],
            "remote": {"timeout_s": 60, "jobs": 2},
            "registry": {"url": f"http://127.0.0.1:{self.registry.port}", "timeout_s": 10,
                         "username_env": "SLIPWAY_REGISTRY_USERNAME", "password_env": "SLIPWAY_REGISTRY_PASSWORD"},
            "signing": {"trusted": ["keys/release.pub"]},
            "environments": [
                {"name": "staging", "ports": {"shop": self.doors["staging"]}, "verification": watched, **place},
                {"name": "production", "ports": {"shop": self.doors["production"]}, "strategy": canary,
                 "approvals": {"four_eyes": True}, "verification": watched, **place},
            ],
        }  # fmt: skip
        (desk / "params.yaml").write_text(yaml.safe_dump(params))
        self.edit(as_of="2024-03-25", gate=GATE)

    def edit(self, **changes: Any) -> None:
        """Change keys of the shop's params."""
        path = self.desk.path / "projects/shop/params.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, sort_keys=False))

    def name_the_collector(self) -> int:
        """Let params.yaml name the collection service; return the port of its door in staging."""
        path, port = self.desk.path / "params.yaml", free_port()
        params = yaml.safe_load(path.read_text()) | {"services": {"collector": {"min_free_mb": 0}}}
        params["environments"][0]["ports"]["collector"] = port
        path.write_text(yaml.safe_dump(params))
        return port

    def git(self, *arguments: str) -> str:
        done = self.desk.command("git", *arguments, GIT_PASSWORD=GIT_PASSWORD)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def push(self, message: str, branch: str = "main") -> None:
        self.git("checkout", "-q", "-B", branch)
        self.desk.commit(message)
        self.git("push", "-q", "--force", "origin", branch)

    def build(self, job: str, parameters: dict[str, Any] | None = None, **how: Any) -> Built:
        """Run one build with what the controller gives to builds of the main branch."""
        how.setdefault("variables", MAIN)
        self.controller.branch = how.pop("branch", "main")
        (built,) = self.controller.build(job, parameters, **how).builds
        self.builds.append(built)
        return built

    def workspace(self) -> Path:
        """The last agent's workspace."""
        return Path(self.builds[-1].events("agent")[-1]["folder"])

    def state(self) -> dict[str, Any]:
        """What is meant to run, by environment, and every ref of the origin: whatever a build may change."""
        found = {
            name: json.loads(path.read_text())
            for name in self.doors
            if (path := self.root / "environments/shop" / name / "state.json").is_file()
        }
        refs = subprocess.run(["git", "for-each-ref"], cwd=self.origin, capture_output=True, text=True, check=True)
        return {**found, "refs": refs.stdout}

    def live(self, environment: str) -> str | None:
        """Ask the door, as a caller: which release answers?"""
        status, headers, _ = ask(f"http://127.0.0.1:{self.doors[environment]}/predict", body=self.row())
        return headers.get("x-slipway-release", "").split(";")[0] if status == 200 else None

    def row(self) -> Any:
        golden = next((self.root / "jenkins").rglob("artifacts/shop/golden.json"))
        return json.loads(golden.read_text())["rows"][0]

    def tagged(self) -> list[str]:
        return subprocess.run(
            ["git", "tag"], cwd=self.origin, capture_output=True, text=True, check=True
        ).stdout.split()

    def run(self, step: str, *arguments: str, pause_s: int = 4, project: str = "shop") -> subprocess.Popen[str]:
        """Start a step on a fresh clone, as a person with the same rights would; a canary rests for `pause_s`."""
        where = self.root / f"clone-{time.monotonic_ns()}"
        subprocess.run(["git", "clone", "-q", self.origin.as_uri(), str(where)], check=True)
        params = where / "params.yaml"
        params.write_text(params.read_text().replace("pause_s: 4", f"pause_s: {pause_s}"))
        variables = Checkout(where).environment(
            GIT_PASSWORD=GIT_PASSWORD, SLIPWAY_SIGNING_KEY=self.pem,
            SLIPWAY_REGISTRY_USERNAME=USER, SLIPWAY_REGISTRY_PASSWORD=PASSWORD,
        )  # fmt: skip
        command = [sys.executable, "-m", f"steps.{step}", "--project", project, *arguments]
        return subprocess.Popen(
            command, cwd=where, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


class Callers:
    """Callers at both doors, who never stop; `failed` counts what they did not get."""

    def __init__(self, site: Site) -> None:
        self.site, self.answered, self.failed, self._stop = site, 0, 0, threading.Event()
        self.silent = False
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def _call(self) -> None:
        body: Any = None
        while not self._stop.wait(0.02):
            for port in self.site.doors.values():
                if self.silent:
                    continue
                try:
                    body = body or self.site.row()
                    status, _, _ = ask(f"http://127.0.0.1:{port}/predict", body=body)
                    self.answered += status == 200
                    self.failed += status != 200
                except Exception:  # noqa: BLE001, S112  # nobody lives there yet
                    continue

    def end(self) -> None:
        self._stop.set()
        self._thread.join(5)
