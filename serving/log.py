"""JSON logs on stderr, one document a line."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

_LOGGER = logging.getLogger("serving")
_PER_SECOND = 20  # lines about single requests; a flood of bad requests must not become a flood of logs


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        document = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


def setup(level: str) -> None:
    """Send this package's logs, and the HTTP stack's errors, to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.raiseExceptions = False  # a closed stderr is no reason to fail a request
    for name, least in (("serving", level.upper()), ("uvicorn.error", "ERROR")):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)


def info(event: str, **fields: Any) -> None:
    """Log something that is as it should be."""
    _LOGGER.info(event, extra={"fields": fields})


def warning(event: str, **fields: Any) -> None:
    """Log something that someone should look at some day."""
    _LOGGER.warning(event, extra={"fields": fields})


def error(event: str, *, cause: BaseException | None = None, **fields: Any) -> None:
    """Log something that someone should look at now; `cause` adds its traceback."""
    trace = (type(cause), cause, cause.__traceback__) if cause else None
    _LOGGER.error(event, exc_info=trace, extra={"fields": fields})


class Throttle:
    """Lets a bounded number of lines a second through, and says how many it held back."""

    def __init__(self) -> None:
        self._second, self._passed, self._held = 0, 0, 0

    def allow(self) -> bool:
        """Whether one more line may be written now."""
        second = int(time.monotonic())
        if second != self._second:
            if self._held:
                warning("log lines held back", lines=self._held)
            self._second, self._passed, self._held = second, 0, 0
        if self._passed >= _PER_SECOND:
            self._held += 1
            return False
        self._passed += 1
        return True
