"""A shop that publishes in memory: a branch, a store and a ledger that can die, or be quicker than one thinks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from ci.data.manifest import load_manifest
from ci.files import write_json
from ci.ledger.event import Draft, Kind
from ci.ledger.interface import By
from ci.progress import Progress
from ci.publishing.card import TEXT, Card, Subject
from ci.publishing.card import draw as draw_card
from ci.publishing.desk import Checkout, Desk
from ci.publishing.publish import publish
from ci.publishing.verdict import verdict_of
from tests import shop
from tests.releases import MemoryLedger, git_id
from tests.unit.data.conftest import Room

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STAGES = ("ingest", "check_data", "prepare")


class Killed(BaseException):
    """The process is gone."""


@dataclass
class MemoryBranch:
    """Commits with whole trees; `before_push` happens just before a push arrives."""

    head: str = "c0"
    name: str = "data/shop"
    place: str = "data/shop in memory"
    trees: dict = field(default_factory=dict)
    parents: dict = field(default_factory=dict)
    at: str | None = None
    loose: list = field(default_factory=list)
    before_push: object = None

    def tip(self):
        return self.at

    def holds(self, tip, commit):
        return tip == commit or any(self.holds(parent, commit) for parent in self.parents.get(tip, ()))

    def read(self, commit, path):
        return self.trees[commit].get(path)

    def last(self, tip, path):
        for parent in self.parents.get(tip, ()):
            if self.trees[parent].get(path) == self.trees[tip].get(path):
                return self.last(parent, path)
        return tip

    def changed(self, commit, paths):
        return self.loose

    def commit(self, parents, base, files, message, when):
        name = git_id(f"{parents}{sorted(files)}{message}{when}{len(self.trees)}")
        self.trees[name] = {**self.trees[base], **files, "message": message}
        self.parents[name] = tuple(parents)
        return name

    def push(self, commit, former):
        if self.before_push:
            happens, self.before_push = self.before_push, None
            happens()
        if self.at != former:
            return False
        self.at = commit
        return True

    def other(self, **files):
        """Let somebody else commit."""
        base = self.at or self.head
        self.at = self.commit([base], base, {name.replace("__", "/"): data for name, data in files.items()}, "other", 0)


@dataclass
class MemoryStore:
    """DVC without a remote."""

    stale: list = field(default_factory=list)
    pushed: int = 0

    def changed(self, targets):
        return self.stale

    def push(self, targets):
        assert targets == [f"{stage}@shop" for stage in STAGES]
        self.pushed += 1
        return 3


class DataLedger(MemoryLedger):
    """The ledger's rules, for data."""

    def register_data(self, version, commit, by, evidence):
        there = self.history(version.dataset).registered(version.version)
        if there is None:
            draft = Draft(kind=Kind.REGISTERED, project=version.dataset, version=version.version, release=version.digest,
                          actor=by.actor, data=version, evidence=dict(evidence))  # fmt: skip
            there = self._put(draft, commit)
        return there


class World:
    """A shop whose rows are delivered, checked and published."""

    def __init__(self) -> None:
        self.room = Room(Path())
        self.branch, self.store, self.ledger = MemoryBranch(), MemoryStore(), DataLedger()
        self.branch.head = git_id("head")
        self.cards: list = []
        self.params: dict = {}
        self.contract: dict = {}
        self.real = False

    def deliver(self, months=4, as_of=None, *, frame=None, check=True):
        """Deliver months of rows, ingest and check them."""
        self.params = {"as_of": as_of or f"2024-{months + 1:02d}-01"}
        self.room.deliver(shop.visits(months) if frame is None else frame)
        self.room.ingest(**self.how)
        if check:
            result = self.room.check(**self.how)
            write_json(Path("reports/shop/check_data.json"), self._reported(result))
        self._locked()
        if self.branch.head not in self.branch.trees:
            self.commit()

    @property
    def how(self):
        return {"params": self.params, "contract": self.contract}

    def commit(self):
        """Commit what lies there to the checkout's branch."""
        self.branch.trees[self.branch.head] = {
            "projects/shop/params.yaml": Path("projects/shop/params.yaml").read_bytes(),
            "dvc.lock": b"schema: '2.0'\nstages:\n  train@other: {cmd: x}\n",
        }

    def _reported(self, result):
        from ci.report import StepReport

        return StepReport("check_data", "shop", result, "2026-11-24T12:00:00", "2026-11-24T12:00:01").as_json()

    def _locked(self):
        raw = load_manifest(self.room.raw).version[:32]
        stages = {
            f"{stage}@shop": {"cmd": stage, "deps": [{"path": "projects/shop/contract.yaml"}], "outs": []}
            for stage in STAGES
        }
        stages["ingest@shop"]["outs"] = [{"path": "data/shop/raw", "md5": f"{raw}.dir"}]
        stages["train@shop"] = {"cmd": "half-done"}
        Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))

    def publish(self, **desk):
        checkout = Checkout(
            self.room.shop(**self.how),
            self.room.raw,
            self.room.verdict,
            Path("reports/shop/check_data.json"),
            Path("dvc.lock"),
        )

        def draw(former, proposal):
            self.cards.append((former, proposal))
            if self.real:
                manifest = load_manifest(checkout.raw)
                verdict = verdict_of(manifest.version, checkout.check, checkout.report)
                subject = Subject(checkout.project, checkout.raw, manifest, verdict, Progress())
                return draw_card(subject, former, proposal, Path("reports/shop/data_card"))
            return Card(Path("reports/shop/data_card/card.html"), {TEXT: proposal.version.encode()}, (), ())

        return publish(checkout, Desk(self.store, self.branch, self.ledger, By("ann", "it is time"), NOW, **desk), draw)

    def tags(self):
        return [tag.name for tag in self.ledger.tags]
