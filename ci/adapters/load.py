"""Load for idle services: a project's own test rows, sent at a steady rate through a front door, marked as synthetic."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from ci.errors import BadInput, Unavailable
from ci.verification.load import NOBODY, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ci.project import Project

ROWS = 2000
MOST_ANSWER = 1 << 20
TELL_S = 10.0
_SEED = 7


@dataclass(frozen=True, slots=True)
class Plan:
    """How much: requests per second, for how long, over how many connections, and how long one may take."""

    rate: float
    seconds: float
    connections: int
    timeout_s: float = 5.0


def bodies(project: Project, most: int = ROWS) -> list[bytes]:
    """
    Spell test rows as a caller would send them; the same rows in the same mixed order each time.

    Raises:
        BadInput: there are none that the contract allows.
    """
    from ci.data.manifest import read_parquet
    from ci.model.bundle import as_json, within_contract

    path, columns = project.path("data") / "prepared" / "test.parquet", project.contract.features
    frame = read_parquet(path)
    sound = frame[within_contract(frame, project.contract)]
    chosen = sound.sample(min(most, len(sound)), random_state=_SEED)
    if chosen.empty:
        raise BadInput(f"{path}: holds no row that the contract allows")
    return [
        json.dumps({name: as_json(row[name], columns[name]) for name in columns}).encode()
        for _, row in chosen.iterrows()
    ]


def chosen(project: str, environment: str | None, door: str | None) -> str:
    """
    Return the front door that is meant: an address, or that of a project in an environment.

    Raises:
        BadInput: neither or both were named, there is no such environment, or nothing runs there.
    """
    from ci.adapters import environments
    from ci.shared import shared

    if (environment is None) is (door is None):
        raise BadInput(
            "--env: missing" if door is None else "--door: takes the place of --env", hint="name one of them"
        )
    if door is not None or environment is None:
        return str(door).rstrip("/")
    actual = environments.named(project, environment, shared()).actual()
    if actual.live is None or actual.door is None:
        raise BadInput(f"{project}: nothing runs in {environment}")
    return actual.door


def send(
    door: str, rows: Sequence[bytes], plan: Plan, say: Callable[[str], None], enough: Callable[[], bool] = lambda: False
) -> tuple[Tally, float]:
    """
    Send them until the time is over or `enough` says so; return what came of it, and how long it took in seconds.

    Raises:
        BadInput: the address is none.
        Unavailable: nobody listens there at all.
    """
    place = urlsplit(door)
    if place.scheme not in {"http", "https"} or not place.hostname or place.username or place.query:
        raise BadInput(f"--door: {door[:120]!r} is not an address such as http://127.0.0.1:8080")
    load = _Load(place, rows, plan, say, enough)
    began = time.monotonic()
    asyncio.run(load.run())
    return load.tally, time.monotonic() - began


@dataclass
class _Load:
    """Each connection takes the next request when its moment has come: a slow answer never slows the others."""

    place: SplitResult
    rows: Sequence[bytes]
    plan: Plan
    say: Callable[[str], None]
    enough: Callable[[], bool]
    tally: Tally = field(default_factory=Tally)
    taken: int = 0

    async def run(self) -> None:
        _, writer = await self._first()
        writer.close()
        self.end = time.monotonic() + self.plan.seconds
        self.began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            teller = group.create_task(self._tell())
            workers = [group.create_task(self._connection()) for _ in range(self.plan.connections)]
            await asyncio.gather(*workers)
            teller.cancel()

    async def _first(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.wait_for(self._open(), self.plan.timeout_s)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{self.place.geturl()}: cannot be reached ({type(error).__name__})") from error

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        secure = self.place.scheme == "https"
        port = self.place.port or (443 if secure else 80)
        tls = ssl.create_default_context() if secure else None
        return await asyncio.open_connection(self.place.hostname, port, ssl=tls, limit=MOST_ANSWER)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            self.say(f"{self.tally.all:,} requests, {self.tally.failures:,} failed")

    def _next(self) -> tuple[float, bytes] | None:
        """Take the next request: when it is due, and its bytes; None when the time is over."""
        due = self.began + self.taken / self.plan.rate
        if max(due, time.monotonic()) >= self.end or self.enough():
            return None
        body = self.rows[self.taken % len(self.rows)]
        self.taken += 1
        head = (
            f"POST {self.place.path.rstrip('/')}/predict HTTP/1.1\r\nhost: {self.place.netloc}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-slipway-synthetic: 1\r\n\r\n"
        )
        return due, head.encode() + body

    async def _connection(self) -> None:
        link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while (request := self._next()) is not None:
            await asyncio.sleep(max(0.0, request[0] - time.monotonic()))
            link = await self._counted(link, request[1])
        if link:
            link[1].close()

    async def _counted(
        self, link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None, request: bytes
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Send one request and count it, whatever becomes of it; return the connection if it may be used again."""
        sent, release, status, stays = time.monotonic(), NOBODY, 0, False
        try:
            async with asyncio.timeout(self.plan.timeout_s):
                link = link or await self._open()
                link[1].write(request)
                status, release, stays = await _answer(link[0])
            problem = "" if status == 200 else str(status)
        except TimeoutError:
            problem = "no answer in time"
        except ConnectionRefusedError:
            problem = "connection refused"
        except (OSError, EOFError):
            problem = "connection lost"
        except (ValueError, asyncio.LimitOverrunError):
            problem = "not an answer"
        self.tally.add(release, time.monotonic() - sent, problem)
        if stays or link is None:
            return link
        with suppress(OSError):
            link[1].close()
        return None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, bool]:
    """Read one answer: its status, the release that gave it, and whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    version, _, rest = head[0].partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(head[0][:40])
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        size = 0
        while chunk := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            size += chunk
            if size > MOST_ANSWER:
                raise ValueError("too long")
            await reader.readexactly(chunk + 2)
        await reader.readuntil(b"\r\n")
    else:
        length = int(headers.get("content-length", "0"))
        if not 0 <= length <= MOST_ANSWER:
            raise ValueError("too long")
        await reader.readexactly(length)
    release = headers.get("x-slipway-release", NOBODY).partition(";")[0][:80]
    return int(rest[:3]), release or NOBODY, headers.get("connection", "").lower() != "close"
