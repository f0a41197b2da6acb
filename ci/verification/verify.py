"""
Look at a candidate under traffic until there is an answer, or until the deadline; touch nothing.

What was seen is kept as evidence: the windows, the queries, the policy and the method, from which the same verdict
follows again, offline.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ci.errors import BadInput, Unavailable
from ci.report import Check, Found, finite
from ci.rollout.interface import Answer, Question, Verdict
from ci.verification.evidence import of_query, of_question, replay, spelled
from ci.verification.interface import BASELINE, CANARY
from ci.verification.judge import Judge, Judged
from ci.verification.labels import ripe
from ci.verification.plan import plan
from ci.verification.sequential import METHOD
from ci.verification.tape import Tape
from ci.verification.windows import Grid, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ci.params_verification import Rule, Verification
    from ci.verification.interface import Clock, Provider, Query, Wanted
    from ci.verification.labels import Labels
    from ci.verification.reference import Reference

__all__ = ["Looking", "Verify", "replay", "spelled", "spending"]

_DECIDED = {Answer.WORSE, Answer.NOT_WORSE, Answer.INVALID}


@dataclass
class Looking:
    """What a verification needs of the world."""

    providers: Callable[[Question], Mapping[str, Provider]]
    clock: Clock
    tell: Callable[[str], None]
    accept: Callable[[Question], Sequence[Check]] = lambda _: ()
    keep: Callable[[dict[str, Any]], Mapping[str, str]] = lambda _: {}
    references: Callable[[Question], Mapping[str, Reference]] = lambda _: {}
    labels: Callable[[Question], Labels] | None = None
    judge: Judge | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


class Verify:
    """A `ci.rollout.interface.Verifier`."""

    def __init__(self, policy: Verification, looking: Looking) -> None:
        self.policy, self.looking = policy, looking

    def verify(self, question: Question) -> Verdict:
        """
        Check what the candidate answers, then look until there is an answer, or until the deadline: NOT_ENOUGH.

        Raises:
            Unavailable: a source was silent for longer than the policy's patience.
            BadInput: a source refuses the question.
        """
        accepted = list(self.looking.accept(question))
        broken = next((check for check in accepted if check.outcome is Found.REJECTED), None)
        if broken:
            judged = Judged(Answer.WORSE, f"{broken.name}: {broken.message}", [], [])
            return self._done(question, judged, accepted, {}, None)
        if question.weight >= 100:  # a predecessor without requests tells nothing: the limits do
            question = replace(question, baseline=None)
        policy = spending(self.policy, question)
        references = self.looking.references(question) if question.baseline is None else {}
        rules, wanted = plan(question, policy, references)
        watch = _Watch(question, policy, rules, wanted, self.looking, references)
        self.looking.judge, self.looking.evidence = watch.judge, {}
        judged = watch.until_decided()
        return self._done(question, judged, accepted, rules, watch)

    def _done(
        self,
        question: Question,
        judged: Judged,
        accepted: list[Check],
        rules: Mapping[str, Rule],
        watch: _Watch | None,
    ) -> Verdict:
        wanted = watch.wanted if watch else None
        skipped = [
            Check(n, Found.SKIPPED, f"not asked for: {why}") for n, why in (wanted.skipped if wanted else {}).items()
        ]
        checks = [*accepted, *judged.checks, *skipped]
        self.looking.evidence |= {
            "schema_version": 1,
            "method": METHOD,
            "question": of_question(question),
            "policy": spending(self.policy, question).model_dump(mode="json"),
            "rules": {name: rule.model_dump(mode="json") for name, rule in rules.items()},
            "order": list(rules),
            "references": {
                name: found.model_dump(mode="json") for name, found in (watch.judge.references if watch else {}).items()
            },
            "queries": [of_query(q) for queries in (wanted.by_source if wanted else {}).values() for q in queries],
            "unusable_windows": dict(watch.unusable) if watch else {},
            "accepted": [[check.name, check.outcome.value, check.message] for check in accepted],
            "verdict": finite(spelled(judged)),
        }
        self.looking.evidence.setdefault("windows", {})
        self.looking.evidence.setdefault("complaints", [])
        kept = self.looking.keep(self.looking.evidence)
        return Verdict(judged.answer, (watch.why if watch else "") + judged.message, tuple(checks), kept)


class _Watch:
    """One look after the other."""

    def __init__(
        self, question: Question, policy: Verification, rules: Mapping[str, Rule], wanted: Wanted, looking: Looking,
        references: Mapping[str, Reference],
    ) -> None:  # fmt: skip
        self.question, self.policy, self.rules, self.wanted, self.looking = question, policy, rules, wanted, looking
        self._providers = looking.providers(question)
        self.judge = Judge(rules, policy, {name: found for name, found in references.items() if name in rules})
        self.tape = Tape()
        self.late = [name for name, rule in rules.items() if rule.kind == "quality"]
        since = datetime.fromisoformat(question.since)
        self.start = (since if since.tzinfo else since.replace(tzinfo=UTC)).timestamp()
        self.grid = Grid(self.start, policy.window_s, policy.lag_s, policy.stale_s)
        self.next = 0
        self.unusable = dict.fromkeys(rules, 0)
        self._heard: dict[str, float] = {}
        self._read_until = self.start
        self.why = self.pending = ""

    def until_decided(self) -> Judged:
        begun = self.looking.clock.now()
        deadline = begun + self.policy.deadline_s
        self._labelled()
        while True:
            judged = self._look(begun)
            now = self.looking.clock.now()
            if judged.answer in _DECIDED or now >= deadline:
                break
            if self._only_labels(judged):
                self.why = self.pending
                break
            if now - begun >= self.policy.idle_s and not self._traffic(judged):
                self.why = f"no traffic within {self.policy.idle_s:g} s: "
                break
            self.looking.tell(f"{self.question.candidate.release.name}: {judged.message}{self._outlook(judged, now)}")
            self.looking.clock.sleep(max(0.01, min(self._until_next(now), deadline - now)))
        self.looking.evidence["windows"] = {
            name: found.as_json() for name, item in self.judge.metrics.items() if (found := item.windows) is not None
        }
        self.looking.evidence["complaints"] = list(self.tape.complaints)
        return judged

    def _labelled(self) -> None:
        """Ask once for labels: they come by the day, and no look lasts that long."""
        for name in self.late:
            if self.looking.labels is None:
                raise BadInput(f"verification: nobody is there to ask for labels of {name}")
            arms = [query.arm for query in self.wanted.by_source["collector"] if query.metric == name]
            found = ripe(name, self.looking.labels(self.question).count(self.question, arms), self.policy.collector)
            self.looking.tell(f"{name}: {found.told}")
            self.pending += f"{name} is pending ({found.told}): "
            self.judge.add(found.windows)

    def _only_labels(self, judged: Judged) -> bool:
        """Whether all that is still open is what labels will tell, some day."""
        shown = {standing.metric for standing in judged.standings if standing.not_worse_at is not None}
        open_ = {name for name, rule in self.rules.items() if rule.required and name not in shown}
        return bool(open_) and open_ <= set(self.late)

    def _traffic(self, judged: Judged) -> bool:
        """Whether the candidate has had a request so far; those that acceptance sends are none."""
        own = self.policy.acceptance.golden_rows
        return any(
            standing.canary[1] > own or self.rules[standing.metric].kind == "counts"
            for standing in judged.standings
            if standing.metric not in self.late
        )

    def _until_next(self, now: float) -> float:
        return self.policy.window_s - (now - self.start) % self.policy.window_s + 1e-3

    def _look(self, begun: float) -> Judged:
        now = self.looking.clock.now()
        for source, queries in self.wanted.by_source.items():
            if source != "collector":
                self._read(source, queries, now, begun)
        self._read_until = now
        edges = self.grid.edges(self.next, now)
        if len(edges) > 1:
            for name, rule in self.rules.items():
                if name not in self.late:
                    self._cut(name, rule, edges)
            self.next = round((edges[-1] - self.grid.origin) / self.grid.length_s)
            self.tape.forget_before(edges[-1] - self.policy.stale_s)
        return self.judge.judged(self.tape.complaints)

    def _read(self, source: str, queries: Sequence[Query], now: float, begun: float) -> None:
        try:
            reading = self._providers[source].read(queries, self._read_until - self.policy.stale_s, now)
        except KeyError as error:
            raise BadInput(f"verification: there is no source {source}") from error
        except Unavailable as error:
            silent = self.looking.clock.now() - self._heard.get(source, begun)
            if silent >= self.policy.patience_s:
                raise
            self.looking.tell(f"{source}: {error}; asked again for {self.policy.patience_s - silent:.0f} s")
            return
        self._heard[source] = now
        self.tape.add(reading)
        ahead = max([s.at for s in reading.samples], default=now) - now
        skew = reading.skew_s if reading.skew_s is not None else 0.0
        for off in (skew, ahead):
            if abs(off) > self.policy.max_skew_s and (off is skew or off > 0):
                text = f"{source}: its clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} ours"
                self.tape.complaints += (
                    [] if any(c.startswith(f"{source}: its clock") for c in self.tape.complaints) else [text]
                )

    def _cut(self, name: str, rule: Rule, edges: list[float]) -> None:
        queries = [q for group in self.wanted.by_source.values() for q in group if q.metric == name]
        instances = {q.arm: q.instances for q in sorted(queries, key=lambda q: (BASELINE, CANARY).index(q.arm))}
        weight = self.question.weight / 100 if BASELINE in instances else 1.0
        windows, unusable = cut(self.tape, self.grid, edges, name, rule.kind, instances, weight)
        self.unusable[name] += unusable
        self.judge.add(windows)

    def _outlook(self, judged: Judged, now: float) -> str:
        """Say when there could be an answer, if evidence goes on to gather as it has."""
        left = []
        for standing in judged.standings:
            if standing.not_worse_at is None and self.rules[standing.metric].required:
                spent = max(now - self.start, 1e-9)
                speed = standing.log_not_worse / spent
                left.append((standing.need_not_worse - standing.log_not_worse) / speed if speed > 0 else float("inf"))
        if not left or max(left) == float("inf"):
            return ""
        return f"; about {max(left):.0f} s to go at this rate"


def spending(policy: Verification, question: Question) -> Verification:
    """Return the policy with the alpha that this question may spend; the other promise needs no parts (ADR 28)."""
    return policy.model_copy(update={"alpha": policy.alpha * question.spends})
