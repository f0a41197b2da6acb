"""The state of an environment in a folder of the machine that runs it."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ci.errors import Unavailable
from ci.files import read_json, said_plainly, write_json
from ci.params import parse
from ci.rollout.state import State, seconds_since, utc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

BEAT_S = 1.0


class FolderState:
    """Satisfies `ci.rollout.targets.StateStore`; the system lets go of the lock however its holder ends."""

    def __init__(self, folder: Path, clock: Callable[[], datetime] = utc) -> None:
        """Name the folder; nothing is made."""
        self._clock = clock
        self._folder, self._path = folder, folder / "state.json"
        self._holder, self._wish = folder / "holder.json", folder / "wish.json"

    def read(self) -> State | None:
        """Return the state."""
        if not self._path.is_file():
            return None
        return parse(State, read_json(self._path), str(self._path))

    def write(self, state: State) -> None:
        """Write beside, flush, rename; only onto the generation before."""
        found = self.read()
        if (found.generation if found else 0) + 1 != state.generation:
            raise Unavailable(f"{self._path}: somebody else wrote in between", hint="run it again")
        write_json(self._path, state.model_dump(mode="json"))

    @contextmanager
    def hold(self, who: str) -> Iterator[None]:
        """Hold the lock file and beat."""
        with ExitStack() as stack:
            with said_plainly(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context((self._folder / "rollout.lock").open("a+b"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Unavailable(f"{self._folder.parent.name} in {self._folder.name}: held by {self._told()}",
                                  hint="wait for it, or end its rollout with steps.abort") from error  # fmt: skip
            self._wish.unlink(missing_ok=True)
            stack.enter_context(self._beating({"who": who, "since": self._clock().isoformat(timespec="milliseconds")}))
            yield

    def held_by(self) -> str | None:
        """Try the lock."""
        with suppress(FileNotFoundError), (self._folder / "rollout.lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return self._told()
        return None

    def silent_s(self) -> float | None:
        """Read the last beat."""
        found = self._last()
        return (
            abs(seconds_since(found["beat"], self._clock)) if found else None
        )  # a clock that was set back counts, too

    def ask_to_stop(self, who: str) -> None:
        """Leave a wish."""
        write_json(self._wish, {"who": who})

    def asked_to_stop(self) -> str | None:
        """Look for a wish."""
        with suppress(Exception):
            return str(json.loads(self._wish.read_bytes())["who"])
        return None

    @contextmanager
    def _beating(self, holder: dict[str, Any]) -> Iterator[None]:
        done = threading.Event()

        def tell(**more: object) -> None:
            with suppress(Exception):  # a full disk: the lock still holds
                write_json(self._holder, {**holder, "beat": self._clock().isoformat(), **more})

        def beat() -> None:
            while not done.wait(BEAT_S):
                tell()

        tell()
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            tell(left=True)  # the next one who takes the lock is not called by this name

    def _last(self) -> dict[str, Any] | None:
        with suppress(Exception):
            found: dict[str, Any] = json.loads(self._holder.read_bytes())
            return found
        return None

    def _told(self) -> str:
        for _ in range(20):  # whoever took the lock a moment ago is about to say so
            if (found := self._last()) and "left" not in found:
                return f"{found['who']} since {found['since']}"
            time.sleep(0.02)
        return "somebody who has not said so yet"
