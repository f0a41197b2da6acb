"""What rollouts ask of the world; `ci.adapters` has each for processes and for Docker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ci.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ci.releases.record import Release
    from ci.rollout.router import Cluster, Routes
    from ci.rollout.state import Instance, State


@dataclass(frozen=True, slots=True)
class Seen:
    """One server as it really is."""

    alive: bool
    restarts: int = 0
    said: str = ""


class PlaceTaken(Unavailable):
    """A stranger listens where a server should."""

    def __init__(self, instance: Instance) -> None:
        """Name the server."""
        super().__init__(f"{instance.id}: {instance.host}:{instance.port} is taken by somebody else")
        self.instance = instance


class Bundles(Protocol):
    """Brings the bundle of a release, by digest."""

    def fetch(self, release: Release, folder: Path) -> None:
        """
        Put the bundle's files into an empty folder.

        Raises:
            BadInput: it is nowhere, or not what its digest says.
            Unavailable: whoever should have it does not answer.
        """


class Target(Protocol):
    """Starts, finds and stops servers; what it knows it learns by looking, so that any agent sees the same."""

    def prepare(self, release: Release) -> None:
        """
        Bring here what the release's servers run from.

        Raises:
            BadInput, Unavailable: it cannot be had.
        """

    def place(self, taken: Collection[tuple[str, int]]) -> tuple[str, int]:
        """Choose host and port for one more server, apart from those that are taken."""

    def start(self, release: Release, instance: Instance) -> None:
        """
        Start a server; one that runs already is left alone. It is started again if it ends by itself.

        Raises:
            PlaceTaken: it cannot run there; another place is chosen then.
        """

    def running(self) -> Mapping[str, Seen]:
        """Return the servers that there are, by id."""

    def ready(self, release: Release, instance: Instance) -> bool:
        """Whether this server, and no other at its address, answers for this release."""

    def stop(self, ids: Collection[str], patience_s: float) -> None:
        """Stop servers, politely at first, and wait until they are gone; ids that are not there are fine."""

    def tail(self, instance: str) -> str:
        """Return the last lines that a server said."""

    def forget(self, keep: Collection[str]) -> None:
        """Remove what releases other than those whose bundle digests are in `keep` left here."""


class Router(Protocol):
    """One Envoy: brought up once, then changed while it runs."""

    @property
    def address(self) -> str:
        """The front door, as callers reach it: http://host:port."""

    @property
    def admin(self) -> str:
        """Its own statistics, for verification: http://host:port."""

    def check(self, clusters: Sequence[Cluster], routes: Routes) -> None:
        """
        Have Envoy itself judge a configuration; nothing is changed.

        Raises:
            BadInput: it refuses.
        """

    def up(self) -> None:
        """
        Start it where it does not run, and wait until it answers.

        Raises:
            Unavailable: it does not come up; its port may be taken.
        """

    def clusters(self, clusters: Sequence[Cluster]) -> None:
        """
        Make these the known releases with their servers; return when that is in effect.

        Raises:
            Unavailable: Envoy refused or did not answer.
        """

    def routes(self, routes: Routes) -> None:
        """Make these the weights; return when they are in effect. Raises as `clusters`."""

    def healthy(self, cluster: str) -> int:
        """Return how many servers of a release pass Envoy's own health check."""

    def holds(self) -> tuple[str, str] | None:
        """Return the versions of clusters and routes that it runs with; None when it is down."""

    def down(self) -> None:
        """Stop it."""


class StateStore(Protocol):
    """Keeps the state with the environment, and lets one rollout at a time change it."""

    def read(self) -> State | None:
        """
        Return the state; None where there never was one.

        Raises:
            BadInput: it cannot be read.
        """

    def write(self, state: State) -> None:
        """
        Replace the state, so that a reader sees the old or the new one, whole.

        Raises:
            Unavailable: no room, or somebody else wrote in between (the generation is not the next one).
        """

    def hold(self, who: str) -> AbstractContextManager[None]:
        """
        Be the only one to change this environment while the block runs; a sign of life is given all the while.

        Raises:
            Unavailable: somebody else holds it; the message says who, and since when.
        """

    def held_by(self) -> str | None:
        """Say who holds it since when; None if nobody does."""

    def silent_s(self) -> float | None:
        """Return for how long the last holder has given no sign of life, seconds; None if there never was one."""

    def ask_to_stop(self, who: str) -> None:
        """Ask whoever holds it to undo its rollout."""

    def asked_to_stop(self) -> str | None:
        """Return who asked the holder to stop, if somebody did since it began."""
