"""Which counters to read for a question: the standard metrics of each source, and what the policy adds."""

from __future__ import annotations

import re
from string import Template
from typing import TYPE_CHECKING

from ci.errors import BadInput
from ci.params_verification import Rule
from ci.verification.interface import BASELINE, CANARY, Query, Selector, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci.params_verification import Source, Verification
    from ci.rollout.interface import Arm, Question
    from ci.verification.reference import Reference

DEFAULTS: Mapping[str, Rule] = {
    "errors": Rule(negligible=0.002, limit=0.01),
    "refused": Rule(negligible=0.002, required=False),
    "slow": Rule(negligible=0.01, limit=0.01),
    "scores": Rule(kind="distribution", required=False, allowed_increase=1.0, margin=2.0, negligible=0.01),
    "door_errors": Rule(source="envoy", negligible=0.002, limit=0.01),
    "quality": Rule(kind="quality", source="collector", against="limit", margin=0.5),
    "disagreement": Rule(source="pairs", against="limit", limit=0.2, required=False),
}
_PATCHED = {"quality", "disagreement"}  # a policy says what it wants otherwise; their kind and source are their own
_ROUTES = ("route", "=~", "predict|infer")
_SELECTOR = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s*", re.DOTALL)
_MATCHER = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')


def rules_of(policy: Verification) -> dict[str, Rule]:
    """
    Put the standard metrics and the policy's own together.

    Raises:
        BadInput: a squared error against a baseline: counts are compared there.
    """
    found: dict[str, Rule] = {name: DEFAULTS[name] for name in policy.standard}
    for name, rule in policy.metrics.items():
        told = {key: getattr(rule, key) for key in rule.model_fields_set}
        found[name] = DEFAULTS[name].model_copy(update=told) if name in _PATCHED else rule
        if found[name].measure == "brier" and found[name].against == "baseline":
            raise BadInput(f"verification.metrics.{name}: brier is held to a limit or the evaluation, not to a baseline",
                           hint="leave out `against`, or set `measure: wrong`")  # fmt: skip
    return found


def plan(
    question: Question, policy: Verification, references: Mapping[str, Reference] | None = None
) -> tuple[dict[str, Rule], Wanted]:
    """
    Return the rules that apply, and the queries for them.

    `references` say what a lone release is held against, by metric, beside the policy's limits.

    Raises:
        BadInput: a selector that cannot be read, or no metric at all.
    """
    rules, skipped = {}, {}
    by_source: dict[str, list[Query]] = {}
    for name, rule in rules_of(policy).items():
        source = rule.source or policy.source
        standard = not (rule.bad or rule.buckets)
        reason = _not_here(name, source, question, standard=standard) or _not_now(name, rule, question, policy)
        if reason:
            skipped[name] = reason
            continue
        baseline = question.baseline if rule.against == "baseline" else None
        known = rule.kind == "quality" or (rule.kind == "events" and rule.limit) or name in (references or {})
        if baseline is None and not known:
            skipped[name] = "there is no baseline, and no limit is set"
            continue
        rules[name] = rule
        arms = {CANARY: question.candidate} | ({BASELINE: baseline} if baseline else {})
        for role, arm in arms.items():
            by_source.setdefault(source, []).append(_query(name, rule, source, role, arm, question, policy))
    if not rules:
        raise BadInput("verification: no metric can be asked for", hint="see `verification` in params.yaml")
    return rules, Wanted(by_source, skipped)


def _not_here(name: str, source: Source, question: Question, *, standard: bool) -> str:
    if source == "envoy" and not question.admin:
        return "no router is known whose statistics could be read"
    if standard and source == "envoy" and question.shadow:
        return "Envoy does not count copies of requests"
    if standard and source == "json":
        return "a JSON API has no standard metrics"
    if standard and source == "envoy" and name in {"refused", "scores"}:
        return "Envoy does not count it"
    if standard and name == "door_errors" and source != "envoy":
        return "only Envoy counts it"
    return ""


def _not_now(name: str, rule: Rule, question: Question, policy: Verification) -> str:
    """Say why a metric that comes late, or from copies of requests, is not asked for."""
    if name == "disagreement" and not question.shadow:
        return "no shadow runs"
    if rule.kind != "quality":
        return ""
    if not (policy.collector.url or policy.collector.url_env):
        return "no collection service is named (verification.collector)"
    if question.baseline is not None and rule.against == "limit":
        return "labels come later than a rollout: it is asked for once the release is live"
    return ""


def _query(
    name: str, rule: Rule, source: Source, role: str, arm: Arm, question: Question, policy: Verification
) -> Query:
    expected = tuple(arm.addresses) if source == "servers" else ()
    if rule.bad or rule.buckets:
        return _told(name, rule, source, role, arm, question, expected)
    if source in {"collector", "pairs"}:
        return Query(name, role, source, {"bad": arm.release.name, "total": arm.release.name})
    if source == "envoy":
        cells, heartbeat = _of_envoy(name, arm.cluster, policy.slo_ms)
    else:
        cells, heartbeat = _of_servers(name, question.project, arm.release.version, policy.slo_ms)
    return Query(name, role, source, cells, heartbeat, expected)


def _of_servers(name: str, project: str, version: str, slo_ms: float) -> tuple[dict[str, Selector | str], Selector]:
    release = (("model", "=", project), ("version", "=", version))
    heartbeat = Selector("slipway_build_info", release)
    if name == "scores":
        return {"le": Selector("slipway_score_bucket", release)}, heartbeat
    if name == "slow":
        family = "slipway_request_seconds_bucket"
        good = Selector(family, (*release, _ROUTES, ("le", "=", _spelled(slo_ms / 1000))))
        return {"good": good, "total": Selector(family, (*release, _ROUTES, ("le", "=", "+Inf")))}, heartbeat
    outcomes = "refused" if name == "refused" else "error|unavailable"
    total = Selector("slipway_requests_total", (*release, _ROUTES, ("outcome", "!=", "disconnected")))
    bad = Selector("slipway_requests_total", (*release, _ROUTES, ("outcome", "=~", outcomes)))
    return {"bad": bad, "total": total}, heartbeat


def _of_envoy(name: str, cluster: str, slo_ms: float) -> tuple[dict[str, Selector | str], Selector]:
    where = (("envoy_cluster_name", "=", cluster),)
    heartbeat = Selector("envoy_cluster_membership_total", where)
    if name == "slow":
        family = "envoy_cluster_external_upstream_rq_time_bucket"
        good = Selector(family, (*where, ("le", "=", _spelled(slo_ms))))
        return {"good": good, "total": Selector(family, (*where, ("le", "=", "+Inf")))}, heartbeat
    bad = Selector("envoy_cluster_external_upstream_rq_xx", (*where, ("envoy_response_code_class", "=", "5")))
    return {"bad": bad, "total": Selector("envoy_cluster_external_upstream_rq_xx", where)}, heartbeat


def _spelled(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else repr(bound)


def _told(
    name: str, rule: Rule, source: Source, role: str, arm: Arm, question: Question, expected: tuple[str, ...]
) -> Query:
    values = {
        "project": question.project,
        "environment": question.environment,
        "version": arm.release.version,
        "cluster": arm.cluster,
    }
    texts = {"bad": rule.bad, "total": rule.total, "le": rule.buckets}
    where = f"metrics.{name}"
    cells = {cell: _read(text, values, source, where) for cell, text in texts.items() if text}
    heartbeat = selector(_filled(rule.heartbeat, values, where), where) if rule.heartbeat else None
    return Query(name, role, source, cells, heartbeat, expected, rule.absent == "zero")


def _read(text: str, values: Mapping[str, str], source: Source, where: str) -> Selector | str:
    filled = _filled(text, values, where)
    return filled if source == "json" else selector(filled, where)


def _filled(text: str, values: Mapping[str, str], where: str) -> str:
    try:
        return Template(text).substitute(values)
    except (KeyError, ValueError) as error:
        raise BadInput(f"verification.{where}: {text[:80]}: unknown or broken placeholder ({error})") from error


def selector(text: str, where: str) -> Selector:
    """
    Read `family{label="value", other=~"a|b"}`.

    Raises:
        BadInput: it is not that.
    """
    found = _SELECTOR.fullmatch(text)
    if not found:
        raise BadInput(f'verification.{where}: {text[:80]}: not a selector such as family{{label="value"}}')
    inner, matchers, place = found.group(2) or "", [], 0
    while inner[place:].strip():
        item = _MATCHER.match(inner, place)
        if not item:
            raise BadInput(f"verification.{where}: {text[:80]}: cannot be read after {inner[:place][-20:]!r}")
        value = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], item[3])
        if "~" in item[2]:
            _compiled(value, where)
        matchers.append((item[1], item[2], value))
        place = item.end()
    return Selector(found.group(1), tuple(matchers))


def _compiled(pattern: str, where: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadInput(f"verification.{where}: {pattern[:60]!r}: not a regular expression ({error})") from error
