"""The one door to the container engine: images and test containers, through the Docker SDK. Not for deployments."""

from __future__ import annotations

import io
import os
import re
import tarfile
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

from ci.errors import BadInput, StepError, Unavailable
from ci.packaging.engine import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LABEL = "io.slipway"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HINT = "as root, ci/setup/docker starts one; or name one in DOCKER_HOST"
_LOGIN = "registry.username_env and registry.password_env in params.yaml name who asks"
_TRUST = "registry.ca is what we trust; an engine has its own, on its machine: /etc/docker/certs.d/<host:port>/ca.crt"
# What an engine says of a registry that no retry changes: its words, the fact, and what helps.
_FINAL = (
    (r"unauthorized|\bdenied:|resource is denied|no basic auth credentials", "the registry does not let us in", _LOGIN),
    (r"x509|certificate|HTTP response to HTTPS client", "the engine does not trust the registry", _TRUST),
    (r"verification failed|unexpected .* digest", "is not what its digest says", ""),
    (r"manifest unknown|not found", "the registry has none", ""),
)


class Docker:
    """A Docker engine, local or remote: nothing here assumes that it sees this machine's files."""

    def __init__(
        self, timeout_s: float = 600, credentials: tuple[str, str] | None = None, host: str | None = None
    ) -> None:
        """
        Connect to the engine at `host`, or at DOCKER_HOST if that is None.

        Raises:
            Unavailable: none answers, or the Docker SDK is not installed.
        """
        try:
            import docker
        except ImportError as error:
            raise Unavailable(
                "docker: the Docker SDK is not installed", hint="pip install 'slipway[docker]'"
            ) from error
        self.place = host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
        self._credentials, self._errors = credentials, docker.errors
        try:
            known = {**os.environ, "DOCKER_HOST": self.place}
            self._client = docker.from_env(timeout=int(timeout_s), environment=known, use_ssh_client=True)
            self._client.ping()
        except (docker.errors.DockerException, OSError) as error:
            raise Unavailable(f"docker: no engine answers at {self.place}", hint=_HINT) from error

    def image(self, reference: str) -> Found | None:
        """Return an image by id, tag or digest; None if the engine does not have it."""
        try:
            found = self._ask(lambda: self._client.api.inspect_image(reference))
        except self._errors.ImageNotFound:
            return None
        return _found(found)

    def build(self, context: IO[bytes], tag: str) -> Found:
        """Build a context without a network; the steps' own output is the message of a failure."""
        lines: list[str] = []
        stream = self._ask(
            lambda: self._client.api.build(
                fileobj=context, custom_context=True, rm=True, forcerm=True, tag=tag, network_mode="none", decode=True
            )
        )  # fmt: skip
        for event in self._ask(lambda: list(stream)):
            lines += [part for part in _COLOUR.sub("", event.get("stream", "")).splitlines() if part.strip()]
            if "error" in event:
                told = next(
                    (line for line in reversed(lines) if not line.startswith(("Step ", " --->", "Removing "))), ""
                )
                raise BadInput(f"docker: the build of {tag} failed: {_line(event['error'])} {_line(told)}".strip())
        built = self.image(tag)
        self._ask(lambda: self._client.api.prune_images({"dangling": True, "label": f"{LABEL}=stage"}))
        if built is None:
            raise Unavailable(f"docker: {tag} was built, and is gone", hint="does another process prune this engine?")
        return built

    def load(self, archive: IO[bytes]) -> None:
        """Take images from an archive."""
        stream = self._ask(lambda: self._client.api.load_image(archive, quiet=True))
        for event in self._ask(lambda: list(stream or ())):
            if "error" in event:
                raise BadInput(f"docker: the engine does not take the image: {_line(event['error'])}")

    def save(self, reference: str, out: IO[bytes]) -> None:
        """Write an archive of one image."""
        self._ask(lambda: [out.write(part) for part in self._client.api.get_image(reference, chunk_size=1 << 20)])

    def remove(self, reference: str) -> None:
        """Remove an image; one that is gone or in use stays as it is."""
        with suppress(self._errors.ImageNotFound, self._errors.APIError):
            self._ask(lambda: self._client.api.remove_image(reference, force=False))

    def push(self, image_id: str, name: str, tag: str) -> str:
        """Push an image; return the digest of its manifest, which is not its id."""
        self._ask(lambda: self._client.api.tag(image_id, name, tag, force=True))
        try:
            stream = self._client.api.push(name, tag, stream=True, decode=True, auth_config=self._auth())
            events = self._ask(lambda: list(stream))
        finally:
            self.remove(f"{name}:{tag}")
        for event in events:
            if "error" in event:
                raise _refused(f"{name}:{tag} was not pushed", event["error"])
        digests = [event["aux"]["Digest"] for event in events if "Digest" in event.get("aux", {})]
        if not digests:
            raise Unavailable(f"docker: {name}:{tag}: the engine named no digest after the push")
        return str(digests[-1])

    def pull(self, reference: str) -> Found:
        """Pull an image by digest."""
        if not re.fullmatch(r"[^@\s]+@sha256:[0-9a-f]{64}", reference):
            raise BadInput(f"{reference}: not a digest; what runs is named by digest, never by tag")
        name, digest = reference.split("@")
        pull, login = self._client.api.pull, self._auth()
        try:
            stream = self._ask(lambda: pull(name, tag=digest, stream=True, decode=True, auth_config=login))
            events = self._ask(lambda: list(stream))
        except self._errors.NotFound as error:
            raise BadInput(f"{reference}: the registry has none ({_line(error.explanation)})") from error
        except Unavailable as error:
            raise _refused(reference, str(error)) from error
        for event in events:
            if "error" in event:
                raise _refused(reference, event["error"])
        found = self.image(reference)
        if found is None:
            raise Unavailable(f"{reference}: was pulled, and is gone")
        return found

    @contextmanager
    def started(
        self, image_id: str, *, user: str, environment: Mapping[str, str], data: Mapping[str, bytes] | None = None
    ) -> Iterator[DockerContainer]:
        """Run an image with as little as it can be given; remove the container, and its volume, when the block ends."""
        container = self._ask(
            lambda: self._client.containers.create(
                image_id, detach=True, name=f"slipway-test-{uuid4().hex[:12]}", user=user, read_only=True,
                network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges"], pids_limit=256,
                mem_limit="1g", environment=dict(environment), labels={LABEL: "test"},
                volumes=None if data is None else ["/data"],
            )
        )  # fmt: skip
        try:
            if data is not None:
                self._ask(lambda: container.put_archive("/data", packed(data, owner=0)))
            self._ask(container.start)
            yield DockerContainer(container, self._ask)
        finally:
            with suppress(self._errors.NotFound):
                self._ask(lambda: container.remove(force=True, v=True))

    def _auth(self) -> dict[str, str] | None:
        if self._credentials is None:
            return None
        return {"username": self._credentials[0], "password": self._credentials[1]}

    def _ask(self, question: Callable[[], Any]) -> Any:
        """
        Ask the engine; what is not found stays the caller's business.

        Raises:
            Unavailable: it does not answer, or refuses.
        """
        import requests

        try:
            return question()
        except (self._errors.NotFound, self._errors.ImageNotFound):
            raise
        except self._errors.APIError as error:
            raise Unavailable(f"docker: {self.place}: {_line(error.explanation or str(error))}") from error
        except (self._errors.DockerException, requests.RequestException, OSError) as error:
            raise Unavailable(f"docker: {self.place}: no answer ({_line(str(error))})", hint=_HINT) from error


class DockerContainer:
    """A container that runs for a test."""

    def __init__(self, container: Any, ask: Callable[[Callable[[], Any]], Any]) -> None:
        """Take what was started."""
        self._container, self._ask = container, ask

    def execute(self, command: Sequence[str], stdin: bytes = b"") -> tuple[int, str]:
        """Run a command inside; what it should read travels in its environment, which the network does not see."""
        environment = {"SLIPWAY_STDIN": stdin.decode("utf-8")} if stdin else None
        code, out = self._ask(lambda: self._container.exec_run(list(command), environment=environment))
        return (code if code is not None else -1), (out or b"").decode("utf-8", "replace")

    def running(self) -> bool:
        """Whether it still runs."""
        self._ask(self._container.reload)
        return bool(self._container.status == "running")

    def logs(self) -> str:
        """Return the last lines of what it said."""
        return str(self._ask(lambda: self._container.logs(tail=20)).decode("utf-8", "replace"))

    def files(self) -> list[str]:
        """List every file of its root, as the image left it."""
        stream, _ = self._ask(lambda: self._container.get_archive("/"))
        with tarfile.open(fileobj=_Stream(stream), mode="r|") as archive:
            return [entry.name for entry in archive if not entry.isdir()]


class _Stream(io.RawIOBase):
    """Makes a file of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = iter(chunks), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            self._left = next(self._chunks, b"")
            if not self._left:
                return 0
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def packed(files: Mapping[str, bytes], owner: int, mode: int = 0o644) -> bytes:
    """Return files of one owner as the tar file in which an engine takes them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.uid, entry.gid = len(data), mode, owner, owner
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _found(document: Mapping[str, Any]) -> Found:
    return Found(
        id=document["Id"],
        architecture=document["Architecture"],
        layers=tuple(document["RootFS"].get("Layers") or ()),
        size=document["Size"],
        config=document["Config"] or {},
    )


def _refused(what: str, said: str) -> StepError:
    """Turn what an engine says of a registry into an error: 2 if a retry is useless, 5 if it may help."""
    for words, fact, hint in _FINAL:
        if re.search(words, said, re.IGNORECASE):
            return BadInput(f"docker: {what}: {fact}: {_line(said)}", hint=hint)
    return Unavailable(f"docker: {what}: {_line(said)}", hint="is the registry up?")


def _line(text: str) -> str:
    return " ".join(str(text).split())[:300]
