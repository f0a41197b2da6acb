"""Notices on their way: kept first, then sent, oldest first; what did not arrive waits for the next step."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pydantic import Field

from ci.errors import StepError, Unavailable
from ci.notices.notice import Notice
from ci.params import Model
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from ci.params_notices import Notices


class Letter(Model):
    """A notice, how often it was tried, and when it may be tried again."""

    notice: Notice
    tries: int = Field(0, ge=0)
    after: datetime


class Outbox(Protocol):
    """Where letters wait."""

    @property
    def place(self) -> str:
        """Where it lies, for people."""

    def put(self, letter: Letter) -> None:
        """Keep one, in the place of the one about the same notice."""

    def drop(self, letter: Letter) -> None:
        """Forget one."""

    def waiting(self) -> list[Letter]:
        """List them, oldest first."""


@dataclass(frozen=True)
class Post:
    """Who delivers, by which clocks; `send` raises a StepError when it could not."""

    outbox: Outbox
    send: Callable[[Notice], None]
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    policy: Notices


def tell(notice: Notice, post: Post) -> Check:
    """Keep a notice and deliver what is due; never fails: what went wrong is in the check."""
    try:
        post.outbox.put(Letter(notice=notice, after=post.clock()))
    except StepError as error:
        return _at_once(notice, post, error)
    return flush(post)


def _at_once(notice: Notice, post: Post, problem: StepError) -> Check:
    """Deliver what could not be kept, at least."""
    try:
        post.send(notice)
    except StepError as error:
        return Check("notice", Found.WARNED, f"neither kept ({problem}) nor delivered ({error})")
    return Check("notice", Found.WARNED, f"delivered, but not kept: {problem}")


def flush(post: Post, *, all_of_them: bool = False) -> Check:
    """Deliver what is due, or everything; stop at the first that fails, so that one dead receiver costs one wait."""
    until = post.monotonic() + post.policy.patience_s
    sent, lost, problem = 0, 0, ""
    try:
        letters = post.outbox.waiting()
        for letter in letters:
            now = post.clock()
            if now - letter.notice.at > timedelta(days=post.policy.keep_days):
                post.outbox.drop(letter)
                lost += 1
                continue
            if letter.after > now and not all_of_them and letter.after - now <= longest_wait():
                continue
            if post.monotonic() > until:
                problem = f"no time left after {post.policy.patience_s:g} s"
                break
            problem = _sent(letter, post, now)
            if problem:
                break
            sent += 1
        left = len(letters) - sent - lost
    except StepError as error:  # the outbox itself is broken
        return Check("notice", Found.WARNED, f"{post.outbox.place}: {error}")
    return _told(sent, left, lost, problem, post.outbox.place)


def _sent(letter: Letter, post: Post, now: datetime) -> str:
    """Deliver one; return what went wrong."""
    try:
        post.send(letter.notice)
    except StepError as error:
        wait = min(longest_wait(), timedelta(seconds=30 * 2 ** min(letter.tries, 10)))
        post.outbox.put(letter.model_copy(update={"tries": letter.tries + 1, "after": now + wait}))
        return str(error)
    post.outbox.drop(letter)
    return ""


def longest_wait() -> timedelta:
    """Return the longest time between two tries; a letter that waits for longer has seen a wrong clock."""
    return timedelta(hours=1)


def _told(sent: int, left: int, lost: int, problem: str, place: str) -> Check:
    numbers = {"sent": sent, "waiting": left, "given up": lost}
    said = ", ".join(f"{count} {word}" for word, count in numbers.items() if count) or "nothing to deliver"
    why = f": {problem}" if problem else ""
    found = Found.WARNED if left or lost else Found.PASSED
    where = f" in {place}" if left else ""
    return Check("notice", found, f"{said}{where}{why}", n=sent, extra=numbers)


def refused(status: int, host: str) -> StepError:
    """Say that a receiver did not take a notice; it is tried again all the same: receivers get mended."""
    return Unavailable(f"{host}: did not take it ({status})")
