"""The gate's tables: metrics of both, slices by damage, changed decisions, the rows where they disagree most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ci import stats
from ci.contract import Task
from ci.data import rows as data_rows
from ci.gate.sample import checked
from ci.report import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ci.data.rows import Array
    from ci.gate.sample import Sample
    from ci.gate.told import Duel
    from ci.gate.verdict import Measured, Verdict

_MOST = 15


def made(duel: Duel, verdict: Verdict, ours: Array | None, theirs: Array | None) -> list[Table]:
    """Return all tables that there is something to show in."""
    found = [*_metrics(verdict), *_evidence(verdict), *_slices(verdict)]
    if ours is not None and theirs is not None and verdict.disagreement is not None:
        sample = checked(
            duel.project.contract.task, duel.rows.y, ours, theirs, clusters=None, weights=None, slices=None,
            policy=duel.project.params.gate,
        )  # fmt: skip
        found += [*_confusion(duel, sample), _disagreements(duel, sample)]
    return [*found, card_table(duel)]


def _metrics(verdict: Verdict) -> Iterator[Table]:
    if not verdict.metrics:
        return
    columns = ("metric", "challenger", "95 % from", "to", "champion", "gain", "95 % from", "to", "margin", "how")
    note = "A gain is positive where the challenger is better, whichever way the metric counts."
    yield Table("Metrics", columns, [_metric(name, item) for name, item in verdict.metrics.items()], note)


def _metric(name: str, item: Measured) -> tuple[Any, ...]:
    ours, gain = item.challenger, item.gain
    shown = (gain.value, gain.low, gain.high) if gain else (None, None, None)
    return (name, ours.value, ours.low, ours.high, item.champion, *shown, item.margin, (gain or ours).method)


def _evidence(verdict: Verdict) -> Iterator[Table]:
    """What each comparison rests on."""
    shown = [
        (check.name, check.extra["alpha"], check.extra["p_value"], check.extra["mde"], 2 * check.extra["margin"],
         check.extra["clusters"], check.n, check.extra["disagreement"], check.extra["method"])
        for check in verdict.checks if check.extra.get("kind") in {"better", "not worse", "anchor"} and "mde" in check.extra
    ]  # fmt: skip
    columns = ("question", "alpha", "p", "sees from", "should see", "clusters", "rows", "disagreement", "how")
    note = "`sees from` is the smallest true gain that would be found four times in five; a question that the interval "
    note += (
        "leaves open is rejected where that is at most what the test set should see, and inconclusive where it is more."
    )
    if shown:
        yield Table("Evidence", columns, shown, note)


def _slices(verdict: Verdict) -> Iterator[Table]:
    if not verdict.slices:
        return
    shown = [
        (f"{s.column}={s.value}", s.check.outcome, s.n, s.challenger, s.champion, s.gain,
         *(s.check.interval or (None, None)), s.check.extra.get("p_holm"), s.damage, s.check.message)
        for s in verdict.slices
    ]  # fmt: skip
    columns = (
        "slice",
        "outcome",
        "rows",
        "challenger",
        "champion",
        "gain",
        "90 % from",
        "to",
        "Holm p",
        "damage",
        "in words",
    )
    note = "Sorted by damage: the loss times the slice's share of the rows, so that the damages of a column add up."
    yield Table("Slices", columns, shown, note)


def _confusion(duel: Duel, sample: Sample) -> Iterator[Table]:
    """Which decisions change, and whether for the better."""
    if sample.champion is None or sample.task not in {Task.BINARY, Task.MULTICLASS}:
        return
    ours, theirs = (_decided(answers, sample.threshold) for answers in (sample.challenger, sample.champion))
    truth, names = sample.y.astype(np.int64), _names(duel, sample)
    k = len(names)
    counts = np.bincount((truth * k + theirs) * k + ours, minlength=k**3).reshape(k, k, k)
    changed = [
        (names[t], names[a], names[b], _better(t, a, b), int(counts[t, a, b]), counts[t, a, b] / sample.n)
        for t, a, b in np.ndindex(counts.shape) if a != b and counts[t, a, b]
    ]  # fmt: skip
    changed.sort(key=lambda row: -row[4])
    test = stats.mcnemar(truth, ours, theirs)
    note = f"{test.only_first:,} rows become right, {test.only_second:,} wrong"
    note += f"; were rows independent, McNemar's exact p would be {test.p_value:.2g}."
    columns = ("truth", "champion says", "challenger says", "which is", "rows", "share")
    yield Table("Changed decisions", columns, changed[:_MOST], note)


def _disagreements(duel: Duel, sample: Sample) -> Table:
    """Show the rows whose answers lie furthest apart."""
    contract, frame = duel.project.contract, duel.rows.frame
    order = np.argsort(-sample.apart, kind="stable")[:_MOST]
    named = [name for name in dict.fromkeys([*contract.keys, *contract.slices]) if name in frame]
    few = frame.iloc[order]
    shown = [
        (*(_cell(row[name]) for name in named), _cell(row[contract.target]), _answer(duel, sample.champion, at),
         _answer(duel, sample.challenger, at), float(sample.apart[at]))
        for at, (_, row) in zip(order, few.iterrows(), strict=True)
    ]  # fmt: skip
    return Table("Where they disagree most", (*named, contract.target, "champion", "challenger", "apart"), shown)


def card_table(duel: Duel) -> Table:
    """Spell the model card's facts, from evaluation and lineage of the bundle."""
    contract, lineage = duel.project.contract, duel.challenger.lineage
    cut = duel.rows.split.get("cut", {})
    data, period = lineage.get("data", {}), f", {cut['test_start'][:10]} to {cut['test_end'][:10]}" if cut else ""
    lines = [
        ("intended use", contract.description),
        ("answers with", duel.challenger.signature["output"]["description"]),
        ("owner of the data", contract.owner),
        ("data version", f"{data.get('version', '')[:12]}, as of {data.get('as_of')}, {data.get('rows', 0):,} rows"),
        ("judged on", f"{len(duel.rows.frame):,} rows{period}"),
        ("rows count as dependent within", contract.cluster or "none: the intervals take rows as independent"),
        ("not tested for", "anything else, nor for what happened after its newest row"),
    ]  # fmt: skip
    return Table("Model card", ("", "in words"), lines, "In full beside this page: MODEL_CARD.md.")


def _decided(answers: Array, threshold: float) -> Any:
    return answers.argmax(axis=1) if answers.ndim == 2 else (answers >= threshold).astype(np.int64)


def _names(duel: Duel, sample: Sample) -> list[str]:
    contract = duel.project.contract
    if sample.task is Task.MULTICLASS:
        return data_rows.classes(duel.rows.frame[contract.target], contract)
    return ["no", contract.positive or "yes"]


def _better(truth: int, before: int, after: int) -> str:
    return "better" if after == truth else "worse" if before == truth else "as wrong"


def _answer(duel: Duel, answers: Any, at: int) -> Any:
    if answers.ndim == 1:
        return float(answers[at])
    contract = duel.project.contract
    names = data_rows.classes(duel.rows.frame[contract.target], contract)
    return f"{names[int(answers[at].argmax())]} {answers[at].max():.2f}"


def _cell(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, bool | int | float | str) else str(value)
