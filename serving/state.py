"""What the parts of a running server share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from serving.metrics import labels
from serving.repository import Repository
from serving.scoring import Scoring
from serving.shadow import Answers
from serving.telemetry import Requests
from serving.wire import Bodies

if TYPE_CHECKING:
    from serving.events import Events
    from serving.settings import Settings


class State:
    """Made once, before the event loop runs."""

    def __init__(self, settings: Settings, events: Events | None = None) -> None:
        self.settings, self.events = settings, events
        self.draining = False
        self.executor = ThreadPoolExecutor(1, "scoring")
        self.repository = Repository(settings, self.executor)
        self.bodies = Bodies(settings)
        self.scoring = Scoring(settings, self.repository, self.bodies, self.executor, events)
        self.shadow = Answers()
        self.nobody = Requests(labels(model="", version="", bundle=""), settings.slo_ms / 1000)

    @property
    def ready(self) -> bool:
        """Whether a proven model answers and the server is not on its way out."""
        return self.repository.live is not None and not self.draining

    def close(self) -> None:
        """Let go of threads."""
        self.repository.close()
        self.executor.shutdown(wait=False, cancel_futures=True)
