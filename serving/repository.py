"""The model that answers, and the way another takes its place: verified first, then swapped in one assignment."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import msgspec

from serving import bundle as bundles
from serving import compat, loader, log
from serving.errors import BundleError
from serving.microbatch import MicroBatcher
from serving.model import Model
from serving.telemetry import Telemetry

if TYPE_CHECKING:
    from serving.release import Release
    from serving.settings import Settings

_REMEMBERED = 3  # releases whose counters stay on the metrics page


class Live:
    """A model with what belongs to it alone: its batcher, its counters, the words of its answers."""

    def __init__(self, model: Model, settings: Settings, executor: Executor) -> None:
        self.model = model
        self.telemetry = Telemetry(model, settings.slo_ms / 1000)
        self.batcher = MicroBatcher(
            model.score,
            model.signature.graph,
            limit=settings.micro_batch,
            row_s=model.row_s,
            executor=executor,
            on_run=self.telemetry.run,
        )
        release, output = model.release, model.signature.output
        self.header = release.header
        self.header_line = b"x-slipway-release: %s\r\n" % release.header
        self.infer_url = b"/v2/models/%s/infer" % release.name.encode()
        self.tensor_head = _tensor_head(release, output.name)
        head = {"release": str(release), "version": release.version, "bundle": release.short, "output": output.name}
        if output.classes:
            head["classes"] = output.classes  # type: ignore[assignment]
        self.answer_head = msgspec.json.encode(head)[:-1] + b',"predictions":'


def _tensor_head(release: Release, name: str) -> bytes:
    """Spell what each answer of the protocol begins with, up to its shape."""
    parameters = {"release": str(release), "bundle": release.short}
    head = {"model_name": release.name, "model_version": release.version, "parameters": parameters}
    output = msgspec.json.encode({"name": name, "datatype": "FP32"})
    return msgspec.json.encode(head)[:-1] + b',"outputs":[' + output[:-1] + b',"shape":'


class Swap(msgspec.Struct, frozen=True):
    """What a look for another bundle came to."""

    outcome: Literal["swapped", "unchanged", "refused"]
    reason: str = ""
    message: str = ""


class Repository:
    """Holds the live model and looks for others."""

    def __init__(self, settings: Settings, executor: Executor) -> None:
        self.settings, self._executor = settings, executor
        self.live: Live | None = None
        self.past: deque[Telemetry] = deque(maxlen=_REMEMBERED)
        self.swaps: Counter[tuple[str, str]] = Counter()
        self.last = Swap("unchanged")
        self._loader = ThreadPoolExecutor(1, "loader")
        self._lock = asyncio.Lock()
        self._seen: loader.Fingerprint = ()
        self._source = loader.source(settings)
        self._first: Future[Model | None] | None = None

    def begin(self) -> None:
        """Open the bundle already; the first look takes what came of it."""
        self._first = self._loader.submit(self._open, None)

    async def look(self, why: str, version: str | None = None) -> Swap:
        """
        Load what lies at the model's address now, and let it take over if all is well.

        Whatever is wrong with it, the model that answers goes on answering.
        """
        async with self._lock:
            opening, self._first = self._first or self._loader.submit(self._open, version), None
            try:
                model = await asyncio.wrap_future(opening)
                self.last = self._take(model) if model else Swap("unchanged")
            except BundleError as error:
                self.last = Swap("refused", error.reason, str(error))
            except Exception as error:  # noqa: BLE001 # a bug here must not take down the model that answers
                log.error("looking for a bundle failed", cause=error)
                self.last = Swap("refused", "internal", "internal error; the server's log has it")
            self._tell(why)
            return self.last

    def _open(self, version: str | None) -> Model | None:
        """Open and prove the bundle, in a thread; None when it is the one that answers already."""
        located = self._source.locate()
        found = bundles.read(located.files)
        old = self.live.model if self.live else None
        named = version or located.version or ("" if old else self.settings.release_version)
        if old and found.digest == old.release.digest and named in {"", old.release.version}:
            return None
        if old:
            compat.check(old.signature, found.signature)
        return Model(found, named, self.settings.max_rows)

    def _take(self, model: Model) -> Swap:
        if self.live:
            self.past.append(self.live.telemetry)
        self.live = Live(model, self.settings, self._executor)
        return Swap("swapped")

    def _tell(self, why: str) -> None:
        last = self.last
        self.swaps[last.outcome, last.reason] += 1
        release = str(self.live.model.release) if self.live else None
        bundle = self.live.model.release.short if self.live else None
        if last.outcome == "refused":
            log.error(
                "bundle refused", why=why, reason=last.reason, message=last.message, release=release, bundle=bundle
            )
        else:
            log.info(f"bundle {last.outcome}", why=why, release=release, bundle=bundle)

    async def poll(self) -> None:
        """Look whenever the address shows another bundle; a refused one is not tried again until it changes."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                seen = await loop.run_in_executor(self._loader, self._source.fingerprint)
            except (BundleError, OSError):
                seen = ()  # between two bundles; the next look will tell
            if seen and seen != self._seen:
                self._seen = seen
                if (await self.look("poll")).reason == "unreachable":
                    self._seen = ()  # it may be the same, and there again, next time
            await asyncio.sleep(self.settings.poll_s)

    def close(self) -> None:
        """Stop looking."""
        self._loader.shutdown(wait=False, cancel_futures=True)
