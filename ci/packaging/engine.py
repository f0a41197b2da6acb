"""What packaging asks of a container engine; `ci.adapters.engine` has Docker's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class Found:
    """An image that the engine has; `config` is its `Config`, `layers` the digests of its unpacked layers."""

    id: str
    architecture: str
    layers: tuple[str, ...]
    size: int
    config: Mapping[str, Any]

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.config.get("Labels") or {}


class Container(Protocol):
    """A container that was started for a test and is removed afterwards."""

    def execute(self, command: Sequence[str], stdin: bytes = b"") -> tuple[int, str]:
        """Run a command inside; return its exit code and both streams."""

    def running(self) -> bool:
        """Whether it still runs."""

    def logs(self) -> str:
        """Return the last of what it said."""


class Engine(Protocol):
    """Images by id or digest. Everything that it makes carries the label `io.slipway`."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    def image(self, reference: str) -> Found | None:
        """Return an image by id, tag or digest; None if the engine does not have it."""

    def build(self, context: IO[bytes], tag: str) -> Found:
        """
        Build the Dockerfile of a context (a tar file), without a network.

        Raises:
            BadInput: a step of the build fails; the message is its last word.
            Unavailable: the engine does not answer in time.
        """

    def load(self, archive: IO[bytes]) -> None:
        """Take images from an archive as `docker save` writes them; layers that the engine has need not be in it."""

    def save(self, reference: str, out: IO[bytes]) -> None:
        """Write such an archive of one image."""

    def remove(self, reference: str) -> None:
        """Remove an image; one that is gone is no error, and so is one in use."""

    def push(self, image_id: str, name: str, tag: str) -> str:
        """Push an image as `name:tag` (name with the registry's host); return the digest of its manifest."""

    def pull(self, reference: str) -> Found:
        """
        Pull `name@sha256:…`.

        Raises:
            BadInput: the registry has none, or it is not what its digest says.
        """

    def started(
        self, image_id: str, *, user: str, environment: Mapping[str, str], data: Mapping[str, bytes] | None = None
    ) -> AbstractContextManager[Container]:
        """
        Run an image read-only, without a network or any right; remove the container when the block ends.

        With `data` (file name to contents) there is a volume at /data that holds these files, and goes with it.
        """
