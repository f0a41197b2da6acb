"""What publishing asks of DVC, of a branch and of the ledger; ci.adapters has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ci.ledger.event import Event
    from ci.ledger.history import History
    from ci.ledger.interface import By
    from ci.releases.dataset import DataVersion


class Store(Protocol):
    """DVC, which keeps the rows."""

    def changed(self, targets: Sequence[str]) -> list[str]:
        """List the stages, upstream of the targets and themselves, of which dvc.lock says something else."""

    def push(self, targets: Sequence[str]) -> int:
        """
        Push outputs; return how many files moved.

        Raises:
            Unavailable: the remote did not take them.
        """


class Branch(Protocol):
    """A branch that is moved without a checkout."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    @property
    def head(self) -> str:
        """The commit of the checkout."""

    def tip(self) -> str | None:
        """
        Return the commit that the branch is at; None if there is no such branch.

        Raises:
            Unavailable: the remote does not answer.
        """

    def holds(self, tip: str, commit: str) -> bool:
        """Whether a commit is in the history of another."""

    def read(self, commit: str, path: str) -> bytes | None:
        """Return a file as it is at a commit; None if it is not there."""

    def last(self, tip: str, path: str) -> str:
        """Return the last commit in the history of another that changed a file."""

    def changed(self, commit: str, paths: Sequence[str]) -> list[str]:
        """List which of some paths lie here otherwise than at a commit."""

    def commit(self, parents: Sequence[str], base: str, files: Mapping[str, bytes], message: str, when: int) -> str:
        """Make a commit that no branch names yet: the tree of `base` with some files replaced, at `when` (seconds)."""

    def push(self, commit: str, former: str | None) -> bool:
        """Move the branch from `former` (None: it is new) to a commit; False if somebody else has moved it."""


class DataLedger(Protocol):
    """The ledger, as far as data versions go."""

    def history(self, project: str, *, offline: bool = False) -> History:
        """Read everything about a data set, such as `flights-data`."""

    def register_data(self, version: DataVersion, commit: str, by: By, evidence: Mapping[str, str]) -> Event:
        """
        Give a data version its tag; the very same one again changes nothing.

        Raises:
            Quicker: the version was given to other data meanwhile.
        """
