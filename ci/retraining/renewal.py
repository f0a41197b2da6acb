"""Whether a new data version is a reason to learn anew: a project's own policy, asked after each publication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci.retraining.cases import Incident
from ci.retraining.incidents import Nothing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from ci.params_retraining import Renewal
    from ci.retraining.rules import Fresh


@dataclass(frozen=True, slots=True)
class Drifted:
    """What the check of a data version says of drift: the columns, how many could have, and those that matter alone."""

    columns: Sequence[str]
    share: float | None
    weighty: Sequence[str]


def drifted(check: Mapping[str, Any], target: str, critical: Sequence[str], former: date | None = None) -> Drifted:
    """
    Read the report of `steps.check_data`; `critical` columns and the target are weighty.

    The beginning of an era that the live release, which knows all before `former`, has not learned from counts as well.
    """
    found = [item for item in check.get("checks", []) if isinstance(item, dict)]
    columns = [str(item["name"]).removeprefix("drift ") for item in found if str(item.get("name")).startswith("drift ")]
    share = next((item.get("observed") for item in found if item.get("name") == "drift"), None)
    for item in found:
        extra = item.get("extra") or {}
        unknown = former is None or str(extra.get("start"))[:10] >= former.isoformat()
        if str(item.get("name")).startswith("beginning ") and unknown:
            columns += [str(name) for name in extra.get("drifted", []) if name not in columns]
            share = max(share or 0, item.get("observed") or 0)
    return Drifted(columns, share, [name for name in columns if name == target or name in critical])


def renewal(
    policy: Renewal, environment: str, version: str, fresh: Fresh, drift: Drifted | None, now: datetime
) -> Incident | Nothing:
    """Return the incident that a data version is by the policy, or why it is none."""
    why = _reason(policy, fresh, drift)
    if isinstance(why, Nothing):
        return why
    return Incident(key=f"{environment}:data:{fresh.as_of}", cause="data", version=version, at=now, why=why[:1000])


def _reason(policy: Renewal, fresh: Fresh, drift: Drifted | None) -> str | Nothing:
    new = f"data up to {fresh.as_of}"
    if policy.on == "never":
        return Nothing("the policy learns nothing anew for new data (retrain.on: never)")
    if policy.on == "always":
        return f"{new}: each data version is learned from (retrain.on: always)"
    if policy.on == "schedule":
        days = (fresh.as_of - fresh.former).days if fresh.former else None
        if days is None or days >= policy.every_days:
            return f"{new}: the live release knows nothing of its last {days if days is not None else 'many'} days"
        return Nothing(
            f"{new}: {days} days newer than what the live release knows, {policy.every_days:g} are waited for"
        )
    if drift is None:
        return Nothing("nobody has checked this data for drift")
    if drift.weighty:
        return f"{new}: {', '.join(drift.weighty)} drifted"
    if drift.share is not None and drift.share >= policy.drifted_share:
        return f"{new}: {drift.share:.0%} of the features drifted ({', '.join(drift.columns)})"
    return Nothing(f"{new}: {', '.join(drift.columns) or 'nothing'} drifted, which is no reason by the policy")
