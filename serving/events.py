"""
Sampled predictions as events, for the collection service.

A request only puts a reference into a bounded queue; a thread spells the events and writes or posts them. When the
queue is full an event is dropped and counted: a slow collector costs events, never answers.
"""

from __future__ import annotations

import contextlib
import queue
import random
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

from serving import log
from serving.encoded import Encoded, Row, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.model import Model

_BATCH = 200  # events in one write or POST
_EVERY_S = 1.0
_POST_S = 5.0
_TRIES = 3
_ANSWER = 1 << 20  # bytes of an answer that are read
_ROWS = 100  # rows of one request that become events
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 # the wall clock is what the contract counts

_Item = tuple[float, str, "Model", Row | Encoded, Any]


class Events:
    """The queue and its writer."""

    def __init__(self, *, rate: float, file: str, url: str, size: int, token: str = "") -> None:
        self.rate = rate
        self._sinks = [sink for sink in (_file(file), _collector(url, token)) if sink]
        self._queue: queue.Queue[_Item] = queue.Queue(size)
        self.counts = {"written": 0, "dropped": 0, "failed": 0}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)

    def start(self) -> None:
        """Start the writer."""
        self._thread.start()

    def close(self, within_s: float) -> None:
        """Write what is waiting, for at most so long."""
        self._stop.set()
        self._thread.join(within_s)

    def offer(self, request_id: str, model: Model, rows: Row | Encoded, answers: Any) -> None:
        """Take one answered request, or its sampled share."""
        if random.random() >= self.rate:  # noqa: S311 # sampling, not secrecy
            return
        try:
            self._queue.put_nowait((time.time(), request_id, model, rows, answers))
        except queue.Full:
            self.counts["dropped"] += 1

    def _work(self) -> None:
        while not (self._stop.is_set() and self._queue.empty()):
            items = self._take()
            events = [event for item in items for event in spell(item)]
            for start in range(0, len(events), _BATCH):
                self._write(events[start : start + _BATCH], items[0][2].release.name)

    def _take(self) -> list[_Item]:
        items: list[_Item] = []
        deadline = time.monotonic() + _EVERY_S
        while len(items) < _BATCH and not (self._stop.is_set() and self._queue.empty()):
            wait = min(deadline - time.monotonic(), 0.1)
            if wait <= 0:
                break
            with contextlib.suppress(queue.Empty):
                items.append(self._queue.get(timeout=wait))
        return items

    def _write(self, events: list[dict[str, Any]], project: str) -> None:
        body = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
        good = sum(self._try(sink, body, project) for sink in self._sinks) == len(self._sinks)
        self.counts["written" if good else "failed"] += len(events)

    def _try(self, sink: _File | _Collector, body: bytes, project: str) -> bool:
        for attempt in range(_TRIES):
            try:
                sink.write(body, project)
            except (OSError, HTTPException) as error:
                log.warning("events not written", sink=sink.name, reason=str(error), attempt=attempt + 1)
                self._stop.wait(2.0**attempt / 4)
            else:
                return True
        return False


class _File:
    def __init__(self, path: str) -> None:
        self.name = path

    def write(self, body: bytes, project: str) -> None:  # noqa: ARG002 # as the other one's
        with Path(self.name).open("ab") as out:
            out.write(body)


class _Collector:
    """
    A collection service, or whatever else takes NDJSON.

    An address without a path is a service's, which has one for each project. The token is sent there and nowhere else:
    a redirect is an error.
    """

    def __init__(self, url: str, token: str) -> None:
        self.name = url
        self._bare = urlsplit(url).path in {"", "/"}
        self._own = {"Authorization": f"Bearer {token}"} if token else {}
        self._open = urllib.request.build_opener(_NoRedirects).open

    def write(self, body: bytes, project: str) -> None:
        headers = {"Content-Type": "application/x-ndjson", **self._own}
        url = f"{self.name.rstrip('/')}/v1/{project}/events" if self._bare else self.name
        request = urllib.request.Request(url, body, headers)  # noqa: S310 # settings allow http and https only
        with self._open(request, timeout=_POST_S) as answer:
            _look_for_refusals(answer.read(_ANSWER))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _look_for_refusals(answer: bytes) -> None:
    """Tell when a collection service refused events; it keeps them, with reasons, for somebody to look at."""
    try:
        refused = msgspec.json.decode(answer, type=_Answer).rejected
    except msgspec.MsgspecError:
        return  # not a collection service
    if refused:
        log.warning("events refused", events=refused)


class _Answer(msgspec.Struct):
    rejected: int


def _file(path: str) -> _File | None:
    return _File(path) if path else None


def _collector(url: str, token: str) -> _Collector | None:
    return _Collector(url, token) if url else None


def spell(item: _Item) -> Iterator[dict[str, Any]]:
    """Spell the events of one request, a row each."""
    moment, request_id, model, rows, answers = item
    encoded = stack([rows], model.signature.graph) if isinstance(rows, Row) else rows
    given = answers.tolist() if isinstance(answers, np.ndarray) else answers
    for index in range(min(encoded.n_rows, _ROWS)):
        yield {
            "time": datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds"),
            "request_id": request_id,
            "row": index,
            "release": str(model.release),
            "version": model.release.version,
            "bundle": f"sha256:{model.release.digest}",
            "inputs": _plain(model, encoded, index),
            model.signature.output.name: given[index],
        }


def _plain(model: Model, encoded: Encoded, index: int) -> dict[str, Any]:
    """One row as its caller may have sent it: what float32 kept of numbers, moments as ISO 8601."""
    graph, found = model.signature.graph, {}
    for group in ("numbers", "texts", "times"):
        for place, name in enumerate(getattr(graph, group)):
            found[name] = encoded.feeds[group][index, place]
    return {spec.name: _value(spec.type, found[spec.name], nullable=spec.nullable) for spec in model.signature.inputs}


def _value(kind: str, value: Any, *, nullable: bool) -> Any:
    if kind == "string":
        return None if nullable and value == "" else value
    if kind == "datetime":
        return (_EPOCH + timedelta(seconds=int(value))).isoformat()
    if np.isnan(value):
        return None
    return {"boolean": bool, "integer": int}.get(kind, _short)(value)


def _short(value: Any) -> float:
    """The shortest number that is the same float32: 39.02 and not 39.02000045776367."""
    return float(str(np.float32(value)))
