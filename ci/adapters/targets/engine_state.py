"""
The state of an environment on its Docker engine, so that whoever reaches the engine can go on.

It lies in a volume, in two slots that are written in turn: one that was torn leaves the other. The lock is a container
of a fixed name, never started, because the engine makes a name once. Whoever holds it writes *through* it: if somebody
else took over meanwhile, that container is gone, and the write fails.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ci.adapters.containers import PLACE, ROLE, Gone, Taken
from ci.adapters.targets import keeper, processes
from ci.errors import BadInput, StepError, Unavailable
from ci.files import sha256_of
from ci.params import parse
from ci.rollout.state import State, now, seconds_since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.adapters.containers import Containers

BEAT_S = 1.5
FIRST_S = 2.0  # until the first sign of life; what is known until then stands on the lock itself
SILENT_S = 12.0  # a holder without a sign of life for so long is gone; no clock is compared with another
WISH_S = 0.3


class EngineState:
    """Satisfies `ci.rollout.targets.StateStore`."""

    def __init__(self, engine: Containers, base: str, title: str, *, silent_s: float = SILENT_S) -> None:
        """Name the environment, by `base` for the engine and by `title` for people; nothing is made."""
        self._engine, self._title, self._silent_s = engine, title, silent_s
        self._volume, self._keeper, self._lock_name = f"{base}-state", f"{base}-state", f"{base}-lock"
        self._base, self._lock, self._known = base, None, None
        self.seen = None
        self._wish: tuple[float, str | None] = (0.0, None)
        self._holder: dict[str, str] = {}
        self._signed = False

    _lock: str | None
    _known: State | None
    seen: State | None  # what was read last, for what never changes in it

    def read(self) -> State | None:
        """Return the newer of the two slots."""
        if self._lock and self._known:
            return self._known
        files = self._files()
        slots = {name: raw for name, raw in files.items() if name in {"a.json", "b.json"}}
        found = [document for raw in slots.values() if (document := _whole(raw))]
        if slots and not found:
            raise BadInput(f"{self._volume}: the state of {self._title} cannot be read")
        if not found:
            return None
        state = parse(State, max(found, key=lambda item: int(item["generation"])), self._volume)
        self.seen, self._known = state, state if self._lock else None  # while we hold it, nobody else writes
        return state

    def write(self, state: State) -> None:
        """Write the slot of the generation before the last, through the lock."""
        found = self.read()
        if (found.generation if found else 0) + 1 != state.generation:
            raise Unavailable(f"{self._title}: somebody else wrote in between", hint="run it again")
        document = state.model_dump(mode="json")
        raw = json.dumps({"sha256": sha256_of(document), "state": document}).encode()
        files = {"ab"[state.generation % 2] + ".json": raw, **self._sign()}
        self._known = None
        try:
            self._engine.put(self._lock or self._made(), keeper.FOLDER, files)
        except Gone as error:
            raise Unavailable(f"{self._title}: somebody else took over", hint="run it again") from error
        self._known, self._signed = state, True

    def _sign(self) -> dict[str, bytes]:
        """Return the last sign of life that outlives the lock."""
        return {"holder.json": json.dumps({**self._holder, "beat": now()}).encode()} if self._lock else {}

    @contextmanager
    def hold(self, who: str) -> Iterator[None]:
        """Make the lock and beat."""
        self._made()
        holder = {"who": who, "since": now()}
        self._lock, self._known, self._wish = self._acquired(holder), None, (0.0, None)
        self._holder, self._signed = holder, False
        try:
            with self._beating(self._lock, holder):
                yield
        finally:
            lock, sign = self._lock, {} if self._signed else self._sign()
            self._lock = self._known = None
            with suppress(StepError):  # an engine that is gone took the lock with it, or its silence will tell
                if sign:
                    self._engine.put(lock, keeper.FOLDER, sign)
                self._engine.discard(lock)

    def held_by(self) -> str | None:
        """Look for the lock, and whether its holder lives."""
        found = self._engine.find(self._lock_name)
        if found is None:
            return None
        last = self._sign_of(found)
        fresh = last is not None and abs(seconds_since(last)) < 2 * BEAT_S
        if processes.ended(found["Config"]["Labels"].get("io.slipway.process", "")):
            return None
        if not fresh and self._watched(found["Id"], 3 * BEAT_S) != "alive":
            return None
        return _told(found["Config"]["Labels"])

    def silent_s(self) -> float | None:
        """Read the last beat."""
        found = self._engine.find(self._lock_name)
        last = self._sign_of(found) if found else None
        if last is None and (raw := self._files().get("holder.json")):
            last = (_json(raw) or {}).get("beat")
        return abs(seconds_since(last)) if last else None

    def _sign_of(self, found: dict[str, Any]) -> str | None:
        """Return when a lock's holder last gave a sign of life; to take it is the first."""
        last = self._beat(found["Id"])
        return str(last["beat"]) if last else found["Config"]["Labels"].get("io.slipway.since")

    def ask_to_stop(self, who: str) -> None:
        """Leave a wish in the lock: it goes with it."""
        with suppress(Gone):
            self._engine.put(self._lock_name, "/", {"wish.json": json.dumps({"who": who}).encode()})

    def asked_to_stop(self) -> str | None:
        """Look for a wish, a few times a second at most."""
        seen, said = self._wish
        if said is None and time.monotonic() - seen > WISH_S:
            with suppress(StepError):
                raw = (self._engine.get(self._lock or self._lock_name, "/wish.json") or {}).get("wish.json")
                said = str((_json(raw) or {}).get("who")) if raw else None
            self._wish = (time.monotonic(), said)
        return said

    def _files(self) -> dict[str, bytes]:
        with suppress(Gone):
            return self._engine.get(self._lock or self._keeper, keeper.FOLDER) or {}
        if not self._engine.has_volume(self._volume):
            return {}
        return self._engine.get(self._made(), keeper.FOLDER) or {}  # the keeper was pruned

    def _made(self) -> str:
        if self._engine.find(self._keeper) is None:
            labels = {PLACE: self._base, ROLE: "state"}
            self._engine.volume(self._volume, labels)
            with suppress(Taken):
                self._container(self._keeper, labels)
        return self._keeper

    def _container(self, name: str, labels: dict[str, str]) -> str:
        where = {self._volume: f"{keeper.FOLDER}:rw"}
        return self._engine.create(name, keeper.image(self._engine), labels, volumes=where, read_only=False)

    def _acquired(self, holder: dict[str, str]) -> str:
        told = {f"io.slipway.{key}": value for key, value in {**holder, "process": processes.mark()}.items()}
        labels = {PLACE: self._base, ROLE: "lock", **told}
        while True:
            with suppress(Taken):
                return self._container(self._lock_name, labels)
            found = self._engine.find(self._lock_name)
            if found is None:
                continue
            match self._watched(found["Id"], self._silent_s):
                case "alive":
                    raise Unavailable(f"{self._title}: held by {_told(found['Config']['Labels'])}",
                                      hint="wait for it, or end its rollout with steps.abort")  # fmt: skip
                case "silent":  # by id: whoever was quicker has a lock of another id by now
                    self._engine.discard(found["Id"])

    def _watched(self, lock: str, limit_s: float) -> str:
        """Watch a lock until its holder gives a sign of life ("alive"), is "gone", or is known or seen to be "silent"."""
        first, deadline = self._beat(lock), time.monotonic() + limit_s
        while time.monotonic() < deadline:
            found = self._engine.find(lock)
            if found is None:
                return "gone"
            if processes.ended(found["Config"]["Labels"].get("io.slipway.process", "")):
                return "silent"
            time.sleep(0.25)
            last = self._beat(lock)
            if last is not None and last != first:
                return "alive"
        return "silent"

    def _beat(self, lock: str) -> dict[str, Any] | None:
        with suppress(Gone):
            raw = (self._engine.get(lock, "/beat.json") or {}).get("beat.json")
            return _json(raw) if raw else None
        return None

    @contextmanager
    def _beating(self, lock: str, holder: dict[str, str]) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            if done.wait(FIRST_S):  # whoever only moves weights has done so by then, and shared the engine with nobody
                return
            while True:
                with suppress(Exception):  # taken over, or a silent engine: the next write will tell
                    self._engine.put(lock, "/", {"beat.json": json.dumps({**holder, "beat": now()}).encode()})
                if done.wait(BEAT_S):
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _whole(raw: bytes) -> dict[str, Any] | None:
    """Return the state in a slot; None if it was not written to its end."""
    found = _json(raw) or {}
    state = found.get("state")
    return state if isinstance(state, dict) and sha256_of(state) == found.get("sha256") else None


def _json(raw: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        found = json.loads(raw)
        return found if isinstance(found, dict) else None
    return None


def _told(labels: dict[str, str]) -> str:
    return f"{labels.get('io.slipway.who', 'somebody')} since {labels.get('io.slipway.since', 'some time')}"
