"""
The door to the release ledger: annotated tags in Git, one order per project, the remote as arbiter.

An event is pushed together with the project's head (refs/slipway/ledger/<project>), atomically and only if both are as
they were read: of two agents, one is told that it lost. docs/adr/0021-ledger-grammar.md says why.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ci.adapters.refs import Refs, head_commit, remotes
from ci.errors import BadInput, Unavailable
from ci.files import to_json
from ci.ledger.chain import history_of
from ci.ledger.event import Draft, Event, Kind, moment_of, spelled
from ci.ledger.history import History
from ci.ledger.interface import Quicker
from ci.ledger.signing import signed
from ci.ledger.tags import message_of, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ci.ledger.interface import By
    from ci.ledger.signing import Signer
    from ci.releases.dataset import DataVersion
    from ci.releases.record import Release

_TRIES = 12


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class GitLedger:
    """The ledger in the repository around the current folder."""

    refs: Refs
    signer: Signer | None = None
    known: Callable[[Event], str | None] = lambda _: None
    clock: Callable[[], datetime] = _now

    @property
    def place(self) -> str:
        """Where it is kept."""
        return f"tags of {self.refs.remote}" if self.refs.remote else "tags of this clone alone"

    def history(self, project: str, *, offline: bool = False) -> History:
        """Read everything; the remote is asked unless `offline`."""
        doubts: list[str] = []
        notes = [] if self.refs.remote else [self.place]
        if offline:
            notes.append("as this clone knows it: nobody else was asked")
        elif self.refs.remote:
            doubts = self._synchronized(project)
        tags = self.refs.tags(*_patterns(project))
        head = self.refs.here(_head(project)).get(_head(project))
        found = history_of(project, tags, head, known=self.known, doubts=doubts, notes=notes)
        return found if found.events or found.doubts else History(project, notes=notes)

    def register(self, release: Release, by: By) -> Event:
        """Give a release its commit and its tag; the very same one again changes nothing."""
        parent = head_commit()
        there = self.history(release.project).trusted().registered(release.version)
        if there is None:
            files = {
                **_locked(release.project),
                f"releases/{release.project}/v{release.version}.json": _record(release),
            }
            commit = self.refs.commit_beside(parent, files, f"Release {release.name}\n\n{by.reason or release.digest}")
            digests = {name: packaged.digest for name, packaged in release.packagings.items()}
            draft = Draft(
                kind=Kind.REGISTERED, project=release.project, version=release.version, release=release.digest,
                actor=by.actor, reason=by.reason, build=by.build, evidence=release.evidence, packagings=digests,
                record=release,
            )  # fmt: skip
            there = self._last(draft, None, commit)
        if there.release != release.digest:
            raise BadInput(f"{release.name}: is there already, with another record", hint="choose the next version")
        return there

    def register_data(self, version: DataVersion, commit: str, by: By, evidence: Mapping[str, str]) -> Event:
        """Give a data version its tag, at the commit that publishes it; the very same one again changes nothing."""
        draft = Draft(
            kind=Kind.REGISTERED, project=version.dataset, version=version.version, release=version.digest,
            actor=by.actor, reason=by.reason, build=by.build, evidence=dict(evidence), data=version,
        )  # fmt: skip
        there = self._last(draft, None, commit)
        if there.release != version.digest:
            raise Quicker(f"{version.name}: somebody else was quicker: {there.actor} at {there.when}", hint="run it again: the version will be another")  # fmt: skip
        return there

    def add(self, draft: Draft, seen: History | None = None) -> Event:
        """Put an event last; with `seen`, only if nothing became live in its environment since."""
        return self._last(draft, seen, None)

    def _last(self, draft: Draft, seen: History | None, commit: str | None) -> Event:
        for attempt in range(_TRIES):
            history = self.history(draft.project).trusted()
            there = history.registered(draft.version)
            if commit is not None and there is not None:
                return there
            if commit is None and there is None:
                raise BadInput(f"{draft.name}: not in the ledger ({self.place})", hint=_versions(history))
            if seen is not None:
                _nobody_was_quicker(draft, seen, history)
            event = self._placed(draft, history, commit or (there.commit if there else ""))
            if self._published(event, history.tip):
                return event
            time.sleep(random.uniform(0.01, 0.1) * (1 + attempt))  # noqa: S311  # so that two do not collide again
        raise Unavailable(f"{draft.name}: {_TRIES} times somebody else wrote to the ledger first", hint="run it again")

    def _placed(self, draft: Draft, history: History, commit: str) -> Event:
        """
        Give a draft its place; time never runs backwards, whatever this machine's clock says.

        Several events within a second get stamps that are ahead of the clock: then it also says when it happened.
        """
        last = history.events[-1] if history.events else None
        at = now = self.clock()
        told = {name: getattr(draft, name) for name in Draft.model_fields}
        if last:
            at = max(now, moment_of(last.at) + timedelta(seconds=1))
            if draft.happened is None and at > now:
                told["happened"] = max(spelled(now), last.when)
        event = Event(
            **told,
            number=last.number + 1 if last else 1,
            previous=history.tip,
            commit=commit,
            at=spelled(at),
        )
        return signed(event, self.signer)

    def _published(self, event: Event, tip: str | None) -> bool:
        name = name_of(event)
        tagger = (
            f"{event.actor} <{event.actor if '@' in event.actor and ' ' not in event.actor else 'slipway@localhost'}>"
        )
        id_ = self.refs.tag_object(name, event.commit, message_of(event), tagger, int(moment_of(event.at).timestamp()))
        tag, head = f"refs/tags/{name}", _head(event.project)
        if not self.refs.publish({tag: (id_, None), head: (id_, tip)}):
            return False
        if self.refs.remote:
            self.refs.remember({tag: id_, head: id_, _published(event.project): id_})
        return True

    def _synchronized(self, project: str) -> list[str]:
        """Fetch what is new; return what speaks against the remote: it changed or lost what this clone knows."""
        patterns, head = _patterns(project), _head(project)
        there, here = self.refs.there(*patterns, head), self.refs.here(*patterns, head)
        made_here = self.refs.here(_published(project)) == {} and head in here
        if not there and made_here:
            self.refs.publish({ref: (id_, None) for ref, id_ in here.items()})
            there = self.refs.there(*patterns, head)
        tags = {ref: id_ for ref, id_ in there.items() if ref != head}
        doubts = [f"{_short(ref)}: was replaced: this clone knew {here[ref][:10]}, {self.refs.remote} has {id_[:10]}"
                  for ref, id_ in tags.items() if here.get(ref, id_) != id_]  # fmt: skip
        doubts += [f"{_short(ref)}: was deleted from {self.refs.remote}" for ref in here if ref != head and ref not in tags]  # fmt: skip
        if any(ref not in here for ref in tags):
            self.refs.fetch(
                *(f"{pattern}:{pattern}" for pattern in patterns if any(_under(ref, pattern) for ref in tags))
            )
        if head in there and there[head] != here.get(head):
            self.refs.fetch(f"+{head}:{head}")
        elif head not in there and here and not doubts:
            doubts.append(f"{head} was deleted from {self.refs.remote}")
        if head in there and not doubts:
            self.refs.remember({_published(project): there[head]})
        return doubts


def found(
    timeout_s: float = 60.0, *, remote: str | None = "auto", signer: Signer | None = None,
    known: Callable[[Event], str | None] | None = None,
) -> GitLedger:  # fmt: skip
    """
    Return the ledger of the checkout: with a remote by name, `auto` (origin, or the first one, or none), or none.

    Raises:
        BadInput: no Git repository, or no such remote.
    """
    head_commit()
    names = remotes()
    if remote not in {None, "auto", *names}:
        raise BadInput(
            f"ledger.remote: this clone has no Git remote {remote}", hint=f"it has {', '.join(names) or 'none'}"
        )
    refs = Refs((names[0] if names else None) if remote == "auto" else remote, timeout_s)
    return GitLedger(refs, signer, known) if known else GitLedger(refs, signer)


def _nobody_was_quicker(draft: Draft, seen: History, now: History) -> None:
    environment = str(draft.environment)
    before, after = seen.live(environment), now.live(environment)
    if after and (before is None or after.number != before.number):
        raise Quicker(
            f"{environment}: somebody else was quicker: {after.name} by {after.actor} at {after.when}",
            hint="look at `python -m steps.status`, and promote again if it is still right",
        )


def _locked(project: str) -> Mapping[str, bytes]:
    """Return what describes the build, as it lies in the checkout: DVC finds the bundle by it."""
    paths = (Path("dvc.lock"), Path("params.yaml"), Path("projects", project, "params.yaml"))
    return {path.as_posix(): path.read_bytes() for path in paths if path.is_file()}


def _record(release: Release) -> bytes:
    return to_json(release.model_dump(mode="json")).encode()


def _versions(history: History) -> str:
    known = history.versions()
    return f"there are {', '.join(f'v{version}' for version in known[-5:])}" if known else "nothing was released yet"


def _patterns(project: str) -> tuple[str, str]:
    return f"refs/tags/{project}@*", f"refs/tags/{project}#*"


def _under(ref: str, pattern: str) -> bool:
    return ref.startswith(pattern.removesuffix("*"))


def _head(project: str) -> str:
    return f"refs/slipway/ledger/{project}"


def _published(project: str) -> str:
    return f"refs/slipway/published/{project}"


def _short(ref: str) -> str:
    return ref.removeprefix("refs/tags/")


__all__ = ["GitLedger", "found"]
