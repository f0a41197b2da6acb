"""
The anchor: what stops a chain of releases, each not worse than the one before, from giving away a margin each time.

It is the release that no later one was shown to beat. The challenger is held to it as to the champion; only a release
that beats the anchor becomes the next one (ADR 0015).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.gate.champion import NONE
from ci.model.bundles import Bundle
from ci.report import Check, Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ci.gate.budget import Comparison
    from ci.gate.champion import Champions

_KIND = {"kind": "anchor"}


@dataclass(frozen=True)
class Anchor:
    """The bundle that the challenger is held to beside the champion; `at` is where it can be found again."""

    bundle: Bundle
    at: str
    source: str


def recorded(past: Sequence[Comparison]) -> tuple[str, str | None] | None:
    """
    Return digest and place of the anchor of a bundle that was the challenger of `past`; None if nothing is known.

    Verdicts that passed count before others, those on a live champion before those on one that somebody named, the
    newest last: an experiment beside the releases must not move the anchor.
    """
    known = [item for item in past if item.anchor is not None]
    if not known:
        return None
    last = max(known, key=lambda item: (item.outcome == "passed", item.live, item.judged))
    return (last.anchor.digest, last.anchor.at) if last.anchor else None


def found(
    project: str, champion: Bundle, past: Sequence[Comparison], champions: Champions | None, wanted: str | None
) -> Anchor | Check | None:
    """
    Find the anchor: the one that is named, or the one that was recorded when the champion was judged.

    None where the champion is its own anchor. A check where there is one that cannot be had, or nobody wants it.

    Raises:
        BadInput: a named anchor is no bundle.
        Unavailable: DVC did not get it from cache or remote.
    """
    if wanted == NONE:
        return Check("anchor", Found.WARNED, "held to no anchor, as --anchor none says", extra=_KIND)
    digest, at = (None, wanted) if wanted else recorded(past) or (None, None)
    if digest == champion.digest or (digest is None and at is None):
        return None
    try:
        made = _opened(project, digest, at, champions)
    except BadInput as error:
        if wanted:
            raise
        message = f"{(digest or '')[:12]} cannot be had: {error}; --anchor names it, or says none"
        return Check("anchor", Found.INCONCLUSIVE, message, extra=_KIND)
    return None if made.bundle.digest == champion.digest else made


def _opened(project: str, digest: str | None, at: str | None, champions: Champions | None) -> Anchor:
    if at is None or champions is None:
        raise BadInput("nobody wrote down where it is")
    place = champions.find(project, at)
    if place.folder is None:
        raise BadInput(f"{at}: no bundle")
    bundle = Bundle(place.folder)
    if digest is not None and bundle.digest != digest:
        raise BadInput(f"{at}: holds another bundle, {bundle.digest[:12]}")
    return Anchor(bundle, place.at or at, place.source)
